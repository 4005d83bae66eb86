"""How many parts a batch must be split into to fit the memory, measured with the network itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path

import torch

from lumen.runtime.memory import free_ram_bytes
from lumen.train.stepper import Stepper

log = logging.getLogger(__name__)

SHARE = 0.8  # of the free memory; other programs may take some of the rest meanwhile
TRIED = 2  # crops in the trial; one alone would mostly show fixed costs
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def parts_that_fit(crops: int, bytes_per_crop: float, free_bytes: float) -> int:
    """Return the fewest equal parts that fit; one crop at a time if not even that fits.

    >>> parts_that_fit(16, 10.0, 100.0), parts_that_fit(16, 10.0, 1000.0), parts_that_fit(16, 10.0, 5.0)
    (2, 1, 16)
    """
    fitting = max(1, min(crops, math.floor(free_bytes / max(bytes_per_crop, 1.0))))
    return math.ceil(crops / fitting)


def fit_batch(stepper: Stepper, crops: int, thumbnail_px: int) -> None:
    """Set `stepper.parts` so that a process's share of a batch fits the free memory of its device.

    The gradient of two random crops is computed and thrown away, to measure its memory. Weights, optimiser state and
    random numbers of the training do not change. Networks that read no thumbnails in training have `thumbnail_px` 0.
    """
    device = stepper.world.device
    tried = min(TRIED, crops)
    generator = torch.Generator().manual_seed(0)
    side, small = stepper.recipe.data.crop_px, thumbnail_px or 1
    low = torch.rand(tried, 3, side, side, generator=generator)
    thumbnails, boxes = torch.rand(tried, 3, small, small, generator=generator), torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    batch = (low, 1 - low, thumbnails, torch.full((tried,), 0.5), boxes.expand(tried, -1))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_ram_bytes()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        stepper.network.train()
        peak = peak_bytes(device, lambda: torch.autograd.backward(stepper.loss(batch)))
        stepper.optimizer.zero_grad()
    if peak is None:
        log.warning("cannot measure the memory of a step on this system; batches stay as in the recipe")
        return
    optimizer = 2 * sum(p.numel() * p.element_size() for p in stepper.trained)  # Adam keeps two values for each
    stepper.parts = parts_that_fit(crops, peak / tried, SHARE * free - optimizer)
    log.info(
        "a crop takes %.0f MB, %.1f GB are free: %d part(s) a batch", peak / tried / 1e6, free / 1e9, stepper.parts
    )


def peak_bytes(device: torch.device, work: Callable[[], object]) -> int | None:
    """Run `work`; return the most bytes it needed on top of those in use before, or None if unknown.

    On a GPU this is what torch allocated, elsewhere the resident memory of the process (Linux only).
    """
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    try:
        _RESET.write_text("5", encoding="ascii")  # resets the peak
        before = _resident("VmRSS")
        work()
        return max(0, _resident("VmHWM") - before)
    except (OSError, LookupError):
        work()
        return None


def _resident(name: str) -> int:
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
