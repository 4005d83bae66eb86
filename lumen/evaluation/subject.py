"""One picture as it is measured, with its reference. Values that several measures need are computed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.evaluation.options import Channel
from lumen.imaging.picture import Samples, to_8bit
from lumen.metrics.fidelity import luma, mse
from lumen.metrics.lpips import Lpips
from lumen.metrics.niqe import NaturalModel
from lumen.metrics.statistics import statistics


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """The argument of the function of every measure.

    Attributes:
        pixels: `[H, W, 3]`, uint8 or uint16, without the ignored border.
        truth: The same for the reference; None without one, and then no measure that needs one is called.
        channel: What is compared: `rgb`, or `y` for the luma.
        data_range: 255, or 65535 for uint16.
        natural: The NIQE model; None leaves out NIQE.
        lpips: LPIPS with its weights; None leaves it out.
    """

    pixels: Samples
    truth: Samples | None
    channel: Channel
    data_range: float
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
        return np.asarray(to_8bit(self.pixels), np.uint8)

    @cached_property
    def truth_8bit(self) -> NDArray[np.uint8]:
        """The reference rounded to uint8 `[H, W, 3]`."""
        assert self.truth is not None
        return np.asarray(to_8bit(self.truth), np.uint8)

    @cached_property
    def statistics(self) -> dict[str, float]:
        """The statistics of `lumen.metrics.statistics` by their names."""
        return statistics(self.pixels_8bit)
