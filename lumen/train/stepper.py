"""One optimiser step: forward, backward, the mean over all processes, and the update if all gradients are finite."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lumen.models import Network
from lumen.train.distributed import World
from lumen.train.losses import restoration_loss
from lumen.train.recipe.recipe import Recipe
from lumen.train.recipe.sections import OptimizerConfig

log = logging.getLogger(__name__)

AMP_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
SKIPPED_LIMIT = 10  # skipped steps in a row; after that many a training does not recover by itself
SCALED_SKIPPED_LIMIT = 40  # fp16 skips its first steps, up to 16 of them, until it has found the scale of the loss


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result of one step.

    Attributes:
        loss: Of the batch.
        stopping: Whether any process wants to stop.
        taken: Whether the weights were changed; False for NaN or infinite gradients.
    """

    loss: float
    stopping: bool
    taken: bool


class Stepper:
    """Trains a network, which is on the world's device, step by step.

    Attributes:
        parts: Parts in which this process takes its share of a batch; doubled when memory runs out.
        skipped: Steps skipped in a row.
    """

    def __init__(self, network: Network, recipe: Recipe, world: World) -> None:
        self.network, self.recipe, self.world = network, recipe, world
        self.trained = [p for name, p in network.named_parameters() if not name.startswith("exposure.")]
        self.optimizer = make_optimizer(self.trained, recipe.optimizer)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=recipe.optimizer.amp == "fp16")
        self.parts = recipe.optimizer.accumulate
        self.skipped = 0

    @property
    def broken(self) -> bool:
        """Whether too many steps in a row were skipped."""
        return self.skipped >= (SCALED_SKIPPED_LIMIT if self.scaler.is_enabled() else SKIPPED_LIMIT)

    def step(self, batch: Sequence[Tensor], rate: float, stop: bool) -> StepResult:
        """Take one step at a learning rate; `stop` tells that this process wants to stop.

        The batch is this process's share: low and high [n, 3, c, c], thumbnails [n, 3, t, t], brightness [n] and boxes
        [n, 4].
        """
        config = self.recipe.optimizer
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        loss = self._gradient(batch)
        stopping, loss = self.world.mean_gradients(self.trained, stop, loss)
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.trained, config.clip_norm or math.inf)
        taken = bool(torch.isfinite(norm))
        self.skipped = 0 if taken else self.skipped + 1
        if taken or self.scaler.is_enabled():  # the scaler skips infinite gradients itself, and lowers its scale
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return StepResult(loss=loss, stopping=stopping, taken=taken)

    def _gradient(self, batch: Sequence[Tensor]) -> float:
        """Compute the gradients of this process's share, in more parts if memory runs out; return its loss."""
        while True:
            try:
                return self._gradient_in_parts(batch)
            except torch.OutOfMemoryError:
                if self.parts >= len(batch[0]):
                    raise
                self.parts = min(2 * self.parts, len(batch[0]))
                log.warning("out of memory: each batch is now split into %d parts", self.parts)
                self.optimizer.zero_grad()
                torch.cuda.empty_cache()

    def _gradient_in_parts(self, batch: Sequence[Tensor]) -> float:
        self.optimizer.zero_grad()
        total, count = 0.0, len(batch[0])
        for part in zip(*(tensor.chunk(self.parts) for tensor in batch), strict=True):
            share = len(part[0]) / count
            loss = self.loss(part) * share
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return total

    def loss(self, batch: Sequence[Tensor]) -> Tensor:
        """Return the loss of some samples, a scalar."""
        device, amp = self.world.device, self.recipe.optimizer.amp
        low, high, thumbnails, brightness, boxes = (t.to(device, non_blocking=True) for t in batch)
        with torch.autocast(device.type, AMP_TYPES.get(amp), enabled=amp != "off"):
            output = self.network(low.contiguous(memory_format=torch.channels_last), thumbnails, brightness, boxes)
        target = self.network.attainable(high, thumbnails, brightness)
        return restoration_loss(output.float(), target, self.recipe.loss)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores beside the optimiser's state."""
        return {"harmful": self.skipped, "scaler": dict(self.scaler.state_dict())}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what a checkpoint stored; the loss scale only if this training uses one."""
        self.skipped = int(state["harmful"])
        if state["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(dict(state["scaler"]))


def make_optimizer(parameters: Sequence[nn.Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the parameters; weights decay, biases do not."""
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return kind(groups, betas=(config.beta1, config.beta2), eps=config.epsilon)
