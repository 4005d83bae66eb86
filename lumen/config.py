"""Options as frozen dataclasses: each default stated once, values checked on construction, units in the names."""

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
DEFAULT_QUALITY = 95  # where a file has none that could be kept

PrecisionChoice = Literal["auto", "fp32", "fp16", "bf16"]
Existing = Literal["skip", "update", "overwrite", "error"]
OutputFormat = Literal["same", "png", "jpg", "webp", "tiff", "avif", "heic", "jxl"]
Quality = int | Literal["keep"]
Unchanged = Literal["copy", "encode", "skip"]
Subsampling = Literal["auto", "444", "420", "keep"]
MetadataChoice = Literal["keep", "strip"]
Frames = Literal["refuse", "first", "all"]
Sidecars = Literal["copy", "ignore"]
VideoCodec = Literal["auto", "h264", "hevc", "av1", "ffv1"]
Steady = Literal["off", "name", "time"]
EngineChoice = Literal["local", "ray"]
WatchBackend = Literal["auto", "inotify", "poll"]
WatchOrder = Literal["oldest", "newest"]
OnSuccess = Literal["keep", "move", "delete"]

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+(,[0-9]+)*)?|openvino(:(CPU|GPU(\.[0-9]+)?|NPU))?")


def _check_choice(option: str, value: str, choices: object) -> None:
    """Raise a UsageError when `value` is not one of the values of the Literal `choices`."""
    *names, last = get_args(choices)
    if value not in (*names, last):
        raise UsageError(f"expected {option} {', '.join(names)} or {last}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class RuntimeOptions:
    """How a model is run.

    Attributes:
        model: Name of a bundled model, or path of an ONNX file made by `lumen export-onnx`.
        device: `auto`, `cpu`, `cuda`, `cuda:N`, or `cuda:N,M,...` for several GPUs that share the pictures; `openvino`
            or `openvino:CPU|GPU|GPU.N|NPU`.
        threads: CPU threads that models may use together; 0 takes the cores that the process may use.
        precision: `fp32`, or for 8-bit pictures a shorter one (deeper ones always run in fp32). `fp16` uses the
            half-precision file beside the model, or OpenVINO on hardware that computes it; `bf16` uses OpenVINO on
            hardware that computes it. `auto` takes what the device is fastest in, fp16 on an NVIDIA GPU only if the
            file exists.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0
    precision: PrecisionChoice = "auto"

    def __post_init__(self) -> None:
        if not _DEVICE.fullmatch(self.device):
            raise UsageError(
                "expected --device auto, cpu, cuda, cuda:N, cuda:N,M, openvino or openvino:CPU, :GPU or :NPU, "
                f"got {self.device!r}"
            )
        if len(set(self.devices)) < len(self.devices):
            raise UsageError(f"expected each device once in --device, got {self.device!r}")
        if self.threads < 0:
            raise UsageError(f"expected --threads of at least 0, got {self.threads}")
        _check_choice("--precision", self.precision, PrecisionChoice)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices one by one: `("cuda:0", "cuda:2")` for `cuda:0,2`, and the name itself for a single one."""
        kind, _, numbers = self.device.partition(":")
        if kind != "cuda":
            return (self.device,)
        return tuple(f"{kind}:{int(number)}" for number in numbers.split(",")) if numbers else (kind,)

    def require_one_device(self) -> None:
        """Refuse several devices, for work that runs on one.

        Raises:
            UsageError: Several devices are given.
        """
        if len(self.devices) > 1:
            raise UsageError(f"expected one device, got {self.device!r}: only enhance and watch can use several")


@dataclass(frozen=True, kw_only=True)
class EnhanceOptions:
    """What is done to one picture.

    Attributes:
        ev: Exposure in stops relative to the model's own choice, -4 to +4.
        shadows: Factor of the local light that opens dark parts of a picture, 0 to 2: 0 leaves it out, 1 is the model's
            own choice. Models without it refuse other values.
        strength: Blend between the input and the model's result, 0 to 1: 0 keeps every pixel, 1 is the full result.
        quality_passes: Runs of the model per window: 1, or the mean over 4 mirrored or 8 mirrored and transposed
            versions of it.
        tile_px: Largest side of a window in pixels; None chooses it by free memory.
        max_memory_bytes: Working memory of one inference; None takes 0.6 of the free memory.
        quality: Quality of JPEG, WebP, AVIF, HEIC and JPEG XL, 1 to 100; or `keep`, that of the input: the tables of a
            JPEG, or the quality at which another file has its size. It is 95 for inputs of another format.
        subsampling: Chroma subsampling of JPEG, AVIF and HEIC: `444`, `420`, `keep` (that of the input), or `auto`
            (that of the input if its quality is kept; else 444 from quality 90 on, but never in HEIC).
        unchanged: What to do with a picture whose change nobody would see: `copy` the file itself, `encode` it like
            any other, or `skip` it, without a result.
        metadata: `keep` all, or `strip` all but what decides how a picture looks: orientation, colour profile and
            resolution.
        allow_8bit: Allow storing 16-bit pictures in 8-bit formats, which is refused otherwise.
        frames: `refuse` animations and files with several pages, take their `first` picture, or `all` frames of
            animations, with one steady light.
        max_pixels: Pictures with more pixels are refused before they are decoded.
        strict: Refuse a picture instead of warning: of damage, and of anything else that its result would not show.
    """

    ev: float = 0.0
    shadows: float = 1.0
    strength: float = 1.0
    quality_passes: int = 1
    tile_px: int | None = None
    max_memory_bytes: int | None = None
    quality: Quality = "keep"
    subsampling: Subsampling = "auto"
    unchanged: Unchanged = "copy"
    metadata: MetadataChoice = "keep"
    allow_8bit: bool = False
    frames: Frames = "refuse"
    max_pixels: int = 512_000_000
    strict: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.ev) or abs(self.ev) > EV_LIMIT:
            raise UsageError(f"expected --ev between -{EV_LIMIT:g} and +{EV_LIMIT:g} stops, got {self.ev:g}")
        if not 0 <= self.shadows <= 2:  # also refuses NaN
            raise UsageError(f"expected --shadows from 0 to 2, got {self.shadows:g}")
        if not 0 <= self.strength <= 1:  # also refuses NaN
            meant = f"; did you mean {self.strength:g}%?" if 5 <= self.strength <= 100 else ""
            raise UsageError(f"expected --strength from 0 to 1, got {self.strength:g}{meant}")
        if self.quality_passes not in QUALITY_PASSES:
            raise UsageError(f"expected --quality-passes 1, 4 or 8, got {self.quality_passes}")
        if self.tile_px is not None and self.tile_px < 64:
            raise UsageError(f"expected --tile auto or at least 64 pixels, got {self.tile_px}")
        if self.max_memory_bytes is not None and self.max_memory_bytes < 1:
            raise UsageError(f"expected --max-memory above 0, got {self.max_memory_bytes}")
        if self.quality != "keep" and not 1 <= self.quality <= 100:
            raise UsageError(f"expected --quality from 1 to 100, or keep, got {self.quality}")
        _check_choice("--unchanged", self.unchanged, Unchanged)
        _check_choice("--subsampling", self.subsampling, Subsampling)
        _check_choice("--metadata", self.metadata, MetadataChoice)
        _check_choice("--frames", self.frames, Frames)
        if self.max_pixels < 1:
            raise UsageError(f"expected --max-pixels above 0, got {self.max_pixels}")


@dataclass(frozen=True, kw_only=True)
class ResultOptions:
    """How results are named and stored.

    Attributes:
        suffix: Added to the name of every result, before the extension.
        format: Format of pictures, which also sets their extension; `same` keeps that of each input. Clips keep their
            container where it holds their codec.
        video_codec: What the frames of clips are encoded with: `h264`, `hevc`, `av1`, the lossless `ffv1`, or `auto`:
            H.264, and HEVC for clips of more than 8 bits.
        crf: Constant rate factor of clips, 0 (best) to 51; has no meaning for `ffv1`.
        frames: As of `EnhanceOptions`: with `all`, the results of GIF files are GIF files.
    """

    suffix: str = ""
    format: OutputFormat = "same"
    frames: Frames = "refuse"
    video_codec: VideoCodec = "auto"
    crf: int = 18

    def __post_init__(self) -> None:
        _check_choice("--video-codec", self.video_codec, VideoCodec)
        if not 0 <= self.crf <= 51:
            raise UsageError(f"expected --crf from 0 to 51, got {self.crf}")
        if any(character in self.suffix for character in "/\\\0"):
            raise UsageError(f"expected --suffix to be part of a file name, got {self.suffix!r}")


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ResultOptions):
    """How many files are found and written; also the fields of `ResultOptions`.

    Attributes:
        output: Folder for the results, which mirrors the inputs; created if missing. None with `in_place`.
        result: Name of the result in that folder, if there is one picture only; None takes that of the picture.
        in_place: Replace every input by its result instead.
        backup: Folder to which originals are copied before they are replaced in place; None keeps none.
        recursive: Include the sub-folders of input folders.
        follow_links: Follow links that are found in input folders; in place they never are. An input itself may be a
            link in any case.
        clips: Take the clips in folders too; one that is given itself is taken in any case.
        include: Patterns of the files to take; none takes all.
        exclude: Patterns of files and folders to skip, whatever `include` says.
        existing: What to do if a result already exists: `skip` it, `update` it if the input is newer or a rule
            names other options for this picture than those it was made with, `overwrite` it,
            or stop with an `error` before anything is done.
        compare: Also write a before and after picture beside each result, `a.jpg.compare.jpg` for `a.jpg`; of results
            that exist too.
        sidecars: `copy` the XMP and AAE files that lie beside a picture to its result, or `ignore` them.
        previews: Keep previews of before and after in `.lumen/previews` of the output folder, for a page.
        variants: Keep previews of what less and more exposure and shadows would give, too.
        shard: `(i, n)` takes part i, from 1, of n parts that together are all files.
        fail_fast: Stop after the first file that fails.
        steady: Whether the pictures of a folder are a sequence with steady light, in the natural order of their names
            (`name`), or by the time of their EXIF data or of the files (`time`); `off` exposes each by itself.
        exposure_from: A picture whose tone all others get; None for their own.
        engine: Where files are worked on: in this process (`local`), or by the workers of a Ray cluster (`ray`).
    """

    output: Path | None = None
    result: str | None = None
    in_place: bool = False
    backup: Path | None = None
    recursive: bool = False
    follow_links: bool = True
    clips: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    existing: Existing = "skip"
    compare: bool = False
    sidecars: Sidecars = "copy"
    previews: bool = False
    variants: bool = False
    shard: tuple[int, int] = (1, 1)
    fail_fast: bool = False
    steady: Steady = "off"
    exposure_from: Path | None = None
    engine: EngineChoice = "local"

    def __post_init__(self) -> None:
        if self.in_place and self.output is not None:
            raise UsageError(f"expected --out or --in-place, got both: --out {self.output}")
        if not self.in_place and self.output is None:
            raise UsageError("expected --out DIR for the results, or --in-place to replace the inputs")
        if self.in_place and (self.suffix or self.format != "same"):
            raise UsageError(
                "--in-place cannot be combined with --suffix or --format, because the files keep their names"
            )
        if self.in_place and self.clips:
            raise UsageError("--clips cannot be combined with --in-place, because clips are never replaced; use --out")
        if self.backup is not None and not self.in_place:
            raise UsageError("expected --backup together with --in-place: without it the originals are never changed")
        if self.in_place and self.compare:
            raise UsageError(
                "--compare cannot be combined with --in-place: comparisons lie beside the results in an output folder"
            )
        if self.in_place and self.engine == "ray":
            raise UsageError(
                "--in-place cannot be combined with --engine ray, because the lock that keeps a picture from being "
                "enhanced twice does not reach across machines on every file system; use --out"
            )
        if self.in_place and self.previews:
            raise UsageError(
                "--report cannot be combined with --in-place: the page belongs to the results in an output folder"
            )
        if self.variants and not self.previews:
            raise UsageError("expected --variants together with --report, the page that shows them")
        super().__post_init__()
        if "" in (*self.include, *self.exclude):
            raise UsageError("expected a pattern after --include and --exclude, got nothing")
        _check_choice("--sidecars", self.sidecars, Sidecars)
        _check_choice("--engine", self.engine, EngineChoice)
        self._check_tones()
        index, count = self.shard
        if not 1 <= index <= count:
            raise UsageError(f"expected --shard I/N with I from 1 to N, got {index}/{count}")

    def _check_tones(self) -> None:
        _check_choice("--steady", self.steady, Steady)
        if self.steady == "off":
            return
        if self.exposure_from is not None:
            raise UsageError("expected --steady or --exposure-from, got both: one tone for all is steady already")
        if self.in_place and self.backup is None:
            raise UsageError(
                "--steady with --in-place needs --backup DIR, because a run that was interrupted looks at the "
                "originals of all pictures again when it goes on"
            )


@dataclass(frozen=True, kw_only=True)
class WatchOptions(ResultOptions):
    """How a folder is watched; also the fields of `ResultOptions`.

    Attributes:
        output: Folder for the results, which mirrors the watched one; created if missing.
        settle_s: A file is processed once its size and time are unchanged for this long.
        backend: How changes are noticed: from the system's events (`inotify`), by polling (`poll`), or by whichever
            works on the file system (`auto`).
        rescan_s: Interval between full scans, which find what events have missed.
        incomplete_timeout_s: A file that does not decode may still be uploading; it fails at its last attempt, this
            long after the first one.
        retries: Maximum attempts per version of a file.
        on_success: What to do with an input once its result is on disk: `keep`, `move` or `delete`.
        archive: Folder to which `move` moves.
        failed_dir: Folder for inputs that failed or are of an unknown kind; None leaves them where they are.
        ignore: Patterns of files and folders to skip.
        clips: Take clips too.
        order: Which file to take first when several are waiting.
        skip_backlog: Skip files that are there at the start and are not in the ledger yet.
        oneshot: Stop when every file that is there is finished.
        steady: Whether each folder is a sequence, such as the frames of a camera, with steady light.
        timeout_s: A file fails when nothing of it was read or decoded for so long, and the next one is taken.
        moved_from: Path under which the folder was watched before, if it is another one now.
        min_free_bytes: Pause while the disk of the output has less free space; None takes 1 GiB, or a tenth of a
            smaller disk.
        page: An HTML file that shows how the watcher is doing, written every few seconds.
        metrics: A file of the same for Prometheus, in its text format.
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
    clips: bool = False
    order: WatchOrder = "oldest"
    skip_backlog: bool = False
    oneshot: bool = False
    steady: bool = False
    timeout_s: float = 600.0
    moved_from: Path | None = None
    min_free_bytes: int | None = None
    page: Path | None = None
    metrics: Path | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("settle", self.settle_s),
            ("rescan", self.rescan_s),
            ("incomplete-timeout", self.incomplete_timeout_s),
            ("timeout", self.timeout_s),
        ):
            if not 0 < value < math.inf:
                raise UsageError(f"expected --{option} above 0 seconds, got {value:g}")
        if self.retries < 1:
            raise UsageError(f"expected --retries of at least 1, got {self.retries}")
        if self.steady and self.order == "newest":
            raise UsageError("--steady cannot be combined with --order newest: light is steady in the order of time")
        if (self.on_success == "move") != (self.archive is not None):
            raise UsageError(f"expected --on-success keep, move:DIR or delete, got {self.on_success!r}")
        if self.min_free_bytes is not None and self.min_free_bytes < 0:
            raise UsageError(f"expected --min-free of at least 0, got {self.min_free_bytes}")
        if self.page is not None and self.page.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"expected --page FILE.html, got {str(self.page)!r}")
        if self.metrics is not None and self.metrics.suffix != ".prom":
            raise UsageError(f"expected --metrics FILE.prom, which Prometheus reads, got {str(self.metrics)!r}")
        super().__post_init__()
        if "" in self.ignore:
            raise UsageError("expected a pattern after --ignore, got nothing")
