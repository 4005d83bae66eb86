"""The protocol in words: how the scores were computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lumen.evaluation.baselines import BASELINES
from lumen.evaluation.columns import AIM, GT_MEAN, MATCHED
from lumen.evaluation.options import EvalOptions
from lumen.metrics.natural import NaturalModel
from lumen.runtime.devices import ComputePrecision
from lumen.runtime.protocols import Models
from lumen.text import printable


class ModelFacts(NamedTuple):
    """Which model runs, and how: the name in its file, its device, and what it computes in."""

    name: str
    device: str
    precision: ComputePrecision

    @classmethod
    def of(cls, models: Models) -> ModelFacts:
        """Return those of a model; it is opened."""
        model = models.for_sample("uint8")
        return cls(model.spec.name, str(model.device), model.precision)


def protocol(
    models: Mapping[str, ModelFacts],
    options: EvalOptions,
    *,
    natural: NaturalModel | None = None,
    written: bool = False,
    paired: str | None = "by name",
) -> str:
    """Return how the numbers are computed, with the models and devices that run; parts are separated by `; `.

    Without models, files are scored as they are; `written` tells that this run has written them. `paired` is the rule
    by which references were found, in words; None without references.
    """
    parts = ["no references: nothing is compared"]
    if paired is not None:
        parts = [*_compared(options), f"pictures and references are paired {_word(paired)}"]
    parts.append("transparency is ignored: colours count as they are stored, also where nothing of them is seen")
    if written:
        parts.append("output is the result file as read back from the disk, with the loss of its format")
    elif not models:
        parts.append("output is the file as it is")
    for name, model in models.items():
        shorter = "" if model.precision == "fp32" else f" in {model.precision}"
        parts.append(f"{_word(name)} by model {_word(model.name)} on {model.device}{shorter}")
    parts += [f"{name}: {BASELINES[name.partition(':')[0]]}" for name in options.baselines]
    if options.gt_mean:
        parts.append(
            f"{GT_MEAN}: the output scaled to the reference's mean grey level, not comparable with plain scores"
        )
    if options.match_brightness:
        parts.append(
            f"{MATCHED}: the model is asked for the reference's mean brightness through an exposure in stops, "
            "not comparable with plain scores"
        )
    if options.aim is not None:
        parts.append(
            f"{AIM} {options.aim:g}: the model is asked for this mean level, between 0 and 1, through an exposure in "
            "stops, or for the picture's own where that is brighter"
        )
    if natural is not None:
        parts.append(f"NIQE of the rounded luma, with the model fitted on {_word(natural.name)}")
    if options.lpips:
        parts.append(f"LPIPS with AlexNet, weights from {', '.join(_word(path.name) for path in options.lpips)}")
    return "; ".join(parts)


def _word(name: str) -> str:
    """Return a name that no terminal obeys and that cannot pass for another part."""
    return printable(name).replace(";", ",")


def _compared(options: EvalOptions) -> list[str]:
    """Return how outputs are compared with references."""
    bits, deep = options.bits, "(8-bit pictures times 257)" if options.bits == 16 else "after rounding"
    what = "all three RGB channels" if options.channel == "rgb" else "luma (0.299 R + 0.587 G + 0.114 B, not rounded)"
    border = f", {options.border_px} pixels ignored along each edge" if options.border_px else ""
    windows = "per channel, " if options.channel == "rgb" else ""
    samples = f"{bits} bit {deep}, {what}, data range {options.data_range}{border}, in float64"
    return [
        f"PSNR in dB and SSIM of sRGB pictures, {samples}",
        f"SSIM with an 11x11 Gaussian window (sigma 1.5), {windows}valid region",
        "means of the values of single pictures, PSNR without pictures that equal their reference",
        "stops are below 0 where the output is too dark, their means are those of absolute values",
    ]
