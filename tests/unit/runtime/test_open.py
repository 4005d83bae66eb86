"""Which file a model is opened from, and on which device."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from lumen.config import PrecisionChoice, RuntimeOptions
from lumen.errors import DeviceError, ModelError, UnusableModelError, UsageError
from lumen.runtime import onnxruntime_engine as module
from lumen.runtime import open as open_module
from lumen.runtime.devices import CPU, Device
from lumen.runtime.onnxruntime_engine import OnnxRuntimeSession
from lumen.runtime.open import ModelSet, model_sets, open_model, read_spec
from tests.support.fakes import fake_spec
from tests.support.runtime import EV, THUMBNAIL, TILES, WorkingRuntime, cpu, faulty_session, native

GPU = Device(name="cuda:0", engine="onnxruntime", kind="gpu", shares_memory=False, precisions=("fp16", "fp32"))
DEVICES = {"cpu": CPU, "cuda:0": GPU}


def test_the_set_opens_each_twin_once(path: Path) -> None:
    models = ModelSet(cpu(path))
    assert models.for_sample("uint16").spec.sample == "uint16"
    assert models.for_sample("uint8") is models.for_sample("uint8")


@pytest.mark.parametrize(("has_core", "thread"), [(True, "open"), (False, "MainThread")])
def test_a_model_that_is_opened_ahead_is_opened_once(
    path: Path, has_core: bool, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_module, "has_core_of_several", lambda: not has_core)
    threads: list[str] = []

    def spy(*args: Any, **named: Any) -> Any:
        threads.append(threading.current_thread().name)
        return open_model(*args, **named)

    monkeypatch.setattr(open_module, "open_model", spy)
    models = ModelSet(cpu(path))
    models.open_ahead()
    _join("open")
    assert models.for_sample("uint8").spec.sample == "uint8"
    assert threads == [thread]


def test_an_error_of_opening_ahead_is_raised_when_the_model_is_needed(tmp_path: Path) -> None:
    models = ModelSet(cpu(tmp_path / "missing.onnx"))
    models.open_ahead()
    _join("open")
    with pytest.raises(ModelError, match="there is no model"):
        models.for_sample("uint8")


def _join(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


class Watched:
    """A session whose runs are remembered by the memory they are to give back."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.given_back: list[str] = []

    def run(self, names: Any, feeds: Any, options: Any = None, /) -> Any:
        key = "memory.enable_memory_arena_shrinkage"
        try:
            self.given_back.append(options.get_run_config_entry(key))
        except RuntimeError:
            self.given_back.append("")
        return self._session.run(names, feeds, options)


def test_only_the_twin_that_works_keeps_memory(path: Path) -> None:
    models = ModelSet(cpu(path))
    model = models.for_sample("uint8")
    assert isinstance(model._session, OnnxRuntimeSession)
    session = Watched(model._session._native)
    model._session._native = session
    models.for_sample("uint16")
    assert session.given_back == []  # it has none yet
    assert models.for_sample("uint8").run(TILES, THUMBNAIL, EV).shape == TILES.shape
    for _ in range(2):
        models.for_sample("uint16")
    assert session.given_back == ["", "cpu:0"]
    models.for_sample("uint8").run(TILES, THUMBNAIL, EV)
    assert session.given_back == ["", "cpu:0", ""]


def test_a_session_that_fails_while_it_is_trimmed_is_no_error(path: Path) -> None:
    models = ModelSet(cpu(path))
    model = models.for_sample("uint8")
    model._session = faulty_session(native("broken"))
    with pytest.raises(ModelError):
        model.run(TILES, THUMBNAIL, EV)
    assert models.for_sample("uint16").spec.sample == "uint16"


def test_spec_is_read_from_the_file(path: Path) -> None:
    assert read_spec(path) == fake_spec()


def test_files_that_are_no_models_are_refused(tmp_path: Path, path: Path) -> None:
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"no protobuf at all")
    with pytest.raises(UnusableModelError, match="cannot be loaded as an ONNX model"):
        open_model(cpu(rubbish))
    with pytest.raises(UnusableModelError, match="expected uint8"):
        open_model(cpu(path.with_name("m.u16.onnx")))


def test_a_foreign_onnx_file_is_refused(tmp_path: Path, path: Path) -> None:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UnusableModelError, match=r"foreign\.onnx: this ONNX file carries no lumen metadata"):
        open_model(cpu(tmp_path / "foreign.onnx"))


@pytest.mark.usefixtures("silent_fallback")
def test_auto_warns_and_goes_on_on_the_cpu(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    with caplog.at_level(logging.WARNING, "lumen"):
        model = open_model(RuntimeOptions(model=str(path), device="auto"))
    assert model.device.name == "cpu"
    (record,) = caplog.records
    assert "libcublasLt.so.13" in record.getMessage()


def test_each_device_gets_models_of_its_own(two_devices: WorkingRuntime, path: Path) -> None:
    sets = model_sets(RuntimeOptions(model=str(path), device="cuda:1,0"))
    models = [each.for_sample("uint8") for each in sets]
    assert [model.device.name for model in models] == ["cuda:1", "cuda:0"]
    assert [providers[0][1]["device_id"] for providers in two_devices.asked] == [1, 0]
    assert models[0].run(TILES, THUMBNAIL, EV).shape == TILES.shape


@pytest.mark.usefixtures("two_devices")
def test_one_missing_device_of_several_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_no_cuda", lambda index: f"there is no device {index}, the driver shows 2")
    first, second = model_sets(RuntimeOptions(model=str(path), device="cuda:0,7"))
    assert first.for_sample("uint8").device.name == "cuda:0"
    with pytest.raises(DeviceError, match="cuda:7 cannot be used: there is no device 7"):
        second.for_sample("uint8")


@pytest.mark.usefixtures("two_devices")
def test_auto_takes_the_first_device(path: Path) -> None:
    (models,) = model_sets(RuntimeOptions(model=str(path)))
    assert models.for_sample("uint8").device.name == "cuda:0"


def test_what_only_one_device_can_do_refuses_several(path: Path) -> None:
    options = RuntimeOptions(model=str(path), device="cuda:0,1")
    for make in (ModelSet, open_model):
        with pytest.raises(UsageError, match=r"one device, got 'cuda:0,1'"):
            make(options)


@pytest.mark.usefixtures("silent_fallback")
def test_auto_says_once_for_both_twins_why_it_is_the_cpu(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    models = ModelSet(RuntimeOptions(model=str(path)))
    with caplog.at_level(logging.WARNING, "lumen"):
        assert [models.for_sample(sample).device.name for sample in ("uint8", "uint16")] == ["cpu", "cpu"]
    assert len(caplog.records) == 1


def test_a_model_is_named_once_however_many_threads_its_runs_take(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    models = ModelSet(cpu(path))
    with caplog.at_level(logging.INFO, "lumen"):
        models.for_sample("uint8")
        models.with_threads(1).for_sample("uint8")
        models.with_threads(1).for_sample("uint16")
    assert [record.args[1] for record in caplog.records if isinstance(record.args, tuple)] == ["uint8", "uint16"]


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
    kind = "fp16" if "fp16" in expected else "fp32"
    assert open_module._find_file(options, "uint8", DEVICES[device]) == (made / expected, kind)
    assert open_module._find_file(options, "uint16", DEVICES[device]) == (made / "m.u16.onnx", "fp32")


def test_auto_does_without_a_half_file(folder: Path) -> None:
    (folder / "m.fp16.onnx").unlink()
    options = RuntimeOptions(model=str(folder / "m.onnx"))
    assert open_module._find_file(options, "uint8", DEVICES["cuda:0"]) == (folder / "m.onnx", "fp32")


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
    with pytest.raises(ModelError, match="lumen-s exists in fp32 only"):
        open_model(RuntimeOptions(device="cpu", precision="fp16"))


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="--precision auto, fp32, fp16 or bf16, got 'int8'"):
        RuntimeOptions(precision="int8")  # type: ignore[arg-type]
