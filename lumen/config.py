"""Options as frozen dataclasses: defaults stated once, checked on construction, units in the names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lumen.errors import UsageError

DEFAULT_MODEL = "lumen-s"
EV_LIMIT = 4.0
QUALITY_PASSES = (1, 4, 8)

Existing = Literal["skip", "update", "overwrite", "error"]


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """How a model is run.

    Attributes:
        model: Name of a bundled model or path of an ONNX file made by `lumen export-onnx`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of one inference; 0 lets onnxruntime choose.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        head, _, index = self.device.partition(":")
        if head not in ("auto", "cpu", "cuda") or (index and (head != "cuda" or not index.isdigit())):
            raise UsageError(f"expected --device auto, cpu, cuda or cuda:N, got {self.device!r}")
        if self.threads < 0:
            raise UsageError(f"expected threads of at least 0, got {self.threads}")


@dataclass(frozen=True, kw_only=True)
class EnhanceOptions:
    """What is done to one picture.

    Attributes:
        ev: Exposure in stops relative to the model's own choice, within ±4.
        strength: How far to go from the input to the enhanced picture, 0 to 1: 0 keeps every pixel, 1 is the model's
            result.
        quality_passes: Runs of the model per window, 1, 4 or 8: the result is the mean over the picture mirrored (4)
            and also transposed (8), turned back.
        tile_px: Largest side of a window in pixels; None chooses by free memory.
        max_memory_bytes: Working memory of one inference; None takes 0.6 of what is free.
        quality: JPEG, WebP quality 1 to 100.
        max_pixels: Larger pictures are refused before they are decoded.
    """

    ev: float = 0.0
    strength: float = 1.0
    quality_passes: int = 1
    tile_px: int | None = None
    max_memory_bytes: int | None = None
    quality: int = 95
    max_pixels: int = 512_000_000

    def __post_init__(self) -> None:
        if not math.isfinite(self.ev) or abs(self.ev) > EV_LIMIT:
            raise UsageError(f"expected --ev between -{EV_LIMIT:g} and +{EV_LIMIT:g} stops, got {self.ev:g}")
        if not 0 <= self.strength <= 1:  # also refuses NaN
            raise UsageError(f"expected --strength from 0 to 1, got {self.strength:g}")
        if self.quality_passes not in QUALITY_PASSES:
            raise UsageError(f"expected --quality-passes 1, 4 or 8, got {self.quality_passes}")
        if self.tile_px is not None and self.tile_px < 64:
            raise UsageError(f"expected --tile auto or at least 64 pixels, got {self.tile_px}")
        if self.max_memory_bytes is not None and self.max_memory_bytes < 1:
            raise UsageError(f"expected --max-memory above 0, got {self.max_memory_bytes}")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"expected --quality from 1 to 100, got {self.quality}")
        if self.max_pixels < 1:
            raise UsageError(f"expected --max-pixels above 0, got {self.max_pixels}")


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How many files are found and written.

    Attributes:
        output: Folder that receives the results, mirroring the inputs; created when missing.
        recursive: Descend into sub-folders of input folders.
        existing: What to do when a result is already there: `skip` it, `update` it when the input is newer,
            `overwrite` it, or stop with an `error` before anything is done.
        suffix: Put between the name and the extension of every result.
        fail_fast: Stop after the first file that fails.
    """

    output: Path
    recursive: bool = False
    existing: Existing = "skip"
    suffix: str = ""
    fail_fast: bool = False

    def __post_init__(self) -> None:
        if any(character in self.suffix for character in "/\\\0"):
            raise UsageError(f"expected --suffix to be part of a file name, got {self.suffix!r}")
