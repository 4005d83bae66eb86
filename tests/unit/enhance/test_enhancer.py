"""The Python API: every kind of picture, threads, processes, and what it says to mistakes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen import Enhancer, Picture, enhance_picture
from lumen.codecs.codec import write_picture
from lumen.errors import ContractError, DecodeError, ModelError, PictureError, UsageError
from tests.conftest import ROOT
from tests.support.sequences import noise_frames, stops


@pytest.fixture
def doubling(fake_model: Path) -> Enhancer:
    """An enhancer that doubles every sample."""
    return Enhancer(fake_model, device="cpu", threads=1)


def noise(*shape: int, kind: str = "uint8") -> Any:
    return np.random.default_rng(1).integers(0, np.iinfo(kind).max // 2, shape).astype(kind)


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30), (1, 1, 3)])
def test_arrays_come_back_as_they_went_in(doubling: Enhancer, kind: str, shape: tuple[int, ...]) -> None:
    dark = noise(*shape, kind=kind)
    before = dark.copy()
    good = doubling(dark)
    assert good.dtype == dark.dtype
    assert np.array_equal(good, dark * 2)
    assert np.array_equal(dark, before)


def test_views_and_foreign_byte_orders_are_arrays_too(doubling: Enhancer) -> None:
    dark = noise(20, 30, 3, kind="uint16")
    assert np.array_equal(doubling(dark[::-2, 1::3]), dark[::-2, 1::3] * 2)
    assert np.array_equal(doubling(dark.astype(">u2")), dark * 2)


def test_a_picture_keeps_what_came_with_it(doubling: Enhancer) -> None:
    picture = Picture(pixels=noise(12, 16, 3), alpha=np.full((12, 16), 7, np.uint8), format="tiff")
    found = doubling(picture)
    assert isinstance(found, Picture)
    assert np.array_equal(found.pixels, picture.pixels * 2)
    assert found.alpha is picture.alpha
    assert found.format == "tiff"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_becomes_a_picture(doubling: Enhancer, tmp_path: Path, kind: type[Any]) -> None:
    dark = noise(12, 16, 3)
    write_picture(Picture(pixels=dark, format="png"), tmp_path / "a.png")
    found = doubling(kind(tmp_path / "a.png"))
    assert isinstance(found, Picture)
    assert np.array_equal(found.pixels, dark * 2)


@pytest.mark.parametrize(
    ("mode", "result"),
    [("RGB", "RGB"), ("L", "L"), ("RGBA", "RGBA"), ("LA", "LA"), ("I;16", "I;16"), ("P", "RGB"), ("1", "L")],
)
def test_images_come_back_as_images(doubling: Enhancer, mode: str, result: str) -> None:
    image = Image.fromarray(noise(12, 16, kind="uint16")) if mode == "I;16" else Image.fromarray(noise(12, 16, 3))
    image = image if mode == "I;16" else image.convert(mode)
    found = doubling(image)
    assert (found.mode, found.size) == (result, image.size)
    dark = np.asarray(image.convert(result)).astype(int)
    colours = ... if result in ("RGB", "L", "I;16") else (..., slice(-1))
    expected = dark.copy()
    expected[colours] = np.minimum(dark[colours] * 2, 65535 if mode == "I;16" else 255)
    assert np.array_equal(np.asarray(found), expected)


def test_transparent_palettes_keep_their_holes(doubling: Enhancer) -> None:
    image = Image.new("P", (12, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    image.info["transparency"] = 0
    found = doubling(image)
    assert found.mode == "RGBA"
    assert found.getpixel((1, 1)) == (20, 40, 60, 255)
    assert found.getpixel((0, 0)) == (0, 0, 0, 0)
    assert "transparency" not in found.info


def test_images_keep_what_they_say_about_themselves(doubling: Enhancer, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    Image.fromarray(noise(12, 16, 3)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), icc_profile=b"profile")
    with Image.open(tmp_path / "a.jpg") as image:
        found = doubling(image)
    assert found.getexif()[0x010F] == "maker"
    assert found.info["dpi"] == (300, 300)
    assert found.info["icc_profile"] == b"profile"


def test_exposure_strength_and_passes_reach_the_model(doubling: Enhancer) -> None:
    dark = np.full((8, 8, 3), 20, np.uint8)
    assert doubling(dark, 1.0).max() == round(40 * 2 ** (1 / 2.2))
    assert doubling(dark, ev=-1.0).max() == round(40 * 2 ** (-1 / 2.2))
    assert doubling(dark, strength=0.5).max() == 30
    assert doubling(dark, quality_passes=4).max() == 40
    with pytest.raises(UsageError, match="--ev"):
        doubling(dark, ev=99)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (np.full((4, 4, 3), 255.0, np.float32), ValueError, r"floats in \[0, 1\], got 255 to 255; divide"),
        (np.full((4, 4, 3), -0.01), ValueError, "got -0.01 to -0.01"),
        (np.full((4, 4, 3), np.nan), ValueError, "got nan"),
        (np.zeros((4, 4, 3), np.int64), ValueError, "got int64"),
        (np.zeros((4, 4, 3), bool), ValueError, "got bool"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, r"got \[4, 4, 4\]"),
        (np.zeros((2, 4, 4, 4), np.uint8), ValueError, r"got \[4, 4, 4\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), ValueError, r"got \[0, 4, 4, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, r"got \[0, 4, 3\]"),
        (Image.new("CMYK", (4, 4)), ValueError, r"got CMYK; image\.convert"),
        (Image.new("F", (4, 4)), ValueError, "got F"),
        ([[1, 2], [3, 4]], TypeError, "got int"),
        (b"bytes", TypeError, "got bytes"),
    ],
)
def test_what_is_no_picture_is_refused_with_advice(
    doubling: Enhancer, wrong: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as found:
        doubling(wrong)
    assert "\n" not in str(found.value)


def test_files_that_are_no_pictures_are_refused(doubling: Enhancer, tmp_path: Path) -> None:
    with pytest.raises(DecodeError):
        doubling(tmp_path / "missing.png")


def test_mistakes_are_told_at_once() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Enhancer("no-such-model")
    with pytest.raises(UsageError, match="--device"):
        Enhancer(device="tpu")
    with pytest.raises(UsageError, match="one device"):
        Enhancer(device="cuda:0,1")


def test_threads_take_turns_at_the_model(doubling: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    def watched(*args: Any, **named: Any) -> Picture:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        time.sleep(0.005)
        try:
            return enhance_picture(*args, **named)
        finally:
            with guard:
                inside -= 1

    monkeypatch.setattr("lumen.enhance.enhancer.enhance_picture", watched)
    pictures = [np.full((16, 16, 3), level, np.uint8) for level in range(1, 13)]
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(doubling, pictures))
    assert [int(result.max()) for result in results] == list(range(2, 26, 2))
    assert most == 1


def test_a_pickle_holds_no_model_and_opens_one(doubling: Enhancer) -> None:
    data = pickle.dumps(doubling)
    assert len(data) < 1000
    copy: Enhancer = pickle.loads(data)
    assert repr(copy) == repr(doubling)
    assert copy(np.full((4, 4, 3), 9, np.uint8)).max() == 18
    assert copy.device == "cpu"


def test_other_processes_can_use_it(doubling: Enhancer) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        (found,) = pool.map(doubling, [np.full((4, 4, 3), 9, np.uint8)], timeout=100)
    assert found.max() == 18


def test_lists_come_back_as_lists(doubling: Enhancer, tmp_path: Path) -> None:
    dark = noise(12, 16, 3)
    write_picture(Picture(pixels=dark, format="png"), tmp_path / "a.png")
    array, (image, picture) = doubling([dark, [Image.fromarray(dark), tmp_path / "a.png"]])
    assert np.array_equal(array, dark * 2)
    assert np.array_equal(np.asarray(image), dark * 2)
    assert np.array_equal(picture.pixels, dark * 2)
    assert doubling([]) == []


def test_many_are_mapped_in_order_when_they_are_asked_for(doubling: Enhancer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for level, path in enumerate(paths, start=1):
        write_picture(Picture(pixels=np.full((4, 6, 3), level, np.uint8), format="png"), path)
    asked = []

    def sources() -> Iterator[Path]:
        for path in paths:
            asked.append(path)
            yield path

    found = doubling.map(sources())
    assert asked == []
    assert next(found).source == paths[0] == asked[-1]
    assert [(each.source, each.result.pixels.max(), each.error) for each in found] == [
        (paths[1], 4, None),
        (paths[2], 6, None),
    ]


def test_a_picture_that_fails_does_not_stop_the_others(doubling: Enhancer, tmp_path: Path) -> None:
    dark = np.full((4, 6, 3), 7, np.uint8)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    found = list(doubling.map([dark, str(tmp_path / "broken.png"), dark.astype(int), dark], strength=0.5))
    assert [each.error is None for each in found] == [True, False, False, True]
    assert isinstance(found[1].error, DecodeError)
    assert isinstance(found[2].error, PictureError) and "int64" in str(found[2].error)
    assert found[1].result is None
    assert found[3].result.max() == 10


def test_what_would_fail_every_picture_stops_the_map(doubling: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="--ev"):
        doubling.map([], ev=9)
    with pytest.raises(TypeError, match=r"got the one path 'photos'; .*glob"):
        doubling.map("photos")
    with pytest.raises(TypeError, match="got int"):
        list(doubling.map([3]))

    def failing(*_: Any, **__: Any) -> Picture:
        raise ContractError("another model")

    monkeypatch.setattr("lumen.enhance.enhancer.enhance_picture", failing)
    with pytest.raises(ContractError):
        list(doubling.map([np.zeros((4, 4, 3), np.uint8)]))


@pytest.mark.parametrize("bar", [True, False])
def test_the_bar_is_drawn_on_terminals(
    doubling: Enhancer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bar: bool
) -> None:
    dark = [np.full((4, 4, 3), level, np.uint8) for level in (1, 2)]
    list(doubling.map(dark))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take any stream for a terminal
    for _ in doubling.map(dark, bar=bar):
        print("result")  # noqa: T201
    said = capsys.readouterr()
    assert said.out == "result\nresult\n"
    assert ("2/2" in said.err) is bar


FORKING = """
import multiprocessing, sys
import numpy as np
from lumen import Enhancer
doubling, dark = Enhancer(sys.argv[1], device="cpu", threads=2), np.full((64, 64, 3), 9, np.uint8)
doubling(dark)
doubling._lock.acquire()  # another thread is at work while the child is made
child = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(int(doubling(dark).max())))
child.start()
child.join(60)
child.kill()
print(child.exitcode)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_waits_for_no_thread_of_its_parent(fake_model: Path) -> None:
    command = [sys.executable, "-c", FORKING, str(fake_model)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.stdout == "18\n", done.stderr


def test_a_path_of_a_model_is_kept_whole(fake_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(fake_model.parent)
    doubling = Enhancer(fake_model.name, device="cpu")
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickle.dumps(doubling))(np.full((4, 4, 3), 9, np.uint8)).max() == 18


def test_it_can_be_closed_and_used_again(fake_model: Path) -> None:
    with Enhancer(fake_model, device="cpu") as doubling:
        opened = doubling._models
    assert doubling._models is not opened
    assert doubling._models._opened == {}
    assert doubling(np.full((4, 4, 3), 9, np.uint8)).max() == 18


def test_a_sequence_has_one_steady_light_and_bad_frames_fail_alone(tmp_path: Path) -> None:
    frames = noise_frames(5)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    for name in ("first", "middle"):
        (tmp_path / name).write_bytes(b"no picture")
    order = ["first", "0.png", "1.png", "middle", "2.png", "3.png", "4.png"]
    enhancer = Enhancer(device="cpu")
    found = list(enhancer.sequence(tmp_path / name for name in order))
    assert [each.source.name for each in found] == order
    assert [each.source.name for each in found if each.error] == ["first", "middle"]
    steady = [each.result.pixels for each in found if each.result is not None]
    assert np.ptp(stops(steady)) < 0.02
    arrays = [each.result for each in enhancer.sequence(frames)]
    assert all((one == other).all() for one, other in zip(arrays, steady, strict=True))


def test_a_sequence_is_of_single_pictures() -> None:
    with pytest.raises(TypeError, match="one by one, got 2 together"):
        list(Enhancer(device="cpu").sequence([np.zeros((2, 16, 16, 3), np.uint8)]))
    with pytest.raises(UsageError, match="quality-passes 1 or 4"):
        Enhancer(device="cpu").sequence([], quality_passes=8)
