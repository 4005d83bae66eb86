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
    with pytest.raises(ModelError, match="model 'fake': expected thumbnail out of square, fit, got 'round'"):
        fake_spec(thumbnail="round")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("align", "1000000000"),
        ("align", '"8"'),
        ("align", "true"),
        ("align", "0"),
        ("halo_px", "1000000000"),
        ("halo_px", "9" * 4000),
        ("edge_px", "-8"),
        ("thumbnail_px", "1000000000"),
        ("thumbnail_px", "128.0"),
        ("bytes_per_px", "10000000000"),
        ("tone_size", "1000000000"),
        ("parameters", "9" * 10_000),
        ("sample", '"float32"'),
        ("sample", "[]"),
        ("precision", '"int8"'),
        ("contract", "[1]"),
        ("contract", "true"),
        ("gmacs_per_mp", "NaN"),
        ("gmacs_per_mp", "1e999"),
        ("name", "[]"),
        ("name", '"' + "x" * 1000 + '"'),
        ("hyperparameters", "[" * 30_000 + "]" * 30_000),
        ("hyperparameters", "[" * 200_000 + "]" * 200_000),
        ("hyperparameters", "[]"),
        ("training", "[" * 200_000 + "]" * 200_000),
        ("training", "9" * 10_000),
        ("training", " " * (5 << 20) + "{}"),
        ("training", "null"),
        ("training", "{"),
    ],
    ids=lambda value: value[:20],
)
def test_hostile_metadata_is_one_line(name: str, value: str) -> None:
    with pytest.raises(ModelError) as caught:
        ModelSpec.from_metadata({**fake_spec().to_metadata(), f"lumen.{name}": value})
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_whole_pictures_are_a_fact_that_older_files_lack() -> None:
    assert ModelSpec.from_metadata(fake_spec(whole=True).to_metadata()).whole is True
    metadata = fake_spec().to_metadata()
    del metadata["lumen.whole"]
    assert ModelSpec.from_metadata(metadata).whole is False
    with pytest.raises(ModelError, match="whole to be true or false, got 1"):
        ModelSpec.from_metadata({**metadata, "lumen.whole": "1"})
