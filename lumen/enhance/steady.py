"""Steady light: one path of tones for a sequence of pictures, such as the frames of a camera.

::

    thumbnails -> cuts; what only passes is taken out -> tone, as the model solves it -> smoothed over time

What is smoothed is the whole tone of `lumen.spec`, so the curve, its shape, the local light and the context change
together. `SteadyLight` looks ahead, and its tones neither lag nor jump; `lumen.enhance.live.LiveLight` knows the past
only. Both hold thumbnails and tones, never pictures, and of a bounded number of frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.enhance.model_choice import model_for
from lumen.enhance.still import cell_levels, is_other_scene, over_pixels, passing
from lumen.errors import UsageError
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.runtime.protocols import Floats, Model, Models

Item = TypeVar("Item")
Settings = tuple[float, float]  # ev, shadows

REACH = 12.0  # frames on either side in which most of a passing thing is gone
# On either side, whatever their times say: some 100 MB of thumbnails, twice that if all are lit by what passes.
MOST_FRAMES = 240
FLASH_FRAMES = 2  # a change that is over after so many frames is no cut
NEUTRAL: Settings = (EnhanceOptions.ev, EnhanceOptions.shadows)
# Parts of the tone of `tone-mirnet` that are factors (toe, fade); exposure and local light are logarithms already.
_FACTORS = {"tone-mirnet": [1, 5]}


@dataclass(frozen=True, kw_only=True)
class Steady(Generic[Item]):
    """A frame that is ready.

    Attributes:
        item: What was pushed with it.
        tone: float32 [K], its tone, for `fixed_tone` of `enhance_picture` or `fixed_tones` of `enhance_frames`.
        is_cut: Whether another scene begins with it.
        variants: Its tones with the other settings that were asked for.
    """

    item: Item
    tone: Floats
    is_cut: bool
    variants: Mapping[Settings, Floats]


@dataclass(kw_only=True)
class _Frame(Generic[Item]):
    """A frame on its way.

    Attributes:
        time: When it is.
        item: What was pushed with it.
        settings: With which its tone is solved.
        variants: Settings with which its tone is wanted besides.
        cells: Log levels of its cells.
        thumbnail: float16 [h, w, 3].
        is_cut: Whether another scene begins with it.
        is_alone: Whether it is a flash: it has its own tone, and the frames around it do not see it.
        still: The thumbnail without what only passes, once that is known.
        paths: Its tone with each of the settings that are wanted around it, in the domain in which it is smoothed.
    """

    time: float
    item: Item
    settings: Settings
    variants: Sequence[Settings]
    cells: Floats
    thumbnail: NDArray[np.float16]
    is_cut: bool = False
    is_alone: bool = False
    still: NDArray[np.float16] | None = None
    paths: dict[Settings, Floats] = field(default_factory=dict)


def refuse_unsteady(model: Model, options: EnhanceOptions) -> None:
    """Refuse models that decide nothing as a tone, and options that need several.

    Raises:
        UsageError: The model or the passes do not allow one tone for all.
    """
    if model.spec.contract == 1:
        raise UsageError(
            f"model {model.spec.name!r} has no tone stage, so its brightness cannot be held steady; use lumen-s"
        )
    if options.quality_passes > 4:
        raise UsageError(
            f"expected --quality-passes 1 or 4 with one tone for several pictures, got {options.quality_passes}: "
            "turned pictures have another tone"
        )


class Tones:
    """Solves tones, in the domain in which they are mixed: logarithms where a part is a factor."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._factors = _FACTORS.get(model.spec.architecture, [])

    def path(self, thumbnail: NDArray[np.floating], settings: Settings) -> Floats:
        """Return the tone of a thumbnail [h, w, 3] as a point of the path, float32 [K]."""
        ev, shadows = (np.array([value], np.float32) for value in settings)
        path = self._model.tone(thumbnail[None].astype(np.float32), ev, shadows)[0].copy()
        path[self._factors] = np.log(path[self._factors])
        return np.asarray(path)

    def tone(self, path: Floats) -> Floats:
        """Return the tone of a point of the path, float32 [K]."""
        tone = path.astype(np.float32)
        tone[self._factors] = np.exp(tone[self._factors])
        return tone


class SteadyLight(Generic[Item]):
    """Smooths the tones of a sequence that is there already, and looks ahead for it.

    Frames come out in the order in which they went in, each once, about three `reach` later; all that are left come out
    at a cut and at `end`.

    >>> from lumen.runtime.open import open_model
    >>> model = open_model()
    >>> light, dark = SteadyLight(model), np.full((128, 128, 3), 0.05, np.float32)
    >>> ready = [frame for number in range(40) for frame in light.push(number, dark, f"frame {number}")]
    >>> ready += light.end()
    >>> len(ready), ready[0].item, ready[0].is_cut, ready[0].tone.shape == (model.spec.tone_size,)
    (40, 'frame 0', True, True)
    """

    def __init__(self, model: Model, *, reach: float = REACH) -> None:
        """Prepare.

        Args:
            model: A model of contract 2, see `refuse_unsteady`; of either sample type, since both have the same tones.
            reach: How far a frame looks to either side for what stays still, in the unit of the times; tones are
                smoothed over twice as far. Half a second is right for clips.
        """
        self._tones = Tones(model)
        self._reach = reach
        self._scene: list[_Frame[Item]] = []
        self._odd: list[_Frame[Item]] = []  # unlike the scene: a cut, or a flash
        self._solved = self._done = 0  # how many of the scene

    def push(
        self,
        time: float,
        thumbnail: Floats,
        item: Item,
        *,
        ev: float = NEUTRAL[0],
        shadows: float = NEUTRAL[1],
        variants: Sequence[Settings] = (),
    ) -> list[Steady[Item]]:
        """Add the next frame, and return those that are ready.

        Args:
            time: Of the frame, not before that of the last one: seconds, or its number.
            thumbnail: float32 [h, w, 3] in [0, 1], as `thumbnail_for` makes it for the model.
            item: Returned with the tone of the frame.
            ev: As in `EnhanceOptions`. A frame with another one, or other `shadows`, has the tone that it would have if
                all frames had these.
            shadows: As in `EnhanceOptions`.
            variants: Other settings with which its tone is wanted besides.

        Raises:
            ModelError: The model failed.
        """
        cells, small = cell_levels(thumbnail), thumbnail.astype(np.float16)
        frame = _Frame(time=time, item=item, settings=(ev, shadows), variants=variants, cells=cells, thumbnail=small)
        last = next((each for each in reversed(self._scene) if not each.is_alone), None)
        if last is None:
            return [*self.end(), *self._begin([frame])]
        if not is_other_scene(last.cells, cells):
            for each in self._odd:  # they were a flash
                each.is_alone = True
            self._scene += [*self._odd, frame]
            self._odd = []
        elif self._odd and is_other_scene(self._odd[-1].cells, cells):  # one cut after the other
            ready = self._begin(self._odd)
            self._odd = [frame]
            return ready
        else:
            self._odd.append(frame)
            if len(self._odd) > FLASH_FRAMES:
                return self._begin(self._odd)
        return self._advance()

    def end(self) -> list[Steady[Item]]:
        """Return the frames that are left; another sequence may begin."""
        return [*self._begin(self._odd), *self._begin([])]

    def _begin(self, frames: list[_Frame[Item]]) -> list[Steady[Item]]:
        """End the scene, whose last frames are returned, and begin another with some frames."""
        ready = self._advance(is_over=True)
        for each in frames[:1]:
            each.is_cut = True
        self._scene, self._odd = frames, []
        self._solved = self._done = 0
        return ready

    def _advance(self, *, is_over: bool = False) -> list[Steady[Item]]:
        """Settle and smooth the frames around which enough is known, and let go of those that nothing needs."""
        while self._solved < len(self._scene) and (is_over or self._reaches(self._solved, len(self._scene), 1)):
            self._settle(self._solved)
            self._solved += 1
        ready = []
        while self._done < self._solved and (is_over or self._reaches(self._done, self._solved, 2)):
            ready.append(self._smooth(self._done))
            self._done += 1
        first = 0
        while first < self._done and self._reaches(first, self._done + 1, 2):
            first += 1
        del self._scene[:first]
        self._solved -= first
        self._done -= first
        return ready

    def _reaches(self, index: int, stop: int, times: int) -> bool:
        """Tell whether the frames before `stop` include all that a frame looks at: as far as `times` the reach."""
        later = self._scene[min(stop, len(self._scene)) - 1]
        return later.time - self._scene[index].time > times * self._reach or stop - index > times * MOST_FRAMES

    def _around(self, index: int, stop: int, times: int) -> list[_Frame[Item]]:
        """Return the frames before `stop` as far as `times` the reach around a frame, but for flashes."""
        here, most = self._scene[index], times * MOST_FRAMES
        near = self._scene[max(0, index - most) : min(stop, index + most + 1)]
        return [each for each in near if not each.is_alone and abs(each.time - here.time) <= times * self._reach]

    def _settle(self, index: int) -> None:
        """Take what only passes out of a frame."""
        frame = self._scene[index]
        frame.still = frame.thumbnail
        if frame.is_alone:
            return
        around = self._around(index, len(self._scene), 1)
        mask, usual = passing(frame.cells, [each.cells for each in around])
        if mask.any():
            # From frames as they are: in a mean there would be no noise, by which the shape of the curve is chosen.
            nearest = np.abs(np.stack([each.cells for each in around]) - usual).argmin(axis=0)
            frame.still = frame.thumbnail.copy()
            for source in np.unique(nearest[mask]):
                pixels = over_pixels(mask & (nearest == source), *frame.still.shape[:2])
                frame.still[pixels] = around[source].thumbnail[pixels]

    def _smooth(self, index: int) -> Steady[Item]:
        """Return a frame with the mean of the tones around it, the nearer ones with more weight."""
        frame = self._scene[index]
        around = [frame] if frame.is_alone else self._around(index, self._solved, 2)
        weights = np.array([1.04 - abs(each.time - frame.time) / (2 * self._reach) for each in around])

        def tone(settings: Settings) -> Floats:
            paths = [self._path(each, settings) for each in around]
            return self._tones.tone(np.average(paths, axis=0, weights=weights))

        variants = {each: tone(each) for each in frame.variants}
        return Steady(item=frame.item, tone=tone(frame.settings), is_cut=frame.is_cut, variants=variants)

    def _path(self, frame: _Frame[Item], settings: Settings) -> Floats:
        """Return the tone of a frame that is settled, as a point of the path; it is solved once."""
        if settings not in frame.paths:
            assert frame.still is not None
            frame.paths[settings] = self._tones.path(frame.still, settings)
        return frame.paths[settings]


def thumbnail_of(picture: Picture, models: Models) -> Floats:
    """Return the thumbnail float32 [h, w, 3] from which the model for a picture, or its first frame, decides."""
    model, tone = model_for(picture, models)
    return thumbnail_for(picture.first.pixels, model.spec, None if tone is None else tone.seen)
