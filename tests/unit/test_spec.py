"""Facts of a model: what older files lack, and what is refused."""

from __future__ import annotations

import pytest

from lumen.errors import ModelError
from lumen.spec import ModelSpec
from tests.support.fakes import fake_spec


def test_files_from_before_a_fact_have_its_usual_value() -> None:
    metadata = fake_spec().to_metadata()
    older = {name: value for name, value in metadata.items() if name not in ("lumen.thumbnail", "lumen.precision")}
    assert ModelSpec.from_metadata(older) == fake_spec(thumbnail="square", precision="fp32")


def test_the_kind_of_thumbnail_travels() -> None:
    spec = fake_spec(thumbnail="fit", thumbnail_px=512)
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec


def test_another_kind_of_thumbnail_is_refused() -> None:
    with pytest.raises(ModelError, match="model 'fake': expected a square or fit thumbnail, got 'round'"):
        fake_spec(thumbnail="round")
