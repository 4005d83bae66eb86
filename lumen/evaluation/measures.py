"""The measures: name, definition and function of each number, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any, Final, Literal

import numpy as np

from lumen.errors import DataError
from lumen.evaluation.subject import Subject
from lumen.imaging.picture import gray_of
from lumen.metrics.fidelity import mae, psnr_of, ssim
from lumen.metrics.niqe import niqe

Better = Literal["higher", "lower", ""]
Statistic = Literal["mean", "median", "spread"]
STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "median", "spread")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number that is computed for a picture.

    Attributes:
        key: Name in JSON and CSV.
        title: Name for people.
        digits: Decimal places when printed.
        better: Which direction is better; empty for a number that only describes.
        definition: One phrase; `docs/metrics.md` quotes it.
        function: Computes the number; None if it was not requested, or is not defined for the picture.
        needs_reference: Whether it compares with a reference.
        slow: Whether it is left out of variants such as GT-mean.
    """

    key: str
    title: str
    digits: int
    better: Better
    definition: str
    function: Callable[[Subject], float | None]
    needs_reference: bool = True
    slow: bool = False

    def text(self, score: Score | None) -> str:
        """Return the number as it is printed; a dash if the score lacks it."""
        value = None if score is None else score.get(self.key)
        return "–" if value is None or math.isnan(value) else f"{value:.{self.digits}f}"


def _niqe(subject: Subject) -> float | None:
    """Return NIQE; None if the picture is too small or too flat for it."""
    if subject.natural is None:
        return None
    try:
        return niqe(np.asarray(gray_of(subject.pixels_8bit), np.uint8), subject.natural)
    except DataError:
        return None


def _description(key: str, title: str, digits: int, definition: str) -> Measure:
    """Return the measure of one of `lumen.metrics.statistics`; these only describe."""
    return Measure(
        key=key,
        title=title,
        digits=digits,
        better="",
        definition=definition,
        function=lambda subject: subject.statistics[key],
        needs_reference=False,
    )


MEASURES: Final = (
    Measure(
        key="psnr",
        title="PSNR",
        digits=2,
        better="higher",
        definition="10 log10 of the squared data range over the MSE, in dB",
        function=lambda subject: psnr_of(subject.squared_error, data_range=subject.data_range),
    ),
    Measure(
        key="ssim",
        title="SSIM",
        digits=4,
        better="higher",
        definition="mean structural similarity over 11x11 Gaussian windows, at most 1",
        function=lambda subject: ssim(*subject.pair, data_range=subject.data_range),
    ),
    Measure(
        key="mae",
        title="MAE",
        digits=2,
        better="lower",
        definition="mean absolute difference of all samples, in levels of the data range",
        function=lambda subject: mae(*subject.pair),
    ),
    Measure(
        key="mse",
        title="MSE",
        digits=1,
        better="lower",
        definition="mean squared difference of all samples, in squared levels",
        function=lambda subject: subject.squared_error,
    ),
    Measure(
        key="lpips",
        title="LPIPS",
        digits=4,
        better="lower",
        definition="distance between the features of AlexNet, with weights from --lpips",
        function=lambda subject: subject.lpips(subject.pixels_8bit, subject.truth_8bit) if subject.lpips else None,
        slow=True,
    ),
    Measure(
        key="niqe",
        title="NIQE",
        digits=2,
        better="lower",
        definition="distance of local statistics from those of good photographs",
        function=_niqe,
        needs_reference=False,
    ),
    _description("brightness", "brightness", 3, "mean luma, 0 to 1"),
    _description("contrast", "contrast", 3, "standard deviation of the luma, 0 to 0.5"),
    _description("colorfulness", "colour", 1, "Hasler and Süsstrunk's colourfulness, 0 for grey"),
    _description("cast", "cast", 3, "difference between the largest and the smallest channel mean, 0 to 1"),
    _description("black", "black", 3, "share of pixels whose channels are all at most 5 of 255"),
    _description("clipped", "clipped", 3, "share of pixels with a channel at 255"),
)


@dataclass(frozen=True)
class Score:
    """The numbers of one picture, or their summary, by the keys of `MEASURES`. PSNR is `inf` for equal pictures."""

    values: Mapping[str, float]

    @property
    def psnr(self) -> float:
        """PSNR in dB."""
        return self.values["psnr"]

    @property
    def ssim(self) -> float:
        """SSIM, at most 1."""
        return self.values["ssim"]

    def get(self, key: str) -> float | None:
        """Return a number; None if it was not measured."""
        return self.values.get(key)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; an infinite PSNR becomes null, as JSON has no infinity."""
        return {key: value if math.isfinite(value) else None for key, value in self.values.items()}


def summarise(scores: Sequence[Score], statistic: Statistic = "mean") -> Score:
    """Return the mean, the median or the spread (standard deviation) of each number over pictures.

    Infinite values are left out of means and spreads; if all are infinite, the mean is too.
    """
    found = {}
    for measure in MEASURES:
        values = [score.values[measure.key] for score in scores if measure.key in score.values]
        if values:
            found[measure.key] = _summarised(values, statistic)
    return Score(found)


def _summarised(values: Sequence[float], statistic: Statistic) -> float:
    if statistic == "median":
        return median(values)
    finite = [value for value in values if math.isfinite(value)]
    if statistic == "spread":
        return pstdev(finite) if finite else 0.0
    return fmean(finite) if finite else math.inf
