"""How the pictures of a run share the CPU: one after the other on all threads, or several at once.

A run of the model on several threads waits for the slowest of them in every layer, and what lies between two runs, such
as the cutting of tiles, keeps all but one idle. Several runs at once do neither. They take memory for a tile each, and
for the pictures, so there are only as many as the memory allows; the threads are shared out between them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lumen.config import EnhanceOptions
from lumen.enhance.tile_size import window_px
from lumen.runtime.protocols import Model, Models
from lumen.stages import AHEAD_BYTES

PICTURES_PER_RUN = 2  # with fewer, the last picture would have one thread while the others idle


def share_cores(sets: Sequence[Models], pictures: int, variants: Collection[EnhanceOptions]) -> list[Models]:
    """Return what works side by side on many pictures: models once for each picture that is worked on at a time.

    Args:
        sets: The models of each device; they are left if others take their place.
        pictures: How many there are to do.
        variants: The options of the pictures.

    Raises:
        UsageError: The requested window or memory is too small.
    """
    return [each for models in sets for each in _workers(models, pictures // len(sets), variants)]


def _workers(models: Models, pictures: int, variants: Collection[EnhanceOptions]) -> list[Models]:
    """Return the models of one device, once for each picture that is worked on at a time."""
    model = models.for_sample("uint8")
    runs = min(model.threads, pictures // PICTURES_PER_RUN, *(_runs_in_memory(model, each) for each in variants))
    if runs < 2:
        return [models]
    runs = model.threads // -(-model.threads // runs)  # as many as have the same number of threads
    return [models.split(runs)] * runs


def _runs_in_memory(model: Model, options: EnhanceOptions) -> int:
    """Return for how many tiles at once, each with the pictures around it, there is memory."""
    if model.spec.whole:
        return 1
    tile_bytes = window_px(model, options) ** 2 * model.spec.bytes_per_px
    asked = model.budget_bytes if options.max_memory_bytes is None else options.max_memory_bytes
    return min(asked // tile_bytes, model.budget_bytes // (tile_bytes + AHEAD_BYTES))
