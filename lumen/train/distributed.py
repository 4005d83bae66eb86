"""Several processes under `torchrun`, or a single one, behind the same calls."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch import distributed as dist

from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class World:
    """This process among all.

    Attributes:
        rank: The process with rank 0 writes files and reports.
        size: Number of processes.
        device: Where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share_of(self, batch: int) -> int:
        """Return how many crops of a batch each process takes.

        Raises:
            UsageError: The crops cannot be shared evenly.
        """
        if batch % self.size:
            raise UsageError(f"expected data.batch={batch} to divide over {self.size} processes")
        return batch // self.size

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def mean_gradients(self, parameters: Iterable[Tensor], stop: bool, loss: float) -> tuple[bool, float]:
        """Average the gradients of all processes in one message.

        Returns:
            Whether any process wants to stop, and the mean of their losses.
        """
        if self.size == 1:
            return stop, loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients] + [gradients[0].new_tensor([float(stop), loss])])
        self.sum(flat)
        means = torch.split(flat[:-2] / self.size, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))
        return bool(flat[-2] > 0), float(flat[-1]) / self.size


def join_world(device: str) -> World:
    """Join the processes that `torchrun` started; without it, this process is alone.

    The device is `auto`, `cpu`, `cuda` or `cuda:N`; under torchrun each process takes the GPU of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and size > 1:
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    chosen = torch.device(device)
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(rank=rank, size=size, device=chosen)


def leave_world(world: World) -> None:
    """Leave what `join_world` joined."""
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()
