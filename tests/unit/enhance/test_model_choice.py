"""Which model a picture goes through."""

from __future__ import annotations

import numpy as np
import pytest

from lumen.config import EnhanceOptions
from lumen.enhance.model_choice import check_options
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ModelError, UnusableModelError, UsageError
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


def test_a_damaged_16_bit_model_is_no_missing_one() -> None:
    class Damaged(FakeModels):
        def for_sample(self, sample: SampleType) -> FakeModel:
            if sample == "uint16":
                raise UnusableModelError("the 16-bit twin is damaged")
            return super().for_sample(sample)

    with pytest.raises(UnusableModelError):
        enhance_picture(picture(icc=ADOBE), Damaged(gain=1.0))


def test_models_without_local_light_refuse_to_scale_it() -> None:
    model = FakeModels().for_sample("uint8")
    check_options(model, EnhanceOptions())
    with pytest.raises(UsageError, match="has no tone stage"):
        check_options(model, EnhanceOptions(shadows=0.5))
    with pytest.raises(UsageError, match="from 0 to 2"):
        EnhanceOptions(shadows=float("nan"))
