"""Half precision: which file runs, and that NaN and infinity never become pixels."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions, PrecisionChoice, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ModelError, NotFiniteError, OutOfMemoryError, UsageError
from lumen.imaging.picture import Picture
from lumen.runtime import open as open_module
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet, open_model
from lumen.runtime.protocols import Floats, Pixels
from tests.support.fakes import fake_spec, write_fake_onnx
from tests.unit.runtime.test_session import EV, THUMBNAIL, native

DARK, BRIGHT = np.full((1, 16, 24, 3), 20, np.uint8), np.full((1, 16, 24, 3), 90, np.uint8)
SWELL = 400.0  # twice 90, times 400, is more than the 65504 that half precision holds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a doubling model in both precisions; bright tiles overflow in half precision."""
    folder = tmp_path_factory.mktemp("model")
    write_fake_onnx(folder / "m.onnx", radius=0, swell=SWELL)
    write_fake_onnx(folder / "m.u16.onnx", "uint16", radius=0)
    write_fake_onnx(folder / "m.fp16.onnx", radius=0, swell=SWELL, precision="fp16")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """The same, to be changed by a test."""
    return Path(shutil.copytree(made, tmp_path / "model"))


def half(folder: Path, name: str = "m.onnx") -> OnnxModel:
    return open_model(RuntimeOptions(model=str(folder / name), device="cpu", precision="fp16"))


def test_half_precision_runs_alone_while_it_is_enough(made: Path) -> None:
    model = half(made)
    assert model.spec.precision == "fp16"
    assert model.run(DARK, THUMBNAIL, EV).max() == 40
    assert model._full is None


def test_what_it_cannot_hold_is_run_again_in_fp32_and_said_once(
    made: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    model = half(made)
    with caplog.at_level(logging.WARNING, "lumen"):
        for _ in range(2):
            assert np.array_equal(model.run(BRIGHT, THUMBNAIL, EV), BRIGHT * 2)
    (record,) = caplog.records
    assert "fp32" in record.getMessage()


def test_only_the_windows_that_need_it_are_run_again(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((32, 600, 3), 20, np.uint8)
    pixels[:, 500:] = 90
    models = ModelSet(RuntimeOptions(model=str(made / "m.onnx"), device="cpu", precision="fp16"))
    model = models.for_sample("uint8")
    full = model._in_full
    assert full is not None
    again = full()
    shapes: list[int] = []
    run = again.run

    def counted(tiles: Pixels, thumbnails: Floats, ev: Floats) -> Pixels:
        shapes.append(tiles.shape[2])
        return run(tiles, thumbnails, ev)

    monkeypatch.setattr(again, "run", counted)
    model._in_full = lambda: again
    found = enhance_picture(Picture(pixels=pixels, format="png"), models, EnhanceOptions(tile_px=136))
    assert np.array_equal(found.pixels, pixels * 2)
    assert 0 < len(shapes) < 4


def test_without_the_guard_infinity_becomes_a_level(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: integers do not show that a number was none."""
    model = half(made)
    model._outputs = ("enhanced", "brightness")
    assert model.run(BRIGHT, THUMBNAIL, EV).max() == 255


def test_without_the_fp32_file_the_picture_fails(folder: Path) -> None:
    (folder / "m.onnx").unlink()
    model = half(folder, "m.fp16.onnx")
    assert model.run(DARK, THUMBNAIL, EV).max() == 40
    with pytest.raises(
        NotFiniteError, match=r"'fake' \(fp16\) gave NaN or infinity for a window of 24x16 .* fp32 file"
    ):
        model.run(BRIGHT, THUMBNAIL, EV)


def test_infinity_in_fp32_fails_the_picture_too(folder: Path) -> None:
    write_fake_onnx(folder / "m.onnx", radius=0, swell=3e37)
    for model in (half(folder), open_model(RuntimeOptions(model=str(folder / "m.onnx"), device="cpu"))):
        with pytest.raises(NotFiniteError, match=r"\(fp32\) gave NaN or infinity .*; nothing is written"):
            model.run(BRIGHT, THUMBNAIL, EV)


def test_a_stranger_beside_it_is_not_taken_for_the_fp32_form(folder: Path) -> None:
    write_fake_onnx(folder / "m.onnx", radius=0, weights_sha256="f" * 64)
    with pytest.raises(ModelError, match=r"m\.onnx is not the fp32 form of m\.fp16\.onnx"):
        half(folder).run(BRIGHT, THUMBNAIL, EV)


class Odd:
    """A session that gives a brightness that is no number."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], _: Any = None, /) -> Sequence[Any]:
        values = {"enhanced": input_feed["tiles"], "brightness": np.array([np.nan], np.float32)}
        return [values[name] for name in output_names]


def test_a_brightness_that_is_no_number_fails_the_picture() -> None:
    model = OnnxModel(fake_spec(), "cpu", Odd)
    with pytest.raises(NotFiniteError):
        model.run(DARK, THUMBNAIL, EV)
    with pytest.raises(NotFiniteError, match="nan as the brightness"):
        model.brightness(THUMBNAIL[0])


def test_memory_short_for_the_fp32_form_shrinks_windows_as_ever(made: Path) -> None:
    model = half(made)

    def connect() -> OnnxModel:
        raise ModelError("cannot be loaded: Failed to allocate memory")

    model._in_full = connect
    with pytest.raises(OutOfMemoryError):
        model.run(BRIGHT, THUMBNAIL, EV)


def test_released_memory_is_that_of_both(made: Path) -> None:
    model = half(made)
    model.run(BRIGHT, THUMBNAIL, EV)
    model.release()
    assert model._full is not None
    assert (model._session, model._full._session) == (None, None)
    assert model.run(BRIGHT, THUMBNAIL, EV).max() == 180


@pytest.mark.parametrize(
    ("name", "precision", "device", "expected"),
    [
        ("m.onnx", "auto", "cpu", "m.onnx"),
        ("m.onnx", "auto", "cuda:0", "m.fp16.onnx"),
        ("m.onnx", "fp32", "cuda:0", "m.onnx"),
        ("m.onnx", "fp16", "cpu", "m.fp16.onnx"),
        ("m.fp16.onnx", "auto", "cpu", "m.fp16.onnx"),
        ("m.fp16.onnx", "fp32", "cpu", "m.onnx"),
    ],
)
def test_the_file_follows_precision_and_device(
    made: Path, name: str, precision: PrecisionChoice, device: str, expected: str
) -> None:
    options = RuntimeOptions(model=str(made / name), precision=precision)
    assert open_module._find_file(options, "uint8", device) == made / expected
    assert open_module._find_file(options, "uint16", device) == made / "m.u16.onnx"


def test_auto_does_without_a_half_file(folder: Path) -> None:
    (folder / "m.fp16.onnx").unlink()
    options = RuntimeOptions(model=str(folder / "m.onnx"))
    assert open_module._find_file(options, "uint8", "cuda:0") == folder / "m.onnx"


@pytest.mark.parametrize(
    ("given", "precision", "missing"), [("m.onnx", "fp16", "m.fp16.onnx"), ("m.fp16.onnx", "fp32", "m.onnx")]
)
def test_a_precision_asked_for_by_name_must_be_there(
    folder: Path, given: str, precision: PrecisionChoice, missing: str
) -> None:
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=f"--precision {precision} needs {missing} beside"):
        open_model(RuntimeOptions(model=str(folder / given), device="cpu", precision=precision))


def test_the_bundled_model_is_fp32_alone() -> None:
    with pytest.raises(ModelError, match="lumen-s comes in fp32 alone"):
        open_model(RuntimeOptions(device="cpu", precision="fp16"))


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="--precision auto, fp32 or fp16, got 'int8'"):
        RuntimeOptions(precision="int8")  # type: ignore[arg-type]


def test_native_faults_of_a_guarded_model_are_told_as_ever() -> None:
    class Faulty:
        def run(self, *_: Any) -> list[Any]:
            raise native("broken")

    with pytest.raises(ModelError, match="broken"):
        OnnxModel(fake_spec(), "cpu", Faulty, guarded=True).run(DARK, THUMBNAIL, EV)
