"""Previews: within their room, of the result that is there, and nothing that others wrote is trusted."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.batch import previews as module
from lumen.batch.previews import PictureShots, PreviewStore, key_of, shown_after, variants_of
from lumen.config import EnhanceOptions
from lumen.files.inputs import hold_folder
from lumen.imaging.picture import Metadata, Picture
from tests.support.fakes import FakeModels
from tests.support.scores import noise

OPTIONS = EnhanceOptions()


def picture(level: int = 40, size: tuple[int, int] = (30, 40)) -> Picture:
    return Picture(pixels=np.full((*size, 3), level, np.uint8), format="png")


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "out/a.png"
    path.parent.mkdir()
    path.write_bytes(b"result")
    return path


@pytest.fixture
def store(result: Path) -> PreviewStore:
    """A store with the previews of one picture."""
    kept = PreviewStore(result.parent)
    shots = PictureShots.of(picture())
    shots.pixels["after"] = shown_after(picture(80))
    kept.keep("a.png", shots, result, OPTIONS)
    return kept


def facts_of(store: PreviewStore, result: Path, **changes: Any) -> dict[str, Any] | None:
    return store.facts("a.png", result, {"ev": 0.0, "shadows": 1.0} | changes)


def test_what_is_kept_is_found(store: PreviewStore, result: Path) -> None:
    facts = facts_of(store, result)
    assert facts is not None
    assert (facts["width"], facts["height"]) == (40, 30)
    assert (facts["dark"], facts["light"], facts["change"]) == (0.1569, 0.3137, 0.1569)
    assert facts["look"] == [80] * 48
    assert [row[40 >> 3] for row in facts["histogram"]["before"]] == [1000] * 3
    data = store.read("a.png", "after")
    assert len(data) == facts["bytes"]["after"]
    with Image.open(io.BytesIO(data)) as shown:
        assert shown.size == (40, 30)
        assert np.abs(np.asarray(shown).astype(int) - 80).max() <= 2


def test_previews_of_another_result_are_none(store: PreviewStore, result: Path) -> None:
    assert facts_of(store, result, ev=1.0) is None, "made with other options"
    assert store.facts("b.png", result, {}) is None
    os.utime(result, ns=(1, 1))
    assert facts_of(store, result) is None, "made again"


def test_previews_that_were_lost_are_none(store: PreviewStore, result: Path) -> None:
    key = key_of("a.png")
    (result.parent / ".lumen/previews" / key[:2] / f"{key}.before.preview.jpg").unlink()
    assert facts_of(store, result) is None


@pytest.mark.parametrize(
    "change",
    [
        {"shots": {"../../../secret": [1, 1]}},
        {"shots": {"before": ["<b>", 1], "after": [1, 1]}},
        {"histogram": {"before": [[1]], "after": [[1]]}},
        {"look": "x"},
        {"dark": None},
    ],
)
def test_facts_that_lumen_did_not_write_are_none(store: PreviewStore, result: Path, change: dict[str, Any]) -> None:
    key = key_of("a.png")
    path = result.parent / ".lumen/previews" / key[:2] / f"{key}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert facts_of(store, result) is None


def test_links_in_the_place_of_previews_are_not_followed(store: PreviewStore, result: Path, tmp_path: Path) -> None:
    key = key_of("a.png")
    shot = result.parent / ".lumen/previews" / key[:2] / f"{key}.after.preview.jpg"
    shot.unlink()
    (tmp_path / "secret").write_text("secret")
    shot.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="link"):
        store.read("a.png", "after")


def test_a_preview_has_a_second_place(store: PreviewStore, tmp_path: Path) -> None:
    with hold_folder(tmp_path / "page", make=True) as folder:
        for _ in range(2):
            name = store.copy("a.png", "before", folder)
    assert (tmp_path / "page" / name).read_bytes() == store.read("a.png", "before")


def test_even_noise_stays_within_the_room() -> None:
    shots = PictureShots.of(Picture(pixels=noise(1, size=(900, 1200)), format="png"))
    shots.pixels["after"] = shots.pixels["before"]
    shots.pixels["darker"] = shots.pixels["before"][:400, :480]
    sizes = {name: len(data) for name, data in shots.files().items()}
    assert all(size <= module.ROOM.get(name, module.VARIANT_ROOM) for name, size in sizes.items())
    assert sum(module.ROOM.values()) * 4 / 3 * 300 < 40e6
    assert max(shots.pixels["before"].shape) == module.SIDE_PX


def test_a_turned_picture_is_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    metadata = Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    turned = Picture(pixels=picture().pixels, format="jpeg", metadata=metadata)
    shots = PictureShots.of(turned)
    assert (shots.width, shots.height) == (30, 40)
    assert shots.pixels["before"].shape == (40, 30, 3)


def test_variants_stay_within_the_limits() -> None:
    found = variants_of(EnhanceOptions(ev=4.0, shadows=0.5), has_shadows=True)
    assert {name: (each.ev, each.shadows) for name, each in found.items()} == {
        "darker": (3.0, 0.5),
        "fewer-shadows": (4.0, 1.5),
        "more-shadows": (4.0, 0.0),
    }
    assert set(variants_of(OPTIONS, has_shadows=False)) == {"darker", "brighter"}


def test_variants_are_made_by_the_model() -> None:
    shots = PictureShots.of(picture())
    shots.add_variants(picture(), FakeModels(gain=2.0), OPTIONS)
    assert shots.variants == {"darker": (-1.0, 1.0), "brighter": (1.0, 1.0)}
    assert [int(shots.pixels[name].mean()) for name in ("darker", "brighter")] == [58, 110]


def test_variants_have_the_light_that_the_picture_shares() -> None:
    shots, models = PictureShots.of(picture()), FakeModels(contract=2, tone_size=2)
    darker = np.array([np.log(3), 1], np.float32)
    shots.add_variants(picture(), models, OPTIONS, {(-1.0, 1.0): darker})
    assert int(shots.pixels["darker"].mean()) == pytest.approx(3 * int(shots.pixels["before"].mean()), abs=2)
    alone = PictureShots.of(picture())
    alone.add_variants(picture(), models, OPTIONS)
    assert (shots.pixels["brighter"] == alone.pixels["brighter"]).all()
    assert (shots.pixels["darker"] != alone.pixels["darker"]).any()
