from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, ModelError, OutOfMemoryError, UsageError
from lumen.runtime import onnx_model
from lumen.runtime import session as module
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet, model_sets, open_model
from lumen.runtime.session import choose_device, read_spec
from lumen.spec import SampleType
from tests.support.fakes import FakeModel, fake_spec, write_fake_onnx

THUMBNAIL = np.full((1, 32, 32, 3), 0.25, np.float32)
TILES = np.zeros((1, 64, 72, 3), np.uint8)
EV = np.zeros(1, np.float32)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_fake_onnx(folder / "m.u16.onnx", "uint16")
    return write_fake_onnx(folder / "m.onnx")


def cpu(path: Path) -> RuntimeOptions:
    return RuntimeOptions(model=str(path), device="cpu", threads=1)


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_a_real_session_equals_the_fake(path: Path, sample: SampleType) -> None:
    rng = np.random.default_rng(0)
    model = open_model(cpu(path), sample=sample)
    fake = FakeModel(sample, gain=2.0, radius=1)
    tiles = rng.integers(0, model.spec.levels // 2, (2, 40, 48, 3)).astype(sample)
    ev = np.array([0.5], np.float32)
    difference = model.run(tiles, THUMBNAIL, ev).astype(int) - fake.run(tiles, THUMBNAIL, ev)
    assert model.device == "cpu"
    assert np.abs(difference).max() <= 1  # float32 against float64, rounded
    assert model.brightness(THUMBNAIL[0]) == pytest.approx(0.5)
    assert model.brightness(THUMBNAIL[0], 0.5) == pytest.approx(fake.brightness(THUMBNAIL[0], 0.5))


def test_the_set_opens_each_twin_once(path: Path) -> None:
    models = ModelSet(cpu(path))
    assert models.for_sample("uint16").spec.sample == "uint16"
    assert models.for_sample("uint8") is models.for_sample("uint8")


class Watched:
    """A session whose runs are remembered by the memory they are to give back."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.given_back: list[str] = []

    def run(self, names: Any, feeds: Any, options: Any = None, /) -> Any:
        key = "memory.enable_memory_arena_shrinkage"
        self.given_back.append("" if options is None else options.get_run_config_entry(key))
        return self._session.run(names, feeds, options)


def test_only_the_twin_that_works_keeps_memory(path: Path) -> None:
    models = ModelSet(cpu(path))
    model = models.for_sample("uint8")
    session = Watched(model._session)
    model._session = session
    models.for_sample("uint16")
    assert session.given_back == []  # it has none yet
    assert models.for_sample("uint8").run(TILES, THUMBNAIL, EV).shape == TILES.shape
    for _ in range(2):
        models.for_sample("uint16")
    assert session.given_back == ["", "cpu:0"]
    models.for_sample("uint8").run(TILES, THUMBNAIL, EV)
    assert session.given_back == ["", "cpu:0", ""]


def test_a_session_that_fails_while_it_rests_is_no_error(path: Path) -> None:
    models = ModelSet(cpu(path))
    model = models.for_sample("uint8")
    model._session = FaultySession(native("broken"))
    with pytest.raises(ModelError):
        model.run(TILES, THUMBNAIL, EV)
    assert models.for_sample("uint16").spec.sample == "uint16"


def test_spec_is_read_from_the_file(path: Path) -> None:
    assert read_spec(path) == fake_spec()


def test_a_released_model_runs_again(path: Path) -> None:
    model = open_model(cpu(path))
    model.release()
    assert model.run(TILES, THUMBNAIL, EV).shape == TILES.shape


def test_files_that_are_no_models_are_refused(tmp_path: Path, path: Path) -> None:
    rubbish = tmp_path / "rubbish.onnx"
    rubbish.write_bytes(b"no protobuf at all")
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model"):
        open_model(cpu(rubbish))
    with pytest.raises(ModelError, match="expected uint8"):
        open_model(cpu(path.with_name("m.u16.onnx")))


def test_a_foreign_onnx_file_is_refused(tmp_path: Path, path: Path) -> None:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(ModelError, match=r"foreign\.onnx: this ONNX file carries no lumen metadata"):
        open_model(cpu(tmp_path / "foreign.onnx"))


class FaultySession:
    """A session that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def run(self, *_: Any) -> list[Any]:
        raise self.error


def native(message: str) -> Exception:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail

    error: Exception = Fail(message)
    return error


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
    model = OnnxModel(fake_spec(), "cpu", lambda: FaultySession(error()))
    with pytest.raises(OutOfMemoryError, match="72x64"):
        model.run(TILES, THUMBNAIL, EV)


def test_other_native_errors_become_one_line() -> None:
    model = OnnxModel(fake_spec(), "cpu", lambda: FaultySession(native("Non-zero status\nstack")))
    with pytest.raises(ModelError, match=r"model 'fake' failed on cpu: Non-zero status$"):
        model.run(TILES, THUMBNAIL, EV)


def test_memory_that_is_short_for_a_new_session_is_told_apart(path: Path) -> None:
    def connect() -> Any:
        raise DeviceError("cuda:0 cannot be used: CUDA failure 2: out of memory")

    model = OnnxModel(fake_spec(), "cuda:0", connect)
    with pytest.raises(OutOfMemoryError, match="72x64"):
        model.run(TILES, THUMBNAIL, EV)


def test_budget_is_asked_once_so_that_the_own_arena_does_not_shrink_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([1000, 10])
    monkeypatch.setattr(onnx_model, "free_ram_bytes", lambda: next(answers))
    model = OnnxModel(fake_spec(), "cpu", lambda: FaultySession(MemoryError()))
    assert (model.budget_bytes, model.budget_bytes) == (600, 600)


class Runtime:
    """The part of the module `onnxruntime` that opening a model touches; CUDA is built in and never comes up."""

    def __init__(self, real: Any, fails: Exception | None = None) -> None:
        self._real = real
        self._fails = fails
        self.asked: list[list[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_available_providers(self) -> list[str]:
        return [module.CUDA, module.CPU]

    def preload_dlls(self) -> None:
        print("Failed to load libcurand")  # noqa: T201

    def InferenceSession(self, path: str, options: Any, *, providers: list[Any], enable_fallback: int) -> Any:  # noqa: N802
        self.asked.append(providers)
        if self._fails and len(providers) > 1:
            raise self._fails
        return self._real.InferenceSession(path, options, providers=[module.CPU], enable_fallback=enable_fallback)


@pytest.fixture
def silent_fallback(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A machine with an NVIDIA device whose libraries are missing: sessions come up without CUDA and without a word."""
    import onnxruntime

    runtime = Runtime(onnxruntime)
    monkeypatch.setattr(module, "load_onnxruntime", lambda: runtime)
    monkeypatch.setattr(module, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(module, "why_no_cuda", lambda *_: "libcublasLt.so.13 cannot be loaded")
    return runtime


def test_cuda_by_name_fails_loudly_when_it_falls_back(
    silent_fallback: Runtime, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DeviceError, match=r"cuda:0 cannot be used: libcublasLt\.so\.13"):
        open_model(RuntimeOptions(model=str(path), device="cuda"))
    name, facts = silent_fallback.asked[0][0]
    assert (name, facts["device_id"], facts["cudnn_conv_algo_search"]) == (module.CUDA, 0, "HEURISTIC")
    assert facts["use_tf32"] == 0
    assert capsys.readouterr().out == ""  # stdout carries results only


def test_auto_warns_and_goes_on_on_the_cpu(
    silent_fallback: Runtime, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    with caplog.at_level(logging.WARNING, "lumen"):
        model = open_model(RuntimeOptions(model=str(path), device="auto"))
    assert model.device == "cpu"
    (record,) = caplog.records
    assert "libcublasLt.so.13" in record.getMessage()


def test_cuda_errors_at_creation_are_device_errors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(module, "load_onnxruntime", lambda: Runtime(onnxruntime, native("CUDA failure 100\nmore")))
    monkeypatch.setattr(module, "cuda_device_count", lambda: 2)
    with pytest.raises(DeviceError, match=r"cuda:1 cannot be used: CUDA failure 100$"):
        open_model(RuntimeOptions(model=str(path), device="cuda:1"))


def test_without_a_device_auto_is_the_cpu_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "cuda_device_count", lambda: 0)
    monkeypatch.setattr(module, "why_no_cuda", lambda *_: "no NVIDIA device")
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    assert choose_device("auto") == "cpu"
    assert not caplog.records
    with pytest.raises(DeviceError, match="cuda:3 cannot be used: no NVIDIA device"):
        choose_device("cuda:3")


class OnDevice:
    """A session that says it runs on an NVIDIA device."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [module.CUDA, module.CPU]


class WorkingRuntime(Runtime):
    """A machine where CUDA works."""

    def InferenceSession(self, *args: Any, providers: list[Any], **options: Any) -> Any:  # noqa: N802
        session = super().InferenceSession(*args, providers=providers, **options)
        return OnDevice(session) if len(providers) > 1 else session


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> WorkingRuntime:
    """A machine with two NVIDIA devices."""
    import onnxruntime

    runtime = WorkingRuntime(onnxruntime)
    monkeypatch.setattr(module, "load_onnxruntime", lambda: runtime)
    monkeypatch.setattr(module, "cuda_device_count", lambda: 2)
    return runtime


def test_each_device_gets_models_of_its_own(two_devices: WorkingRuntime, path: Path) -> None:
    sets = model_sets(RuntimeOptions(model=str(path), device="cuda:1,0"))
    models = [each.for_sample("uint8") for each in sets]
    assert [model.device for model in models] == ["cuda:1", "cuda:0"]
    assert [providers[0][1]["device_id"] for providers in two_devices.asked] == [1, 0]
    assert models[0].run(TILES, THUMBNAIL, EV).shape == TILES.shape


def test_one_missing_device_of_several_is_an_error(
    two_devices: WorkingRuntime, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "why_no_cuda", lambda index: f"there is no device {index}, the driver shows 2")
    first, second = model_sets(RuntimeOptions(model=str(path), device="cuda:0,7"))
    assert first.for_sample("uint8").device == "cuda:0"
    with pytest.raises(DeviceError, match="cuda:7 cannot be used: there is no device 7"):
        second.for_sample("uint8")


def test_auto_takes_the_first_device(two_devices: WorkingRuntime, path: Path) -> None:
    (models,) = model_sets(RuntimeOptions(model=str(path)))
    assert models.for_sample("uint8").device == "cuda:0"


def test_what_only_one_device_can_do_refuses_several(path: Path) -> None:
    options = RuntimeOptions(model=str(path), device="cuda:0,1")
    for make in (ModelSet, open_model):
        with pytest.raises(UsageError, match=r"one device, got 'cuda:0,1'"):
            make(options)


def test_the_libraries_are_loaded_once(
    two_devices: WorkingRuntime, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[None] = []
    monkeypatch.setattr(Runtime, "preload_dlls", lambda _: loads.append(None))
    for models in model_sets(RuntimeOptions(model=str(path), device="cuda:0,1")):
        models.for_sample("uint8")
        models.for_sample("uint16")
    assert len(loads) == 1


def test_auto_says_once_for_both_twins_why_it_is_the_cpu(
    silent_fallback: Runtime, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    models = ModelSet(RuntimeOptions(model=str(path)))
    with caplog.at_level(logging.WARNING, "lumen"):
        assert [models.for_sample(sample).device for sample in ("uint8", "uint16")] == ["cpu", "cpu"]
    assert len(caplog.records) == 1
