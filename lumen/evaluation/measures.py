"""The measures: name, definition and function of each number, and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median, pstdev
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from lumen.errors import DataError
from lumen.evaluation.options import Channel
from lumen.imaging.picture import Samples, gray_of, to_8bit
from lumen.metrics.fidelity import luma, mae, mse, psnr_of, ssim
from lumen.metrics.lpips import Lpips
from lumen.metrics.natural import NaturalModel, niqe
from lumen.metrics.statistics import statistics
from lumen.metrics.tone import chroma_ratio, exposure_error, newly_clipped

Statistic = Literal["mean", "median", "spread"]
STATISTICS: Final[tuple[Statistic, ...]] = ("mean", "median", "spread")


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A picture as it is measured, with its reference; what several measures need is computed once.

    Attributes:
        pixels: `[H, W, 3]`, uint8 or uint16, without the ignored border.
        truth: The same for the reference; None without one, and then no measure that needs one is called.
        source: The same for the picture that `pixels` were made from; None if it is unknown.
        channel: What is compared: `rgb`, or `y` for the luma.
        data_range: 255, or 65535 for uint16.
        natural: The NIQE model; None leaves out NIQE.
        lpips: LPIPS with its weights; None leaves it out.
    """

    pixels: Samples
    truth: Samples | None
    channel: Channel
    data_range: float
    source: Samples | None = None
    natural: NaturalModel | None = None
    lpips: Lpips | None = None

    @cached_property
    def pair(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The two arrays that are compared: the pixels themselves, or their luma float64 `[H, W]`."""
        assert self.truth is not None
        return (self.pixels, self.truth) if self.channel == "rgb" else (luma(self.pixels), luma(self.truth))

    @cached_property
    def squared_error(self) -> float:
        """MSE of the pair."""
        return mse(*self.pair)

    @cached_property
    def pixels_8bit(self) -> NDArray[np.uint8]:
        """The picture rounded to uint8 `[H, W, 3]`."""
        return to_8bit(self.pixels)

    @cached_property
    def truth_8bit(self) -> NDArray[np.uint8]:
        """The reference rounded to uint8 `[H, W, 3]`."""
        assert self.truth is not None
        return to_8bit(self.truth)

    @cached_property
    def statistics(self) -> dict[str, float]:
        """The statistics of `lumen.metrics.statistics` by their names."""
        return statistics(self.pixels_8bit)


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
        signed: Whether it has a direction; summaries are those of absolute values.
        slow: Whether it is left out of variants such as GT-mean.
    """

    key: str
    title: str
    digits: int
    better: Literal["higher", "lower", ""]
    definition: str
    function: Callable[[Subject], float | None]
    needs_reference: bool = True
    signed: bool = False
    slow: bool = False

    def text(self, score: Score | None) -> str:
        """Return the number as it is printed; a dash if the score lacks it."""
        value = None if score is None else score.values.get(self.key)
        return "–" if value is None or math.isnan(value) else f"{value:z.{self.digits}f}"


def _niqe(subject: Subject) -> float | None:
    """Return NIQE; None if the picture is too small or too flat for it."""
    if subject.natural is None:
        return None
    try:
        return niqe(np.asarray(gray_of(subject.pixels_8bit), np.uint8), subject.natural)
    except DataError:
        return None


def _exposure_error(subject: Subject) -> float:
    """Return the error of brightness in stops."""
    assert subject.truth is not None
    return exposure_error(subject.pixels, subject.truth)


def _newly_clipped(subject: Subject) -> float | None:
    """Return the share of newly clipped pixels; None if the input is unknown."""
    return None if subject.source is None else newly_clipped(subject.pixels_8bit, to_8bit(subject.source))


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


TONE: Final = ("stops", "chroma", "newly_clipped")  # faults of tone
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
    Measure(
        key="stops",
        title="stops",
        digits=2,
        better="lower",
        definition="log2 of the mean luma over the reference's, below 0 if too dark; summaries of absolute values",
        function=_exposure_error,
        signed=True,
    ),
    Measure(
        key="chroma",
        title="chroma",
        digits=2,
        better="",
        definition="mean C*ab over the reference's, where that has more than 15; 1 is right, less is too grey",
        function=lambda subject: chroma_ratio(subject.pixels_8bit, subject.truth_8bit),
    ),
    Measure(
        key="newly_clipped",
        title="newly clipped",
        digits=4,
        better="lower",
        definition="share of pixels with a channel from 254 on that has less than 200 of 255 in the input",
        function=_newly_clipped,
        needs_reference=False,
    ),
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

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; an infinite PSNR becomes null, as JSON has no infinity."""
        return {key: value if math.isfinite(value) else None for key, value in self.values.items()}


def summarise(scores: Sequence[Score], statistic: Statistic = "mean") -> Score:
    """Return the mean, the median or the spread (standard deviation) of each number over pictures.

    Infinite values are left out of means and spreads; if all are infinite, the mean is too. Measures with a
    sign are summarised by their absolute values.
    """
    found = {}
    for measure in MEASURES:
        values = [score.values[measure.key] for score in scores if measure.key in score.values]
        if measure.signed:
            values = [abs(value) for value in values]
        finite = [value for value in values if math.isfinite(value)]
        if values and statistic == "median":
            found[measure.key] = median(values)
        elif values and statistic == "spread":
            found[measure.key] = pstdev(finite) if finite else 0.0
        elif values:
            found[measure.key] = fmean(finite) if finite else math.inf
    return Score(found)
