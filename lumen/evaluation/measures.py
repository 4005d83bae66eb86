"""What is measured: each number's name, its unit, which way is better, and how it is defined."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev
from typing import Any, Final, Literal

Better = Literal["higher", "lower", ""]
Statistic = Literal["mean", "median", "spread"]
STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "median", "spread")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A number that pictures get.

    Attributes:
        key: Its name in JSON and CSV.
        title: Its name for people.
        digits: Behind the point, where it is printed.
        better: Which way is better; nothing where a number only describes.
        needs_reference: Whether it compares with a reference.
        definition: One sentence.
    """

    key: str
    title: str
    digits: int
    better: Better
    needs_reference: bool
    definition: str


def _against(key: str, title: str, digits: int, better: Better, definition: str) -> Measure:
    return Measure(key=key, title=title, digits=digits, better=better, needs_reference=True, definition=definition)


def _alone(key: str, title: str, digits: int, better: Better, definition: str) -> Measure:
    return Measure(key=key, title=title, digits=digits, better=better, needs_reference=False, definition=definition)


MEASURES: Final = (
    _against("psnr", "PSNR", 2, "higher", "10 log10 of the squared data range over the MSE, in dB"),
    _against("ssim", "SSIM", 4, "higher", "mean structural similarity over 11x11 Gaussian windows, at most 1"),
    _against("mae", "MAE", 2, "lower", "mean absolute difference of all samples, in levels of the data range"),
    _against("mse", "MSE", 1, "lower", "mean squared difference of all samples, in squared levels"),
    _against("lpips", "LPIPS", 4, "lower", "distance of the features that AlexNet sees; weights are given by path"),
    _alone("niqe", "NIQE", 2, "lower", "distance of local statistics from those of good photographs"),
    _alone("brightness", "brightness", 3, "", "mean luma, 0 to 1"),
    _alone("contrast", "contrast", 3, "", "standard deviation of the luma, 0 to 0.5"),
    _alone("colorfulness", "colour", 1, "", "Hasler and Süsstrunk's colourfulness, 0 for grey"),
    _alone("cast", "cast", 3, "", "largest minus smallest mean of a channel, 0 to 1"),
    _alone("black", "black", 3, "", "share of pixels with no channel above 5 of 255"),
    _alone("clipped", "clipped", 3, "", "share of pixels with a channel at 255"),
)
BY_KEY: Final[Mapping[str, Measure]] = {measure.key: measure for measure in MEASURES}


@dataclass(frozen=True)
class Score:
    """The numbers of one picture, or of many, by the keys of `MEASURES`; a PSNR may be `inf`, for equal pictures."""

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
        """Return a number, None where it was not measured."""
        return self.values.get(key)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; an infinite PSNR, which JSON has not, is null."""
        return {key: value if math.isfinite(value) else None for key, value in self.values.items()}


def summarise(scores: Sequence[Score], statistic: Statistic = "mean") -> Score:
    """Return the mean, the median or the spread (standard deviation) of each number over pictures.

    Infinite values are left out of means and spreads; where all are infinite, so is the mean.
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


def formatted(value: float | None, key: str) -> str:
    """Return a number as it is printed; a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.{BY_KEY[key].digits}f}"
