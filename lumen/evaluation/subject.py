"""A picture as it is measured, beside its reference: what several measures need is computed once."""

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
    """What every measure is a function of.

    Attributes:
        pixels: `[H, W, 3]`, uint8 or uint16, without the border that is left out.
        truth: The same of the reference; None where there is none, and measures that need one are not asked.
        channel: What is compared: `rgb`, or `y` for the luma.
        data_range: 255, or 65535 for uint16.
        natural: The NIQE model; None leaves NIQE out.
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
        """What is compared: both pictures as they are, or their luma float64 `[H, W]`."""
        assert self.truth is not None
        return (self.pixels, self.truth) if self.channel == "rgb" else (luma(self.pixels), luma(self.truth))

    @cached_property
    def squared_error(self) -> float:
        """Mean squared difference of the pair."""
        return mse(*self.pair)

    @cached_property
    def pixels_8bit(self) -> NDArray[np.uint8]:
        """The picture uint8 `[H, W, 3]`, rounded."""
        return np.asarray(to_8bit(self.pixels), np.uint8)

    @cached_property
    def truth_8bit(self) -> NDArray[np.uint8]:
        """The reference uint8 `[H, W, 3]`, rounded."""
        assert self.truth is not None
        return np.asarray(to_8bit(self.truth), np.uint8)

    @cached_property
    def statistics(self) -> dict[str, float]:
        """What can be said of the picture alone, by the names of `lumen.metrics.statistics`."""
        return statistics(self.pixels_8bit)
