"""Options as frozen dataclasses: defaults stated once, checked on construction, units in the names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lumen.errors import UsageError

DEFAULT_MODEL = "lumen-s"
EV_LIMIT = 4.0
QUALITY_PASSES = (1, 4, 8)

PrecisionChoice = Literal["auto", "fp32", "fp16"]
Existing = Literal["skip", "update", "overwrite", "error"]
OutputFormat = Literal["same", "png", "jpg", "webp", "tiff", "avif"]
Subsampling = Literal["auto", "444", "420", "keep"]
MetadataChoice = Literal["keep", "strip"]
Frames = Literal["refuse", "first"]
WatchBackend = Literal["auto", "inotify", "poll"]
WatchOrder = Literal["oldest", "newest"]
OnSuccess = Literal["keep", "move", "delete"]

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+(,[0-9]+)*)?")


def _check_choice(option: str, value: str, choices: object) -> None:
    """Refuse a value that is none of a Literal's."""
    *names, last = get_args(choices)
    if value not in (*names, last):
        raise UsageError(f"expected {option} {', '.join(names)} or {last}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """How a model is run.

    Attributes:
        model: Name of a bundled model or path of an ONNX file made by `lumen export-onnx`.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, or `cuda:N,M,...` where several share the work.
        threads: CPU threads of one inference; 0 lets onnxruntime choose.
        precision: `fp16` runs the half-precision file that stands beside the model (for 8-bit pictures; deeper ones
            always run in fp32), `fp32` never does, `auto` does on a GPU where there is one.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(f"expected --device auto, cpu, cuda, cuda:N or cuda:N,M, got {self.device!r}")
        if len(set(self.devices)) < len(self.devices):
            raise UsageError(f"expected each device once in --device, got {self.device!r}")
        if self.threads < 0:
            raise UsageError(f"expected threads of at least 0, got {self.threads}")
        _check_choice("--precision", self.precision, PrecisionChoice)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices one by one: `("cuda:0", "cuda:2")` for `cuda:0,2`, the name itself where there is one."""
        kind, _, numbers = self.device.partition(":")
        return tuple(f"{kind}:{int(number)}" for number in numbers.split(",")) if numbers else (kind,)

    def require_one_device(self) -> None:
        """Refuse several devices, for work that only one can do.

        Raises:
            UsageError: Several devices are named.
        """
        if len(self.devices) > 1:
            raise UsageError(f"expected one device, got {self.device!r}: only `lumen enhance` shares out its work")


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
        quality: JPEG, WebP, AVIF and HEIC quality 1 to 100.
        subsampling: How finely JPEG, AVIF and HEIC store colours: `444` for every pixel, `420` for four pixels
            together, `keep` as a JPEG has them, `auto` for every pixel from quality 90 on, but not in HEIC.
        metadata: `strip` keeps only what decides how a picture looks: orientation, colour profile, resolution.
        allow_8bit: Store 16-bit pictures also in formats of 8 bits, which are refused otherwise.
        frames: What to do with animations and files of several pages: `refuse` them, or take the `first` picture.
        max_pixels: Larger pictures are refused before they are decoded.
    """

    ev: float = 0.0
    strength: float = 1.0
    quality_passes: int = 1
    tile_px: int | None = None
    max_memory_bytes: int | None = None
    quality: int = 95
    subsampling: Subsampling = "auto"
    metadata: MetadataChoice = "keep"
    allow_8bit: bool = False
    frames: Frames = "refuse"
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
        _check_choice("--subsampling", self.subsampling, Subsampling)
        _check_choice("--metadata", self.metadata, MetadataChoice)
        _check_choice("--frames", self.frames, Frames)
        if self.max_pixels < 1:
            raise UsageError(f"expected --max-pixels above 0, got {self.max_pixels}")


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """How results are named and stored.

    Attributes:
        suffix: Put between the name and the extension of every result.
        format: What the results are stored as, and named; `same` keeps the format of each input.
    """

    suffix: str = ""
    format: OutputFormat = "same"

    def __post_init__(self) -> None:
        if any(character in self.suffix for character in "/\\\0"):
            raise UsageError(f"expected --suffix to be part of a file name, got {self.suffix!r}")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ResultOptions):
    """How many files are found and written.

    Attributes:
        output: Folder that receives the results, mirroring the inputs; created when missing. None with `in_place`.
        in_place: Put every result in the place of its input instead.
        recursive: Descend into sub-folders of input folders.
        include: Patterns of the files that are taken; none takes all.
        exclude: Patterns of files and folders that are left out, whatever `include` says.
        existing: What to do when a result is already there: `skip` it, `update` it when the input is newer,
            `overwrite` it, or stop with an `error` before anything is done.
        compare: Write a picture of before and after beside each result, under its name with `.compare.jpg`.
        shard: `(i, n)` takes the i-th (from 1) of n parts of the files, which together are all of them.
        fail_fast: Stop after the first file that fails.
    """

    output: Path | None = None
    in_place: bool = False
    recursive: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    existing: Existing = "skip"
    compare: bool = False
    shard: tuple[int, int] = (1, 1)
    fail_fast: bool = False

    def __post_init__(self) -> None:
        if self.in_place and self.output is not None:
            raise UsageError(f"expected --out or --in-place, got both: --out {self.output}")
        if not self.in_place and self.output is None:
            raise UsageError("expected --out DIR for the results, or --in-place to replace the inputs")
        if self.in_place and (self.suffix or self.format != "same"):
            raise UsageError("expected --in-place without --suffix and --format: the names of the files stay")
        if self.in_place and self.compare:
            raise UsageError("expected --compare with --out: among the pictures themselves it would be taken for one")
        super().__post_init__()
        if "" in (*self.include, *self.exclude):
            raise UsageError("expected a pattern after --include and --exclude, got nothing")
        index, count = self.shard
        if not 1 <= index <= count:
            raise UsageError(f"expected --shard I/N with I from 1 to N, got {index}/{count}")


@dataclass(frozen=True, kw_only=True)
class WatchOptions(ResultOptions):
    """How a folder is watched.

    Attributes:
        output: Folder that receives the results, mirroring the watched one; created when missing.
        settle_s: A file has its turn when its size and time have not changed for so long.
        backend: How changes are noticed: by what the system tells (`inotify`), by looking (`poll`), or as the file
            system allows (`auto`).
        rescan_s: Everything is looked at so often, whatever was told.
        incomplete_timeout_s: A file that does not decode may still be on its way; so long after its first attempt, at
            the last one, it has failed.
        retries: Attempts at one version of a file, at most.
        on_success: What becomes of an input when its result is on the disk: `keep`, `move` or `delete`.
        archive: Where `move` moves it to.
        failed_dir: Where inputs are moved to that failed or are of an unknown kind; None leaves them.
        ignore: Patterns of files and folders that are left out.
        order: Whose turn is first when several wait.
        skip_backlog: Leave out what is there at the start and not in the ledger.
        oneshot: End when everything that is there is finished.
        min_free_bytes: Pause while the output's disk has less free; None takes 1 GiB, or a tenth of a smaller disk.
    """

    output: Path
    settle_s: float = 2.0
    backend: WatchBackend = "auto"
    rescan_s: float = 60.0
    incomplete_timeout_s: float = 120.0
    retries: int = 5
    on_success: OnSuccess = "keep"
    archive: Path | None = None
    failed_dir: Path | None = None
    ignore: tuple[str, ...] = ()
    order: WatchOrder = "oldest"
    skip_backlog: bool = False
    oneshot: bool = False
    min_free_bytes: int | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("settle", self.settle_s),
            ("rescan", self.rescan_s),
            ("incomplete-timeout", self.incomplete_timeout_s),
        ):
            if not 0 < value < math.inf:
                raise UsageError(f"expected --{option} above 0 seconds, got {value:g}")
        if self.retries < 1:
            raise UsageError(f"expected --retries of at least 1, got {self.retries}")
        if (self.on_success == "move") != (self.archive is not None):
            raise UsageError(f"expected --on-success keep, move:DIR or delete, got {self.on_success!r}")
        if self.min_free_bytes is not None and self.min_free_bytes < 0:
            raise UsageError(f"expected --min-free of at least 0, got {self.min_free_bytes}")
        super().__post_init__()
        if "" in self.ignore:
            raise UsageError("expected a pattern after --ignore, got nothing")
