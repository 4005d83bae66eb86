"""How the pictures that are enhanced at once share the CPU threads of the models, in every command.

A run of the model on several threads waits for the slowest of them in every layer, and what lies between two runs, such
as the cutting of windows, keeps all but one idle. Several runs at once do neither. So threads are lent: few to each
picture while many wait, and all to one that is alone, which runs several of its windows at once. Every run takes memory
for a window, and for the picture around it, so there are no more than the memory allows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lumen.config import EnhanceOptions
from lumen.enhance.tile_size import plan_windows, window_px
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Model, Models
from lumen.stages import AHEAD_BYTES

PER_RUN = 2  # pictures, or windows of one: with fewer, the last one would have one thread while the others idle


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one picture may use.

    Attributes:
        threads: CPU threads of all its runs together.
        runs: How many runs of a model there may be at once.
    """

    threads: int
    runs: int

    def runs_for(self, picture: Picture, model: Model, options: EnhanceOptions) -> int:
        """Return how many windows of a picture to run at once, each on an equal part of the threads."""
        if self.runs == 1:
            return 1
        plan = plan_windows(picture.height, picture.width, model.spec, window_px(model, options))
        return _even(self.threads, min(self.runs, len(plan.tiles) // PER_RUN))

    def sets(self, models: Models, pictures: int) -> list[Models]:
        """Return what works side by side on so many small pictures, such as the frames of a clip."""
        runs = _even(self.threads, min(self.runs, pictures // PER_RUN))
        return [models.with_threads(self.threads // runs)] * runs


def whole_share(models: Sequence[Model], variants: Collection[EnhanceOptions]) -> Share:
    """Return what there is to share.

    Args:
        models: They run one after the other on each picture.
        variants: The options of the pictures.

    Raises:
        UsageError: The requested window or memory is too small.
    """
    threads = min((model.threads for model in models), default=1)
    in_memory = (_runs_in_memory(model, options) for model in models for options in variants)
    return Share(threads=threads, runs=_even(threads, min([threads, *in_memory])))


class Cores:
    """The CPU threads of models, lent to one picture after the other; thread-safe.

    Attributes:
        sets: The models.
        runs: How many pictures can be worked on at once.
    """

    def __init__(self, sets: Collection[Models], variants: Collection[EnhanceOptions]) -> None:
        """Open the models; arguments and errors as in `whole_share`."""
        self.sets = tuple(sets)
        self._all = whole_share([models.for_sample("uint8") for models in self.sets], variants)
        self.runs = self._free = self._all.runs
        self._asking = 0
        self._changed = threading.Condition()

    @contextmanager
    def lend(self, others: Callable[[], int]) -> Iterator[Share]:
        """Lend threads to a picture, as soon as there are any.

        Args:
            others: Returns how many pictures nobody has asked for yet.
        """
        with self._changed:
            self._asking += 1
            self._changed.wait_for(lambda: self._free > 0)
            pictures = others() + self._asking
            self._asking -= 1
            runs = self.runs // max(1, min(self.runs, pictures // PER_RUN))
            while runs > self._free:
                runs //= 2
            self._free -= runs
        try:
            yield self._all if runs == self.runs else Share(threads=self._all.threads // self.runs * runs, runs=runs)
        finally:
            with self._changed:
                self._free += runs
                self._changed.notify()


def workers_on(sets: Sequence[Models], variants: Collection[EnhanceOptions]) -> list[Cores]:
    """Return what works side by side on pictures: the cores of each device, once for each picture at a time."""
    return [cores for cores in (Cores([models], variants) for models in sets) for _ in range(cores.runs)]


def _even(threads: int, runs: int) -> int:
    """Return the largest number of runs, up to `runs`, that leaves as few threads over as possible; at least 1."""
    return threads // -(-threads // max(1, runs))


def _runs_in_memory(model: Model, options: EnhanceOptions) -> int:
    """Return for how many windows at once, each with the pictures around it, there is memory."""
    if model.spec.whole:
        return 1
    window_bytes = window_px(model, options) ** 2 * model.spec.bytes_per_px
    asked = model.budget_bytes if options.max_memory_bytes is None else options.max_memory_bytes
    return min(asked // window_bytes, model.budget_bytes // (window_bytes + AHEAD_BYTES))
