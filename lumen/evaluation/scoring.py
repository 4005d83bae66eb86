"""Scores pixels by the protocol of the options."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lumen.codecs import exif
from lumen.errors import DataError
from lumen.evaluation.measures import MEASURES, Measure, Score, Subject
from lumen.evaluation.options import EvalOptions
from lumen.imaging.picture import Picture, Samples, to_8bit
from lumen.metrics.lpips import Lpips
from lumen.metrics.natural import NaturalModel, bundled_model, read_model


class Scorer:
    """Scores pictures by one protocol, its options; safe to share between threads."""

    def __init__(self, options: EvalOptions) -> None:
        """Load the models that the options name.

        Raises:
            ModelError: A file does not hold the expected model or weights.
            MissingExtraError: A package that LPIPS needs is not installed.
        """
        self.options = options
        self.natural: NaturalModel | None = None  # of NIQE
        if options.niqe:
            self.natural = bundled_model() if options.niqe_model is None else read_model(options.niqe_model)
        self._lpips = Lpips(options.lpips) if options.lpips else None

    def samples(self, picture: Picture) -> Samples:
        """Return the pixels `[H, W, 3]` of a picture in displayed orientation and the depth of the comparison."""
        pixels = picture.turned(exif.orientation(picture.metadata.exif)).pixels
        return self.deep(to_8bit(pixels)) if self.options.bits == 8 or pixels.dtype == np.uint8 else pixels

    def deep(self, pixels: Samples) -> Samples:
        """Return 8-bit pixels in the depth of the comparison."""
        return pixels if self.options.bits == 8 else pixels.astype(np.uint16) * np.uint16(257)

    def score(self, candidate: Samples, reference: Samples | None, source: Samples | None = None) -> Score:
        """Return all numbers of one picture.

        Args:
            candidate: Pixels `[H, W, 3]` as returned by `samples`.
            reference: The same for the reference; None leaves out the measures that need one.
            source: The same for the picture that the candidate was made from; None leaves out what is newly clipped.

        Raises:
            DataError: Shapes differ, or a side inside the border is shorter than the 11 pixels of the SSIM window.
        """
        return self._measured(MEASURES, candidate, reference, source)

    def compare(self, candidate: Samples, reference: Samples) -> Score:
        """Return the fast measures that need a reference, for variants of a method.

        Raises:
            DataError: As `score`.
        """
        quick = (measure for measure in MEASURES if measure.needs_reference and not measure.slow)
        return self._measured(quick, candidate, reference)

    def _measured(
        self,
        measures: Iterable[Measure],
        candidate: Samples,
        reference: Samples | None,
        source: Samples | None = None,
    ) -> Score:
        subject = Subject(
            pixels=self._cropped(candidate),
            truth=None if reference is None else self._cropped(reference),
            channel=self.options.channel,
            data_range=float(self.options.data_range),
            source=None if source is None else self._cropped(source),
            natural=self.natural,
            lpips=self._lpips,
        )
        asked = (measure for measure in measures if reference is not None or not measure.needs_reference)
        found = {measure.key: measure.function(subject) for measure in asked}
        return Score({key: value for key, value in found.items() if value is not None})

    def _cropped(self, pixels: Samples) -> Samples:
        border = self.options.border_px
        if not border:
            return pixels
        if min(pixels.shape[:2]) <= 2 * border:
            raise DataError(f"expected pictures of more than {2 * border} pixels a side for --border {border}")
        return pixels[border:-border, border:-border]


def score(
    candidate: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    options: EvalOptions | None = None,
    *,
    source: NDArray[np.uint8] | None = None,
) -> Score:
    """Score an 8-bit picture `[H, W, 3]` against a reference, beside the picture it was made from, of the same shape.

    Raises:
        DataError: Shapes differ, or a side is shorter than the 11 pixels of the SSIM window.
    """
    return Scorer(options or EvalOptions()).score(candidate, reference, source)
