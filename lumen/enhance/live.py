"""Steady light for frames as they come: the tone of each from the past alone, and a state that outlasts a restart."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from lumen.enhance.steady import NEUTRAL, REACH, Settings, Tones
from lumen.enhance.still import GRID, cell_levels, is_other_scene, over_pixels, passing
from lumen.runtime.protocols import Floats, Model

ADAPTING = 0.025  # share of the way to the tone of the latest frame: a change is followed in some 40 frames
WINDOW = int(2 * REACH) + 1  # frames
LARGEST_STATE = 32 << 20  # bytes
_NAMES = ("cells", "background", "path", "settings", "odd_cells", "odd_path")


class LiveLight:
    """Smooths the tones of frames in the order in which they come.

    A frame of another scene has its own tone, and the second one in a row begins a new path: so a flash changes
    nothing, and a cut is followed at once.

    >>> from lumen.runtime.open import open_model
    >>> model, dark = open_model(), np.full((128, 128, 3), 0.05, np.float32)
    >>> light = LiveLight(model)
    >>> first = light.tone(dark)
    >>> again = LiveLight(model, light.state())
    >>> bool(np.array_equal(again.tone(dark), light.tone(dark)))
    True
    """

    def __init__(self, model: Model, state: bytes = b"") -> None:
        """Prepare.

        Args:
            model: A model of contract 2, see `lumen.enhance.steady.refuse_unsteady`.
            state: What `state` gave earlier. One of another model, or that is damaged, is left unused: then the next
                frame begins a path.
        """
        self._model = model
        self._tones = Tones(model)
        self._settings: Settings = NEUTRAL
        self._cells: list[Floats] = []
        self._background = np.empty((0, 0, 3), np.float16)  # the latest look of every cell through which nothing passes
        self._path = np.empty(0, np.float32)
        self._odd_cells: Floats | None = None  # of a frame that may begin another scene
        self._odd_path = self._path
        if state:
            self._restore(state)

    @property
    def has_begun(self) -> bool:
        """Whether there is a path that the next frame goes on with."""
        return bool(self._cells)

    def tone(self, thumbnail: Floats, *, ev: float = NEUTRAL[0], shadows: float = NEUTRAL[1]) -> Floats:
        """Return the tone of the next frame, float32 [K].

        Args:
            thumbnail: float32 [h, w, 3] in [0, 1], as `thumbnail_of` makes it.
            ev: As in `EnhanceOptions`. Where it changes, or `shadows`, another path begins.
            shadows: As in `EnhanceOptions`.

        Raises:
            ModelError: The model failed.
        """
        cells, small = cell_levels(thumbnail), thumbnail.astype(np.float16)
        if not self._cells or self._settings != (ev, shadows) or self._background.shape != small.shape:
            self._settings, self._odd_cells = (ev, shadows), None
            self._cells, self._background, self._path = [cells], small, self._tones.path(small, (ev, shadows))
            return self._tones.tone(self._path)
        if is_other_scene(self._cells[-1], cells):
            if self._odd_cells is None or is_other_scene(self._odd_cells, cells):
                self._odd_cells, self._odd_path = cells, self._tones.path(small, self._settings)
                return self._tones.tone(self._odd_path)
            self._cells, self._background, self._path = [self._odd_cells], small, self._odd_path
        self._odd_cells = None
        return self._tones.tone(self._follow(cells, small))

    def tone_of_late(self, thumbnail: Floats, *, ev: float = NEUTRAL[0], shadows: float = NEUTRAL[1]) -> Floats:
        """Return the tone of a frame that comes too late, and leave the path as it is; arguments as for `tone`.

        It is that of the path, or its own if it shows another scene or has other settings.
        """
        if self._settings == (ev, shadows) and not is_other_scene(self._cells[-1], cell_levels(thumbnail)):
            return self._tones.tone(self._path)
        return self._tones.tone(self._tones.path(thumbnail, (ev, shadows)))

    def _follow(self, cells: Floats, thumbnail: NDArray[np.float16]) -> Floats:
        """Go on with the path, towards the tone of a frame of which what only passes is taken out."""
        self._cells = [*self._cells, cells][-WINDOW:]
        mask, _ = passing(cells, self._cells)
        pixels = over_pixels(mask, *thumbnail.shape[:2])[:, :, None]
        self._background = np.where(pixels, self._background, thumbnail)
        solved = self._tones.path(self._background, self._settings)
        self._path = (self._path + np.float32(ADAPTING) * (solved - self._path)).astype(np.float32)
        return self._path

    def state(self) -> bytes:
        """Return the state, about 120 kB, from which a later process goes on exactly."""
        arrays: dict[str, Any] = {
            "weights": np.array(self._model.spec.weights_sha256),
            "settings": np.array(self._settings),
            "cells": np.array(self._cells, np.float32),
            "background": self._background,
            "path": self._path,
        }
        if self._odd_cells is not None:
            arrays |= {"odd_cells": self._odd_cells, "odd_path": self._odd_path}
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        return stream.getvalue()

    def _restore(self, state: bytes) -> None:
        found = _read(state)
        if found is None or str(found.get("weights")) != self._model.spec.weights_sha256:
            return
        cells, background, path, settings, odd_cells, odd_path = map(found.get, _NAMES)
        size, side = self._model.spec.tone_size, self._model.spec.thumbnail_px
        grid = min(side, GRID)
        if (
            not _is_like(cells, "float32", (None, grid, grid))
            or not 1 <= len(cells) <= WINDOW
            or not _is_like(background, "float16", (side, side, 3))
            or not _is_like(path, "float32", (size,))
            or not _is_like(settings, "float64", (2,))
        ):
            return
        self._cells, self._background, self._path = list(cells), background, path
        self._settings = (float(settings[0]), float(settings[1]))
        if _is_like(odd_cells, "float32", (grid, grid)) and _is_like(odd_path, "float32", (size,)):
            self._odd_cells, self._odd_path = odd_cells, odd_path


def _read(state: bytes) -> Mapping[str, Any] | None:
    """Return the arrays of a state, None if it is damaged."""
    if len(state) > LARGEST_STATE:
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(state)) as members:
            if any(each.compress_type != zipfile.ZIP_STORED for each in members.infolist()):  # which may swell
                return None
        with np.load(io.BytesIO(state), allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError, MemoryError):
        return None


def _is_like(array: Any, dtype: str, shape: tuple[int | None, ...]) -> TypeGuard[NDArray[Any]]:
    """Tell whether something is an array of a type and shape, of finite numbers."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != len(shape):
        return False
    fits = all(wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True))
    return fits and bool(np.isfinite(array).all())
