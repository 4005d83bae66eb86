"""How a training is run: folders, and settings of the machine. What a training learns is set by its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lumen.config import RuntimeOptions
from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one run.

    Attributes:
        data: Folder of pairs, or None.
        photos: Folders of well-lit photographs.
        val: Folder of pairs to validate on; None holds out scenes of `data`.
        run: Folder of the run.
        resume: `auto` (the run's `last.pt` if there is one), a checkpoint's path, or None for a new run.
        init: A checkpoint whose weights a new run starts from; ignored when a run is resumed.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of this process; 0 leaves the choice to torch.
        workers: Processes that prepare batches; 0 prepares them in a thread.
        resident: Keep the pictures in the device's memory, and cut the crops there.
        fit_memory: Take each batch in as few parts as the memory allows.
        recompute: Keep few activations, and recompute the rest in the backward pass.
        compile: Let torch compile the network.
        tensorboard: Also write TensorBoard's event files.
        check_pairs: Look for misaligned pairs and shared scenes first.
    """

    run: Path
    data: Path | None = None
    photos: tuple[Path, ...] = ()
    val: Path | None = None
    resume: str | None = None
    init: Path | None = None
    device: str = RuntimeOptions.device
    threads: int = RuntimeOptions.threads
    workers: int = 0
    resident: bool = False
    fit_memory: bool = False
    recompute: bool = False
    compile: bool = False
    tensorboard: bool = False
    check_pairs: bool = True

    def __post_init__(self) -> None:
        if self.resident and self.workers:
            raise UsageError("expected --resident or --workers, got both: resident pictures need no worker processes")
        RuntimeOptions(device=self.device, threads=self.threads).require_one_device()
