"""How much of a picture is done."""

from __future__ import annotations

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from tests.support.fakes import FakeModels
from tests.support.files import noise


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    enhance_picture(noise(300, 200), FakeModels(), EnhanceOptions(tile_px=64), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(set(seen)) == len(seen)
