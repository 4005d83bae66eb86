"""How a training is run: folders, and settings of the machine. What a training learns is set by its recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lumen.config import RuntimeOptions
from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one run, as `lumen train --help` describes them.

    Attributes:
        run: Folder of the run, `--out`.
        photos: Folders of well-lit photographs, `--synthetic`.
        weights: How often pairs of each folder of `data`, and photographs of each of `photos`, are drawn; empty draws
            all alike.
        resume: `auto` (the run's `last.pt` if there is one), the path of a checkpoint or of a run, or None for a new
            run.
        init: A checkpoint, an ONNX file or the name of a bundled model; ignored when a run is resumed.
        skip_bad: Leave out pairs and photographs that cannot be decoded, and pairs of two sizes, instead of refusing
            them.
        fit_memory: `--batch auto`: take each batch in as few parts as the memory allows.
    """

    run: Path
    data: tuple[Path, ...] = ()
    photos: tuple[Path, ...] = ()
    weights: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    val: Path | None = None
    resume: str | None = None
    init: str | Path | None = None
    device: str = RuntimeOptions.device
    threads: int = RuntimeOptions.threads
    workers: int = 0
    resident: bool = False
    fit_memory: bool = False
    recompute: bool = False
    compile: bool = False
    tensorboard: bool = False
    check_pairs: bool = True
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if self.resident and self.workers:
            raise UsageError("expected --resident or --workers, got both: resident pictures need no worker processes")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UsageError(f"expected --device auto, cpu, cuda or cuda:N for training, got {self.device!r}")
        RuntimeOptions(device=self.device, threads=self.threads)  # checks the rest
