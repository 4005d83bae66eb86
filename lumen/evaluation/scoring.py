"""Scores pixels, by the protocol of the options."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lumen.codecs import exif
from lumen.errors import DataError
from lumen.evaluation.measures import Score
from lumen.evaluation.options import EvalOptions
from lumen.imaging.picture import Picture, Samples, gray_of, to_8bit
from lumen.metrics.fidelity import luma, mae, mse, psnr_of, ssim
from lumen.metrics.lpips import Lpips
from lumen.metrics.niqe import NaturalModel, bundled_model, niqe, read_model
from lumen.metrics.statistics import statistics

_EIGHT_TO_SIXTEEN = 257


class Scorer:
    """Scores pictures by one protocol; safe to share between threads.

    Attributes:
        options: The protocol.
        natural: The NIQE model; None where NIQE is not asked for.
    """

    def __init__(self, options: EvalOptions) -> None:
        """Read what the options name.

        Raises:
            ModelError: A file does not hold the model or the weights it should.
            MissingExtraError: A package that LPIPS needs is not installed.
        """
        self.options = options
        self.natural: NaturalModel | None = None
        if options.niqe:
            self.natural = bundled_model() if options.niqe_model is None else read_model(options.niqe_model)
        self._lpips = Lpips(options.lpips) if options.lpips else None

    def samples(self, picture: Picture) -> Samples:
        """Return the pixels `[H, W, 3]` of a picture as they are displayed and compared: uint8, or uint16."""
        pixels = picture.turned(exif.orientation(picture.metadata.exif)).pixels
        return self.deep(to_8bit(pixels)) if self.options.bits == 8 or pixels.dtype == np.uint8 else pixels

    def deep(self, pixels: Samples) -> Samples:
        """Return 8-bit pixels as they are compared."""
        return pixels if self.options.bits == 8 else pixels.astype(np.uint16) * np.uint16(_EIGHT_TO_SIXTEEN)

    def compare(self, candidate: Samples, reference: Samples, *, plain: bool = True) -> dict[str, float]:
        """Return what needs a reference.

        Args:
            candidate: Pixels `[H, W, 3]` of `samples`.
            reference: The same of the reference.
            plain: Also what is slow, where it is asked for.

        Raises:
            DataError: Shapes differ, or nothing is left inside the border, or less than the 11 pixels of a window.
        """
        top = float(self.options.data_range)
        first, second = self._cropped(candidate), self._cropped(reference)
        found: dict[str, float] = {}
        if plain and self._lpips is not None:
            found["lpips"] = self._lpips(np.asarray(to_8bit(first), np.uint8), np.asarray(to_8bit(second), np.uint8))
        if self.options.channel == "y":
            return self._errors(luma(first), luma(second), top) | found
        return self._errors(first, second, top) | found

    def describe(self, pixels: Samples) -> dict[str, float]:
        """Return what needs no reference; NIQE is left out where a picture is too small or too flat for it."""
        shown = np.asarray(to_8bit(self._cropped(pixels)), np.uint8)
        found = statistics(shown)
        if self.natural is not None:
            try:
                found["niqe"] = niqe(np.asarray(gray_of(shown), np.uint8), self.natural)
            except DataError:
                return found
        return found

    def score(self, candidate: Samples, reference: Samples | None) -> Score:
        """Return all numbers of one picture.

        Raises:
            DataError: As `compare`.
        """
        compared = {} if reference is None else self.compare(candidate, reference)
        return Score(compared | self.describe(candidate))

    def _cropped(self, pixels: Samples) -> Samples:
        border = self.options.border_px
        if not border:
            return pixels
        if min(pixels.shape[:2]) <= 2 * border:
            raise DataError(f"expected pictures of more than {2 * border} pixels a side for --border {border}")
        return pixels[border:-border, border:-border]

    @staticmethod
    def _errors(candidate: NDArray[np.generic], reference: NDArray[np.generic], top: float) -> dict[str, float]:
        error = mse(candidate, reference)
        return {
            "psnr": psnr_of(error, data_range=top),
            "ssim": ssim(candidate, reference, data_range=top),
            "mae": mae(candidate, reference),
            "mse": error,
        }


def score(candidate: NDArray[np.uint8], reference: NDArray[np.uint8], options: EvalOptions | None = None) -> Score:
    """Score an 8-bit picture `[H, W, 3]` against a reference of the same shape.

    Raises:
        DataError: Shapes differ, or a side is shorter than the 11 pixels of the SSIM window.
    """
    return Scorer(options or EvalOptions()).score(candidate, reference)
