"""Protocols of a model: the only interface between the main path and the engines."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lumen.runtime.devices import ComputePrecision, Device
from lumen.spec import ModelSpec, SampleType

Pixels = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]


class Model(Protocol):
    """A model that is ready to run; safe to share between threads."""

    @property
    def spec(self) -> ModelSpec:
        """Spec of the model."""

    @property
    def device(self) -> Device:
        """Where it really runs."""

    @property
    def precision(self) -> ComputePrecision:
        """What it computes in."""

    @property
    def threads(self) -> int:
        """CPU threads of one run, which several runs may share instead; 1 where they cannot."""

    @property
    def budget_bytes(self) -> int:
        """Memory one inference may take."""

    window_limit_px: int | None
    """Largest window side after memory was short; None if it never was."""

    def run(
        self,
        tiles: Pixels,
        thumbnails: Floats,
        ev: Floats,
        *,
        boxes: Floats | None = None,
        shadows: Floats | None = None,
        tones: Floats | None = None,
    ) -> Pixels:
        """Enhance tiles [N, H, W, 3]; inputs as in `lumen.spec`, whatever the contract of the model.

        Without `boxes` each tile is a whole picture; without `shadows` they are 1. With `tones` [M, K], for contract 2,
        these are used instead of the pictures' own.

        Raises:
            OutOfMemoryError: Memory was short.
            NotFiniteError: The result is NaN or infinite.
        """

    def tone(self, thumbnails: Floats, ev: Floats, shadows: Floats) -> Floats:
        """Return the tones [M, K] of pictures, for models of contract 2; inputs as in `lumen.spec`.

        Raises:
            NotFiniteError: The result is NaN or infinite.
        """

    def brightness(self, thumbnail: Floats, ev: float = 0.0) -> float:
        """Return the target mean sRGB level in [0, 1] of the output, for a thumbnail [h, w, 3]."""

    def release(self) -> None:
        """Free the memory of the session; the next run makes a new one."""


class Models(Protocol):
    """The 8-bit and 16-bit pair of one model."""

    def for_sample(self, sample: SampleType) -> Model:
        """Return the model for a sample type, opened on first use; thread-safe."""

    def with_threads(self, threads: int) -> Models:
        """Return the same models, each run of which takes that many CPU threads; several may run at once."""
