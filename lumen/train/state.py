"""What a training changes step by step and a checkpoint keeps: weights, their average, optimiser, rate and counters."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lumen.errors import UsageError
from lumen.models import Network, build_network
from lumen.models.widen import widened
from lumen.train.checkpoint import Checkpoint, load_checkpoint
from lumen.train.distributed import World
from lumen.train.recipe.recipe import Recipe, from_dict
from lumen.train.schedule import RateControl
from lumen.train.start import Start, read_start
from lumen.train.stepper import Stepper, StepResult


class TrainState:
    """A training at some iteration.

    Args:
        recipe: All values, epochs turned into iterations.
        world: This process among all.

    Attributes:
        network: The one that is trained.
        ema: The network with the averaged weights, which is validated and exported.
        stepper: Takes the steps.
        rate: The learning rate.
        iteration: Steps done.
        best: Best score of a validation so far.
        returns: How often the training went back to a checkpoint.
        facts: What checkpoints tell of the run, plain values.
    """

    def __init__(self, recipe: Recipe, world: World) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        self.network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: Network = copy.deepcopy(self.network).requires_grad_(False)
        self.stepper = Stepper(self.network, recipe, world)
        self.rate = RateControl()
        self.iteration, self.best, self.returns = 0, -math.inf, 0
        self.facts: dict[str, Any] = {}

    @property
    def thumbnail_px(self) -> int:
        """Side of the thumbnails that are read in training; 0 where none are."""
        return self.network.thumbnail_px if self.network.predicts_brightness else 0

    def step(self, batch: Sequence[Tensor], stop: bool) -> StepResult:
        """Take one optimiser step, and move the averaged weights.

        Args:
            batch: low and high [n, 3, c, c], thumbnails [n, 3, t, t] and brightness [n] of this process's share.
            stop: Whether this process wants to stop.
        """
        result = self.stepper.step(batch, self.rate.at(self.recipe.optimizer, self.iteration), stop)
        if result.taken:
            self._average()
        self.iteration += 1
        return result

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first, when they are still far off."""
        decay = min(self.recipe.optimizer.ema, (1 + self.iteration) / (10 + self.iteration))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)

    def checkpoint(self, *, with_optimizer: bool, iteration: int | None = None) -> Checkpoint:
        """Return what a file keeps.

        Args:
            with_optimizer: Whether training can go on from it.
            iteration: Of the weights, where it is not the present one.
        """
        state = {"stepper": self.stepper.state(), "pace": self.rate.state(), "returns": self.returns}
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

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ModelError: The file is no checkpoint.
            UsageError: It holds another network, or no optimiser state.
        """
        checkpoint = load_checkpoint(path)
        if checkpoint.optimizer is None:
            raise UsageError(f"expected a checkpoint with optimiser state (last.pt), got {path}")
        if from_dict(checkpoint.recipe).network != self.recipe.network:
            raise UsageError(f"{path} holds another network than recipe {self.recipe.name!r}; use its own recipe")
        self.network.load_state_dict(dict(checkpoint.weights))
        self.ema.load_state_dict(dict(checkpoint.ema))
        self.stepper.optimizer.load_state_dict(dict(checkpoint.optimizer))
        self.iteration, self.best = checkpoint.iteration, checkpoint.best
        self.facts["validation"] = dict(checkpoint.facts.get("validation", {}))
        if checkpoint.state:
            self.stepper.restore(checkpoint.state["stepper"])
            self.rate.restore(checkpoint.state["pace"])
            self.returns = int(checkpoint.state["returns"])

    def begin_from(self, source: str | Path) -> Start:
        """Start a new training from trained weights; return what is known of them.

        Raises:
            ModelError: There is no such model, or its file is damaged.
            UsageError: It holds a network of other blocks, or one whose widths do not divide this one's.
        """
        start = read_start(str(source))
        try:
            weights = widened(start.filled(self.network), self.network, self.recipe.seed)
        except ValueError as error:
            raise UsageError(f"{source} holds another network than recipe {self.recipe.name!r}: {error}") from error
        self.network.load_state_dict(weights)
        self.ema.load_state_dict(weights)
        return start
