"""What is scored and how, and the same in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from lumen.errors import UsageError
from lumen.evaluation.baselines import BASELINES, make_baseline
from lumen.metrics.niqe import NaturalModel
from lumen.runtime.model import Models

Channel = Literal["rgb", "y"]

INPUT, OUTPUT, REFERENCE = "input", "output", "reference"
GT_MEAN, MATCHED = "gt_mean", "match_brightness"
DATA_RANGES: Final = (255, 65535)


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is scored.

    Attributes:
        as_is: Score the files themselves; no model runs.
        baselines: Simple methods to score beside: `autocontrast`, `equalize`, `gamma` or `gamma:G`.
        gt_mean: Add the score after scaling to the reference's mean grey level.
        match_brightness: Add the score of the model asked for the reference's brightness.
        channel: `rgb`, or `y` for luma alone.
        border_px: Pixels left out along each edge.
        data_range: 255 compares 8-bit pictures, deeper ones rounded to them; 65535 compares 16-bit pictures, 8-bit ones
            times 257.
        niqe: Add NIQE, which takes about as long as all the rest.
        niqe_model: File with another NIQE model than the package's own.
        lpips: Files that together hold the weights of LPIPS; none leaves it out.
        save: Folder that receives what was scored, as PNG; None keeps nothing.
    """

    as_is: bool = False
    baselines: tuple[str, ...] = ()
    gt_mean: bool = False
    match_brightness: bool = False
    channel: Channel = "rgb"
    border_px: int = 0
    data_range: int = 255
    niqe: bool = False
    niqe_model: Path | None = None
    lpips: tuple[Path, ...] = ()
    save: Path | None = None

    def __post_init__(self) -> None:
        for name, asked in (("--match-brightness", self.match_brightness), ("--save", self.save is not None)):
            if self.as_is and asked:
                raise UsageError(
                    f"expected --as-is or {name}, got both: {name} needs the model that --as-is leaves out"
                )
        for baseline in self.baselines:
            make_baseline(baseline)
        if len(set(self.baselines)) < len(self.baselines):
            raise UsageError(f"expected each baseline once, got {','.join(self.baselines)}")
        if self.channel not in get_args(Channel):
            raise UsageError(f"expected --channel rgb or y, got {self.channel!r}")
        if self.border_px < 0:
            raise UsageError(f"expected --border of at least 0 pixels, got {self.border_px}")
        if self.data_range not in DATA_RANGES:
            raise UsageError(f"expected --data-range 255 or 65535, got {self.data_range}")

    @property
    def bits(self) -> int:
        """Bits of the samples that are compared."""
        return 8 if self.data_range == DATA_RANGES[0] else 16


def variant(method: str, kind: str) -> str:
    """Return the column of a method's scores under other rules: `gt_mean`, or `lumen-s gt_mean` among several."""
    return kind if method == OUTPUT else f"{method} {kind}"


def title(column: str) -> str:
    """Return a column's name for people."""
    method, _, kind = column.rpartition(" ")
    words = {GT_MEAN: "GT-mean", MATCHED: "brightness matched"}
    return f"{method} {words[kind]}".strip() if kind in words else column


def protocol(
    models: Mapping[str, Models],
    options: EvalOptions,
    *,
    natural: NaturalModel | None = None,
    written: bool = False,
    reference: bool = True,
) -> str:
    """Return how the numbers are made, in words, with the models and the devices that made them.

    Args:
        models: What runs, by the name of the method; empty where files are scored as they are.
        options: What is scored.
        natural: The NIQE model, where there is one.
        written: The results are files that this run has written.
        reference: There are references.
    """
    parts = _compared(options) if reference else ["no references: nothing is compared"]
    if written:
        parts.append("output is the result file as it stands on the disk, with the loss of its format")
    elif not models:
        parts.append("output is the file as it is")
    for name, twins in models.items():
        model = twins.for_sample("uint8")
        parts.append(f"{name} by model {model.spec.name} on {model.device}")
    parts += [f"{name}: {BASELINES[name.partition(':')[0]]}" for name in options.baselines]
    if options.gt_mean:
        parts.append(
            f"{GT_MEAN}: the output scaled to the reference's mean grey level, never to be set beside plain scores"
        )
    if options.match_brightness:
        parts.append(
            f"{MATCHED}: the model is asked, by an exposure in stops, for the reference's mean brightness, "
            "never to be set beside plain scores"
        )
    if natural is not None:
        parts.append(f"NIQE of the luma, rounded, with the model fitted on {natural.name}")
    if options.lpips:
        parts.append(f"LPIPS with AlexNet, weights from {', '.join(path.name for path in options.lpips)}")
    return "; ".join(parts)


def _compared(options: EvalOptions) -> list[str]:
    """Return what is compared with what, in words."""
    bits, deep = options.bits, "8-bit pictures times 257" if options.bits == 16 else "after rounding"
    what = "all three RGB channels" if options.channel == "rgb" else "luma (0.299 R + 0.587 G + 0.114 B, not rounded)"
    border = f", {options.border_px} pixels left out along each edge" if options.border_px else ""
    windows = "per channel, " if options.channel == "rgb" else ""
    samples = f"{bits} bit {deep}, {what}, data range {options.data_range}{border}, in float64"
    return [
        f"PSNR in dB and SSIM of sRGB pictures, {samples}",
        f"SSIM with an 11x11 Gaussian window (sigma 1.5), {windows}valid region",
        "means over pictures of each picture's own value, PSNR without pictures that equal their reference",
    ]
