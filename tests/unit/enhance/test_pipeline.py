from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen.cli.options import parse_amount
from lumen.codecs.codec import read_picture, write_picture
from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_file, enhance_picture
from lumen.enhance.windows import smallest_window_px, window_px
from lumen.errors import DecodeError, EncodeError, OutOfMemoryError, UsageError
from lumen.imaging.picture import Metadata, Picture
from lumen.spec import SampleType
from tests.support.fakes import FakeModel, FakeModels
from tests.support.files import exif, tags, with_thumbnail


def picture(height: int, width: int, sample: SampleType = "uint8", seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(sample).max // 3, (height, width, 3)).astype(sample)
    return Picture(pixels=pixels, metadata=Metadata(dpi=(72.0, 72.0)), format="png")


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 300), (333, 257)])
def test_tiles_equal_the_whole_picture(height: int, width: int, sample: SampleType) -> None:
    source = picture(height, width, sample)
    models = FakeModels(gain=2.0, radius=8)
    whole = enhance_picture(source, models, EnhanceOptions(tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(tile_px=64))
    assert np.array_equal(whole.pixels, tiled.pixels)
    assert whole.pixels.dtype == sample
    assert whole.metadata == source.metadata


def test_without_a_halo_tiles_differ() -> None:
    source = picture(200, 200)
    models = FakeModels(gain=2.0, radius=8, halo_px=0)
    whole = enhance_picture(source, models, EnhanceOptions(tile_px=1024))
    tiled = enhance_picture(source, models, EnhanceOptions(tile_px=64))
    assert np.mean(whole.pixels != tiled.pixels) > 0.1


def test_ev_and_the_thumbnail_of_the_whole_picture_reach_every_window() -> None:
    thumbnails: list[NDArray[Any]] = []

    class Spy(FakeModel):
        def run(self, tiles: NDArray[Any], thumbnails_: NDArray[Any], ev: NDArray[Any]) -> NDArray[Any]:
            thumbnails.append(thumbnails_)
            return super().run(tiles, thumbnails_, ev)

    models = FakeModels()
    models.opened["uint8"] = model = Spy()
    source = picture(150, 150)
    enhance_picture(source, models, EnhanceOptions(ev=1.5, tile_px=64))
    assert len(thumbnails) > 4
    assert model.evs == [1.5] * len(thumbnails)
    assert all(np.array_equal(thumbnail, thumbnails[0]) for thumbnail in thumbnails)
    assert thumbnails[0].mean() == pytest.approx(source.pixels.mean() / 255, rel=1e-3)


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    enhance_picture(picture(300, 200), FakeModels(), EnhanceOptions(tile_px=64), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(set(seen)) == len(seen)


def too_large(limit_px: int, after: int = 0) -> Any:
    """Return a fault: windows over a side of `limit_px` run out of memory, once `after` of them have worked."""
    worked: list[tuple[int, ...]] = []

    def fault(tiles: NDArray[Any]) -> None:
        if max(tiles.shape[1:3]) > limit_px and len(worked) >= after:
            raise OutOfMemoryError("not enough memory")
        worked.append(tiles.shape)

    return fault


def test_short_memory_shrinks_the_window_and_keeps_the_result() -> None:
    source = picture(500, 400)
    expected = enhance_picture(source, FakeModels(radius=8), EnhanceOptions(tile_px=1024)).pixels
    models = FakeModels(radius=8, fault=too_large(200))
    assert np.array_equal(enhance_picture(source, models, EnhanceOptions(tile_px=600)).pixels, expected)
    model = models.opened["uint8"]
    assert model.window_limit_px is not None
    assert model.window_limit_px <= 200
    assert model.releases == 2  # windows of 520, then of 280, then of at most 196
    tries = len(model.shapes)
    enhance_picture(source, models, EnhanceOptions(tile_px=600))
    assert max(max(shape[1:3]) for shape in model.shapes[tries:]) <= 200  # remembered for the run
    assert model.releases == 2


def test_finished_rows_are_not_done_again() -> None:
    source = picture(900, 300)
    models = FakeModels(radius=8, fault=too_large(200, after=2))
    result = enhance_picture(source, models, EnhanceOptions(tile_px=328))
    expected = enhance_picture(source, FakeModels(radius=8), EnhanceOptions(tile_px=1024))
    assert np.array_equal(result.pixels, expected.pixels)
    fresh = FakeModels(radius=8, fault=too_large(200))
    enhance_picture(source, fresh, EnhanceOptions(tile_px=328))

    def small(used: FakeModels) -> int:
        return sum(max(shape[1:3]) <= 200 for shape in used.opened["uint8"].shapes)

    assert 0 < small(models) < small(fresh)


def test_memory_that_is_always_short_fails_at_the_smallest_window() -> None:
    models = FakeModels(fault=too_large(0))
    with pytest.raises(OutOfMemoryError):
        enhance_picture(picture(600, 600), models)
    model = models.opened["uint8"]
    assert min(max(shape[1:3]) for shape in model.shapes) >= 120
    assert len(model.shapes) < 10


def test_window_follows_memory_options_and_what_was_learned() -> None:
    model = FakeModel(bytes_per_px=100)
    model.budget_bytes = 100 * 500**2
    assert window_px(model, EnhanceOptions()) == 500
    assert window_px(model, EnhanceOptions(max_memory_bytes=100 * 300**2)) == 300
    assert window_px(model, EnhanceOptions(tile_px=2048)) == 2048
    model.budget_bytes = 1 << 40
    assert window_px(model, EnhanceOptions()) == 1024
    model.budget_bytes = 0
    assert window_px(model, EnhanceOptions()) == smallest_window_px(model) == 128
    model.window_limit_px = 99
    assert window_px(model, EnhanceOptions(tile_px=2048)) == 99


def test_the_smallest_window_has_a_core() -> None:
    model = FakeModel(halo_px=64)
    assert smallest_window_px(model) >= 64 * 2 + model.spec.align


def test_windows_that_cannot_work_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="--tile of at least 136"):
        window_px(FakeModel(halo_px=64), EnhanceOptions(tile_px=128))
    with pytest.raises(UsageError, match="--max-memory of at least 2M"):
        window_px(FakeModel(bytes_per_px=100), EnhanceOptions(max_memory_bytes=1000))


def test_the_memory_that_is_asked_for_is_enough() -> None:
    model = FakeModel(bytes_per_px=700)  # 11.47 million bytes: less than 11 MiB, more than 11 MB
    with pytest.raises(UsageError) as told:
        window_px(model, EnhanceOptions(max_memory_bytes=1000))
    (named,) = re.findall(r"at least (\d+M)", str(told.value))
    assert window_px(model, EnhanceOptions(max_memory_bytes=parse_amount(named))) >= 128


def test_the_dark_thumbnail_of_the_input_is_dropped() -> None:
    dark = with_thumbnail(exif(6), b"\xff\xd8 dark \xff\xd9")
    source = replace(picture(20, 30), metadata=Metadata(exif=dark, xmp=b"kept"))
    found = enhance_picture(source, FakeModels()).metadata
    assert found.exif is not None
    assert b"dark \xff" in dark and b"dark \xff" not in found.exif
    assert tags(found.exif) == tags(exif(6))
    assert found.xmp == b"kept"


def test_only_a_format_that_the_name_hid_is_kept(tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    write_picture(picture(20, 30, "uint16"), deep)
    with pytest.raises(EncodeError, match="8-bit pixels for jpeg"):
        enhance_file(deep, tmp_path / "asked.jpg", FakeModels())
    deep.rename(tmp_path / "lies.jpg")
    (warning,) = enhance_file(tmp_path / "lies.jpg", tmp_path / "out.jpg", FakeModels()).warnings
    assert "png file" in warning
    assert read_picture(tmp_path / "out.jpg").sample == "uint16"


def test_files_are_enhanced_into_other_files(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    write_picture(picture(20, 30), source)
    result = enhance_file(source, target, FakeModels(gain=2.0))
    assert (result.width, result.height, result.warnings) == (30, 20, ())
    assert np.array_equal(read_picture(target).pixels, read_picture(source).pixels * 2)
    with pytest.raises(UsageError, match="another file"):
        enhance_file(source, source, FakeModels())


def test_a_damaged_file_leaves_no_target(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DecodeError):
        enhance_file(tmp_path / "a.png", tmp_path / "b.png", FakeModels())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
