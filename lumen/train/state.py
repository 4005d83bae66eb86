"""The state of a training, as checkpoints store it: weights, their average, optimiser, rate and counters."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumen.errors import ModelError, UsageError
from lumen.extras import TORCH_FAULTS
from lumen.models import Network, build_network
from lumen.models.widen import widened
from lumen.train.checkpoint import Checkpoint, load_checkpoint
from lumen.train.distributed import World
from lumen.train.recipe.recipe import Recipe, from_dict
from lumen.train.schedule import RateControl
from lumen.train.start import Start, read_start
from lumen.train.stepper import Stepper, StepResult
from lumen.train.trend import LossTrend


class TrainState:
    """A training at some iteration, by a recipe with its epochs turned into iterations.

    Attributes:
        network: The one that is trained.
        ema: The network with the averaged weights, which is validated and exported.
        stepper: Takes the steps.
        rate: The learning rate.
        iteration: Steps done.
        best: Best score of a validation so far.
        trend: The trend of the loss.
        returns: How often the training went back to its last checkpoint.
        facts: What checkpoints say about the run, plain values.
    """

    def __init__(self, recipe: Recipe, world: World) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        self.network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: Network = copy.deepcopy(self.network).requires_grad_(False)
        self.stepper = Stepper(self.network, recipe, world)
        self.rate = RateControl()
        self.trend = LossTrend()
        self.iteration, self.best, self.returns = 0, -math.inf, 0
        self.facts: dict[str, Any] = {}

    @property
    def thumbnail_px(self) -> int:
        """Side of the thumbnails the network reads in training; 0 if it reads none."""
        return self.network.thumbnail_px if self.network.predicts_brightness else 0

    def step(self, batch: Sequence[Tensor], stop: bool) -> StepResult:
        """Take one optimiser step, see `Stepper.step`, and move the averaged weights."""
        result = self.stepper.step(batch, self.rate.at(self.recipe.optimizer, self.iteration), stop)
        if result.taken:
            self.trend.observe(result.loss)
            decay = min(self.recipe.optimizer.ema, (1 + self.iteration) / (10 + self.iteration))  # faster at first
            with torch.no_grad():
                torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)
        self.iteration += 1
        return result

    def checkpoint(self, *, with_optimizer: bool, iteration: int | None = None) -> Checkpoint:
        """Return the state as a checkpoint: with the optimiser's state to resume from, or without to be exported."""
        state = {
            "stepper": self.stepper.state(),
            "pace": dict(vars(self.rate)),
            "trend": dict(vars(self.trend)),
            "returns": self.returns,
        }
        return Checkpoint(
            iteration=self.iteration if iteration is None else iteration,
            recipe=self.recipe.to_dict(),
            weights=self.network.state_dict(),
            ema=self.ema.state_dict(),
            optimizer=self.stepper.optimizer.state_dict() if with_optimizer else None,
            best=self.best,
            facts=self.facts,
            state=state if with_optimizer else {},
        )

    def resume(self, path: Path) -> Mapping[str, Any]:
        """Resume from a checkpoint; return what it says of its data, as `Split.facts` gives it.

        Raises:
            ModelError: The file is not a checkpoint, or is damaged.
            UsageError: It holds another network, or no optimiser state.
        """
        checkpoint = load_checkpoint(path)
        if checkpoint.optimizer is None:
            raise UsageError(f"expected a checkpoint with optimiser state (last.pt), got {path}")
        if from_dict(checkpoint.recipe).network != self.recipe.network:
            raise UsageError(f"{path} holds a different network than recipe {self.recipe.name!r}; use its own recipe")
        try:
            self._take(checkpoint)
        except TORCH_FAULTS as error:
            raise ModelError(f"checkpoint {path} does not fit its own recipe ({type(error).__name__})") from error
        data: Mapping[str, Any] = checkpoint.facts.get("data", {})
        return data

    def _take(self, checkpoint: Checkpoint) -> None:
        """Take over a state; raises one of `TORCH_FAULTS` if it is not one of this network."""
        self.network.load_state_dict(dict(checkpoint.weights))
        self.ema.load_state_dict(dict(checkpoint.ema))
        self._take_moments((checkpoint.optimizer or {})["state"])
        self.iteration, self.best = checkpoint.iteration, checkpoint.best
        self.facts["validation"] = dict(checkpoint.facts.get("validation", {}))
        if checkpoint.state:
            self.stepper.restore(checkpoint.state["stepper"])
            self.rate = RateControl(**checkpoint.state["pace"])
            self.trend = LossTrend(**checkpoint.state.get("trend", {}))  # older files have none
            self.returns = int(checkpoint.state["returns"])

    def _take_moments(self, moments: Mapping[Any, Any]) -> None:
        """Take over the optimiser's state alone: the recipe says how it works."""
        groups = self.stepper.optimizer.state_dict()["param_groups"]
        parameters = [p for group in self.stepper.optimizer.param_groups for p in group["params"]]
        for index, values in moments.items():
            if values["step"].numel() != 1:
                raise ValueError("the optimiser's state counts no steps")
            for name in ("exp_avg", "exp_avg_sq"):
                if values[name].shape != parameters[index].shape:
                    raise ValueError("the optimiser's state is that of another network")
        self.stepper.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def begin_from(self, source: str | Path) -> Start:
        """Start a new training from trained weights; return what is known of them.

        Raises:
            ModelError: There is no such model, or its file is damaged.
            UsageError: Its network has other blocks, or widths that do not divide this one's.
        """
        start = read_start(str(source))
        try:
            weights = widened(start.filled(self.network), self.network, self.recipe.seed)
            self.network.load_state_dict(weights)
            self.ema.load_state_dict(weights)
        except TORCH_FAULTS as error:
            said = str(error).partition("\n")[0]
            raise UsageError(f"{source} holds a different network than recipe {self.recipe.name!r}: {said}") from error
        return start
