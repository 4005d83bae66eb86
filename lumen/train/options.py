"""How a training is run: what belongs to the machine and changes no result, unlike a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lumen.config import RuntimeOptions
from lumen.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of one run.

    Attributes:
        data: Folders of pairs.
        photos: Folders of well-lit photographs.
        weights: How often pairs of each folder of `data`, and photographs of each of `photos`, are drawn; alike where
            empty.
        val: Folder of pairs to validate on; None holds out scenes of `data`.
        run: Folder of the run.
        resume: `auto` (the run's `last.pt` if there is one), a checkpoint's path, or None for a new run.
        init: A checkpoint, an exported model's file, or a bundled model's name, whose weights a new run starts from; a
            run that is resumed has its own.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of this process; 0 leaves torch's choice.
        workers: Processes that draw batches ahead; 0 draws them in a thread.
        resident: Keep the pictures in the device's memory, and cut crops there.
        fit_memory: Take each batch in as few parts as the memory allows.
        recompute: Keep few activations, and compute the rest again in the backward pass.
        compile: Let torch compile the network.
        tensorboard: Also write TensorBoard's event files.
        check_pairs: Look for misaligned pairs and shared scenes first.
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

    def __post_init__(self) -> None:
        if self.resident and self.workers:
            raise UsageError(
                "expected --resident or --workers, got both: resident pictures need no processes that draw"
            )
        RuntimeOptions(device=self.device, threads=self.threads).require_one_device()
