"""What a model gives and says; half precision is run again in fp32 where it is not enough."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ContractError, DeviceError, ModelError, NotFiniteError, OutOfMemoryError
from lumen.imaging.picture import Picture
from lumen.runtime import devices
from lumen.runtime.devices import CPU, Device
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.onnxruntime_engine import OnnxRuntimeSession
from lumen.runtime.open import ModelSet, open_model
from lumen.runtime.protocols import Floats, Pixels
from lumen.spec import SampleType
from tests.support.fakes import FakeModel, fake_spec, write_fake_onnx
from tests.support.runtime import EV, THUMBNAIL, TILES, NativeSession, cpu, faulty_session, native

GPU = Device(name="cuda:0", engine="onnxruntime", kind="gpu", shares_memory=False, precisions=("fp16", "fp32"))


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_a_real_session_equals_the_fake(path: Path, sample: SampleType) -> None:
    rng = np.random.default_rng(0)
    model = open_model(cpu(path), sample=sample)
    fake = FakeModel(sample, gain=2.0, radius=1)
    tiles = rng.integers(0, model.spec.levels // 2, (2, 40, 48, 3)).astype(sample)
    ev = np.array([0.5], np.float32)
    difference = model.run(tiles, THUMBNAIL, ev).astype(int) - fake.run(tiles, THUMBNAIL, ev)
    assert model.device == CPU
    assert np.abs(difference).max() <= 1  # float32 against float64, rounded
    assert model.brightness(THUMBNAIL[0]) == pytest.approx(0.5)
    assert model.brightness(THUMBNAIL[0], 0.5) == pytest.approx(fake.brightness(THUMBNAIL[0], 0.5))


def test_a_released_model_runs_again(path: Path) -> None:
    model = open_model(cpu(path))
    model.release()
    assert model.run(TILES, THUMBNAIL, EV).shape == TILES.shape


@pytest.mark.parametrize(
    "error",
    [
        MemoryError,
        lambda: native("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 123"),
        lambda: native("CUDNN failure 4: CUDNN_STATUS_ALLOC_FAILED ; GPU=0"),
        lambda: native("CUDA failure 2: out of memory"),
        lambda: RuntimeError("std::bad_alloc"),
    ],
)
def test_memory_errors_are_told_apart(error: Callable[[], Exception]) -> None:
    model = OnnxModel(fake_spec(), CPU, lambda: faulty_session(error()))
    with pytest.raises(OutOfMemoryError, match="72x64"):
        model.run(TILES, THUMBNAIL, EV)


def test_other_native_errors_become_one_line() -> None:
    model = OnnxModel(fake_spec(), CPU, lambda: faulty_session(native("Non-zero status\nstack")))
    with pytest.raises(ModelError, match=r"model 'fake' failed on cpu: Non-zero status$"):
        model.run(TILES, THUMBNAIL, EV)


def test_memory_that_is_short_for_a_new_session_is_told_apart() -> None:
    def connect() -> Any:
        raise DeviceError("cuda:0 cannot be used: CUDA failure 2: out of memory")

    model = OnnxModel(fake_spec(), GPU, connect)
    with pytest.raises(OutOfMemoryError, match="72x64"):
        model.run(TILES, THUMBNAIL, EV)


def test_budget_is_asked_once_so_that_the_own_arena_does_not_shrink_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([1000, 10])
    monkeypatch.setattr(devices, "free_ram_bytes", lambda: next(answers))
    model = OnnxModel(fake_spec(), CPU, lambda: faulty_session(MemoryError()))
    assert (model.budget_bytes, model.budget_bytes) == (600, 600)


DARK, BRIGHT = np.full((1, 16, 24, 3), 20, np.uint8), np.full((1, 16, 24, 3), 90, np.uint8)


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

    def counted(tiles: Pixels, thumbnails: Floats, ev: Floats, **_: Floats) -> Pixels:
        shapes.append(tiles.shape[2])
        return run(tiles, thumbnails, ev)

    monkeypatch.setattr(again, "run", counted)
    model._in_full = lambda: again
    found = enhance_picture(Picture(pixels=pixels, format="png"), models, EnhanceOptions(tile_px=136))
    assert np.array_equal(found.pixels, pixels * 2)
    assert 0 < len(shapes) < 4


def test_without_the_guard_infinity_becomes_a_level(made: Path) -> None:
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
    with pytest.raises(ModelError, match=r"m\.onnx is not the fp32 version of m\.fp16\.onnx"):
        half(folder).run(BRIGHT, THUMBNAIL, EV)


class Odd(NativeSession):
    """A session that gives a brightness that is no number."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, Any], _: Any, /) -> Sequence[Any]:
        values = {"enhanced": input_feed["tiles"], "brightness": np.array([np.nan], np.float32)}
        return [values[name] for name in output_names]


def test_a_brightness_that_is_no_number_is_the_fault_of_the_model() -> None:
    model = OnnxModel(fake_spec(), CPU, lambda: OnnxRuntimeSession(Odd()))
    for run in (lambda: model.run(DARK, THUMBNAIL, EV), lambda: model.brightness(THUMBNAIL[0])):
        with pytest.raises(ContractError, match="expected a brightness from 0 to 1, got nan"):
            run()


def test_in_half_precision_it_may_be_that_of_the_picture() -> None:
    model = OnnxModel(fake_spec(precision="fp16"), CPU, lambda: OnnxRuntimeSession(Odd()))
    with pytest.raises(NotFiniteError):
        model.run(DARK, THUMBNAIL, EV)
    with pytest.raises(NotFiniteError, match="nan as the target brightness"):
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


def test_native_faults_of_a_guarded_model_are_told_as_ever() -> None:
    with pytest.raises(ModelError, match="broken"):
        OnnxModel(fake_spec(), CPU, lambda: faulty_session(native("broken")), guarded=True).run(DARK, THUMBNAIL, EV)
