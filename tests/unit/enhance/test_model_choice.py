"""Which model a picture goes through."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ModelError
from lumen.spec import SampleType
from tests.support.corpus import ADOBE
from tests.support.fakes import FakeModel, FakeModels
from tests.support.files import picture, ramp


class EightBitAlone(FakeModels):
    """The 8-bit model alone, as people's own models may be."""

    def for_sample(self, sample: SampleType) -> FakeModel:
        if sample == "uint16":
            raise ModelError("there is no 16-bit twin")
        return super().for_sample(sample)


def test_without_the_16_bit_model_the_picture_is_taken_for_srgb(caplog: pytest.LogCaptureFixture) -> None:
    found = enhance_picture(picture(icc=ADOBE), EightBitAlone(gain=1.0))
    np.testing.assert_array_equal(found.pixels, ramp())
    assert "colours as sRGB" in caplog.text
