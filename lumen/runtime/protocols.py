"""What the main path needs from a model, as protocols: the one seam between lumen and onnxruntime."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lumen.spec import ModelSpec, SampleType

Pixels = NDArray[np.integer[Any]]
Floats = NDArray[np.float32]


class Model(Protocol):
    """A model ready to run; one thread at a time."""

    @property
    def spec(self) -> ModelSpec:
        """Facts about the model."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda:N`: where it really runs."""

    @property
    def budget_bytes(self) -> int:
        """Memory one inference may take."""

    window_limit_px: int | None
    """Largest window side that memory has proved to allow; None while it was never short."""

    def run(self, tiles: Pixels, thumbnails: Floats, ev: Floats) -> Pixels:
        """Enhance tiles [N, H, W, 3] as `lumen.spec` says.

        Raises:
            OutOfMemoryError: Memory was short.
            NotFiniteError: The result is NaN or infinity.
        """

    def brightness(self, thumbnail: Floats, ev: float = 0.0) -> float:
        """Return the mean sRGB level in [0, 1] the output aims at for a thumbnail [h, w, 3]."""

    def release(self) -> None:
        """Give the memory of the session back; the next run makes a new one."""


class Models(Protocol):
    """The 8-bit and the 16-bit twin of one model."""

    def for_sample(self, sample: SampleType) -> Model:
        """Return the twin for a sample type, opened on first use; safe to call from several threads."""
