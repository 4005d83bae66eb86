"""OpenVINO: what it finds (told by a fake), and the same contracts as ONNX Runtime (with the real one)."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions, PrecisionChoice, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import (
    ContractError,
    DeviceError,
    MissingExtraError,
    ModelError,
    NotFiniteError,
    OutOfMemoryError,
    UnusableModelError,
)
from lumen.imaging.picture import Picture
from lumen.runtime import openvino_engine
from lumen.runtime.check import tiny_inputs
from lumen.runtime.engine import EngineError
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.open import ModelSet, open_model
from lumen.runtime.openvino_engine import OpenVinoSession, find
from lumen.runtime.runs import _running
from lumen.spec import SampleType
from tests.conftest import ROOT
from tests.support import wrong_models as wrong
from tests.support.fakes import FakeModel, write_fake_onnx
from tests.support.runtime import EV, THUMBNAIL, TILES, cpu

with_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")


def on_openvino(path: Path, precision: PrecisionChoice = "fp32") -> RuntimeOptions:
    return RuntimeOptions(model=str(path), device="openvino", precision=precision, threads=1)


# What is found, told by a fake


class FakeCore:
    """A machine with an Intel CPU, two GPUs, one of them on a card of its own, and an NPU."""

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU")
    facts: Mapping[str, Mapping[str, Any]] = {
        "CPU": {"FULL_DEVICE_NAME": "Xeon ", "OPTIMIZATION_CAPABILITIES": ["BF16", "FP32", "FP16", "INT8"]},
        "GPU": {"FULL_DEVICE_NAME": "Iris", "OPTIMIZATION_CAPABILITIES": ["FP32", "FP16"], "DEVICE_TYPE": "INTEGRATED"},
        "GPU.1": {
            "FULL_DEVICE_NAME": "Arc",
            "OPTIMIZATION_CAPABILITIES": ["FP32", "FP16"],
            "DEVICE_TYPE": "Type.DISCRETE",
            "GPU_DEVICE_TOTAL_MEM_SIZE": 10_000,
        },
        "NPU": {"FULL_DEVICE_NAME": "AI Boost", "OPTIMIZATION_CAPABILITIES": ["FP16", "INT8"]},
    }

    def get_property(self, target: str, name: str) -> Any:
        return self.facts[target][name]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> type[FakeCore]:
    monkeypatch.setattr(openvino_engine, "load_core", FakeCore)
    return FakeCore


@pytest.mark.usefixtures("machine")
def test_devices_come_with_their_facts() -> None:
    found = {name: find(name) for name in ("openvino", "openvino:GPU", "openvino:GPU.1", "openvino:NPU")}
    assert [str(device) for device in found.values()] == [
        "openvino:CPU",
        "openvino:GPU",
        "openvino:GPU.1",
        "openvino:NPU",
    ]
    assert [device.kind for device in found.values()] == ["cpu", "gpu", "gpu", "npu"]
    assert [device.shares_memory for device in found.values()] == [True, True, False, True]
    assert [device.precisions for device in found.values()] == [
        ("bf16", "fp16", "fp32"),
        ("fp16", "fp32"),
        ("fp16", "fp32"),
        ("fp16",),
    ]
    assert found["openvino:GPU.1"].budget_bytes() == 7000
    assert found["openvino"].described() == "openvino:CPU (Xeon)"


def test_a_device_that_is_not_there_is_told_with_those_that_are(
    machine: type[FakeCore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "available_devices", ("CPU",))
    for name in ("openvino:GPU", "openvino:GPU.1", "openvino:NPU"):
        with pytest.raises(DeviceError, match=f"{name} cannot be used: OpenVINO sees only CPU here"):
            find(name)


def test_without_the_package_the_line_to_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    openvino_engine.load_core.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'lumen-enhance\[openvino\]'"):
        open_model(RuntimeOptions(device="openvino"))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("Exception from src/a.cpp:117:\nCheck 'ptr' failed at src/b.cpp:257:\nFailed to open\n\n", "Failed to open"),
        ("Exception from src/a.cpp:117:\n", "Exception from src/a.cpp:117:"),
        ("", "RuntimeError"),
    ],
)
def test_the_line_that_tells_most_is_taken(said: str, line: str) -> None:
    assert openvino_engine._reason(RuntimeError(said)) == line


@with_openvino
def test_nothing_is_sent_or_kept_of_the_user(tmp_path: Path) -> None:
    code = "import sys; from lumen.runtime.openvino_engine import load_core; load_core(); print(*sys.modules)"
    environment = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "openvino" in done.stdout.split() and "openvino_telemetry" not in done.stdout
    assert list(tmp_path.iterdir()) == []


# The same contracts


@with_openvino
@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_it_computes_what_the_graph_says(path: Path, sample: SampleType) -> None:
    rng = np.random.default_rng(0)
    model = open_model(on_openvino(path), sample=sample)
    fake = FakeModel(sample, gain=2.0, radius=1)
    ev = np.array([0.5], np.float32)
    for shape in ((2, 40, 48, 3), (1, 48, 40, 3), (2, 40, 48, 3)):
        tiles = rng.integers(0, model.spec.levels // 2, shape).astype(sample)
        difference = model.run(tiles, THUMBNAIL, ev).astype(int) - fake.run(tiles, THUMBNAIL, ev)
        assert np.abs(difference).max() <= 1
    assert str(model.device) == "openvino:CPU" and model.precision == "fp32"
    assert model.spec == open_model(cpu(path), sample=sample).spec
    assert model.brightness(THUMBNAIL[0], 0.5) == pytest.approx(fake.brightness(THUMBNAIL[0], 0.5))


@pytest.fixture(scope="session")
def bundled() -> dict[str, OnnxModel]:
    """The bundled model on the reference engine, and in each precision that OpenVINO has here."""
    models = {"cpu": open_model(RuntimeOptions(device="cpu", threads=1))}
    for precision in find("openvino").precisions:
        models[precision] = open_model(RuntimeOptions(device="openvino", precision=precision, threads=1))
    return models


@with_openvino
def test_the_bundled_model_is_the_same_in_fp32_and_close_in_less(bundled: Mapping[str, OnnxModel]) -> None:
    rng = np.random.default_rng(1)
    tiles = rng.normal(40, 25, (1, 64, 96, 3)).clip(0, 255).astype(np.uint8)
    thumbnail = rng.uniform(0, 0.3, (1, 128, 128, 3)).astype(np.float32)
    results = {name: model.run(tiles, thumbnail, EV).astype(int) for name, model in bundled.items()}
    for name, allowed in (("fp32", 1), ("bf16", 3)):
        if name in results:
            assert np.abs(results[name] - results["cpu"]).max() <= allowed
            # What is decided for the whole picture is decided in fp32.
            level = bundled[name].brightness(thumbnail[0])
            assert level == pytest.approx(bundled["cpu"].brightness(thumbnail[0]), abs=1e-5)
    if "bf16" in results:
        assert not np.array_equal(results["bf16"], results["fp32"])


@with_openvino
def test_what_is_decided_once_per_picture_is_a_part_of_its_own(bundled: Mapping[str, OnnxModel]) -> None:
    for name, model in bundled.items():
        if name != "cpu":
            assert isinstance(model._session, OpenVinoSession)
            assert [sorted(part.inputs) for part in model._session._parts] == [
                ["boxes", "tiles", "tones"],
                ["ev", "shadows", "thumbnails"],
            ]


@with_openvino
def test_runs_repeat_to_the_bit(bundled: Mapping[str, OnnxModel]) -> None:
    model = list(bundled.values())[1]
    tiles = np.random.default_rng(2).integers(0, 90, (1, 64, 64, 3), np.uint8)
    thumbnail = np.full((1, 128, 128, 3), 0.1, np.float32)
    first = model.run(tiles, thumbnail, EV)
    model.run(np.ascontiguousarray(tiles[:, :32]), thumbnail, EV)
    model.trim()
    assert np.array_equal(model.run(tiles, thumbnail, EV), first)
    model.release()
    assert np.array_equal(model.run(tiles[:, ::-1, ::-1][:, ::-1, ::-1], thumbnail, EV), first)


@with_openvino
def test_only_the_last_shapes_are_kept(path: Path) -> None:
    model = open_model(on_openvino(path))
    for columns in range(8, 8 * 9, 8):
        model.run(np.zeros((1, 16, columns, 3), np.uint8), THUMBNAIL, EV)
    assert isinstance(model._session, OpenVinoSession)
    (part,) = model._session._parts
    assert len(part._kept) == openvino_engine.KEPT_SHAPES
    assert (1, 16, 64, 3) in next(reversed(part._kept))


@with_openvino
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong.grey, r"expected the output enhanced as uint8 \[N, H, W, 3\], got uint8 \[\?, \?, \?, 1\]"),
        (wrong.lower, r"expected enhanced as uint8 \[1, 8, 16, 3\], got uint8 \[1, 1, 16, 3\]"),
        (wrong.floats, r"got float32"),
        (wrong.text, "expected the output brightness as float32"),
        (wrong.nan, "expected a brightness from 0 to 1, got nan"),
        (wrong.renamed, "expected the outputs enhanced, brightness, finite, got brightness"),
        (wrong.fixed_size, r"expected the input tiles as uint8 \[N, H, W, 3\], got uint8 \[\?, 64, \?, 3\]"),
        (wrong.fixed_thumbnail, r"thumbnails as float32 \[M, 32, 32, 3\], got float32 \[\?, 33, 33, 3\]"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_graph_is_refused_in_one_line(tmp_path: Path, change: wrong.Change, said: str) -> None:
    path = wrong.write_wrong_onnx(tmp_path / "m.onnx", change)
    with pytest.raises(UnusableModelError, match=rf"m\.onnx.*{said}") as caught:
        open_model(on_openvino(path))
    assert "\n" not in str(caught.value)


@with_openvino
@pytest.mark.parametrize("change", [wrong.endless, wrong.later_endless, wrong.endless_branch, wrong.failing])
def test_what_openvino_cannot_end_or_run_is_refused(tmp_path: Path, change: wrong.Change) -> None:
    path = wrong.write_wrong_onnx(tmp_path / "m.onnx", change)
    with pytest.raises(DeviceError, match="openvino:CPU cannot be used: ") as caught:
        open_model(on_openvino(path))
    assert "\n" not in str(caught.value)


@with_openvino
@pytest.mark.parametrize("change", [wrong.later_lower, wrong.later_grey, wrong.later_nan])
def test_what_shows_later_is_the_fault_of_the_model(tmp_path: Path, change: wrong.Change) -> None:
    model = open_model(on_openvino(wrong.write_wrong_onnx(tmp_path / "m.onnx", change)))
    assert model.run(np.ones((1, 48, 16, 3), np.uint8), THUMBNAIL, EV).shape == (1, 48, 16, 3)
    with pytest.raises(ContractError):
        model.run(np.ones((1, 56, 16, 3), np.uint8), THUMBNAIL, EV)


@with_openvino
@pytest.mark.parametrize("content", [b"no protobuf at all", b"", None])
def test_files_that_are_no_models_are_refused(tmp_path: Path, path: Path, content: bytes | None) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(path.read_bytes()[:-1000] if content is None else content)
    with pytest.raises(UnusableModelError, match=r"m\.onnx cannot be loaded as an ONNX model: \w+") as caught:
        open_model(on_openvino(file))
    assert "cpp" not in str(caught.value)


@with_openvino
def test_a_foreign_onnx_file_is_refused(tmp_path: Path, path: Path) -> None:
    import onnx

    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UnusableModelError, match=r"foreign\.onnx: this ONNX file carries no lumen metadata"):
        open_model(on_openvino(tmp_path / "foreign.onnx"))


@with_openvino
def test_only_a_half_file_is_not_enough(folder: Path) -> None:
    (folder / "m.onnx").unlink()
    with pytest.raises(ModelError, match=r"computes from the fp32 file; put m\.onnx beside"):
        open_model(on_openvino(folder / "m.fp16.onnx", "auto"))


# The guard against NaN and infinity


@with_openvino
@pytest.mark.parametrize("value", [0.1, 1e4, 3e38, np.inf, np.nan])
def test_every_engine_tells_of_the_same_tiles(bundled: Mapping[str, OnnxModel], value: float) -> None:
    tiles = np.random.default_rng(3).integers(0, 255, (2, 16, 24, 3), np.uint8)
    tones = np.full((2, bundled["cpu"].spec.tone_size), 0.1, np.float32)
    tones[1] = value
    feeds = {**tiny_inputs(bundled["cpu"].spec, 2), "tiles": tiles, "tones": tones}
    for model in bundled.values():
        assert model._session is not None
        (finite,) = model._session.run(["finite"], feeds)
        assert finite.tolist() == [True, value == 0.1]


@with_openvino
def test_infinity_in_fp32_fails_the_picture(bundled: Mapping[str, OnnxModel], monkeypatch: pytest.MonkeyPatch) -> None:
    model = bundled["fp32"]
    monkeypatch.setattr(model, "_tones", lambda *_: np.full((1, model.spec.tone_size), 1e4, np.float32))
    with pytest.raises(NotFiniteError, match=r"\(fp32\) gave NaN or infinity"):
        model.run(np.full((1, 16, 24, 3), 90, np.uint8), np.full((1, 128, 128, 3), 0.2, np.float32), EV)


@pytest.fixture
def overflowing(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenVINO computes bf16, and what it gives in bf16 is infinite where a tile is brighter than 50."""
    run = OpenVinoSession.run
    begin = OpenVinoSession.__init__

    def marked(session: OpenVinoSession, model: Any, device: Any, precision: str, threads: int) -> None:
        begin(session, model, device, "fp32", threads)
        session.precision = precision  # type: ignore[attr-defined]

    def half(session: OpenVinoSession, outputs: Any, feeds: Mapping[str, Any], **limits: Any) -> Any:
        values = dict(zip(outputs, run(session, outputs, feeds, **limits), strict=True))
        if session.precision == "bf16":  # type: ignore[attr-defined]
            values["finite"] = feeds["tiles"].max(axis=(1, 2, 3)) <= 50
        return [values[name] for name in outputs]

    monkeypatch.setattr(OpenVinoSession, "__init__", marked)
    monkeypatch.setattr(OpenVinoSession, "run", half)
    monkeypatch.setitem(openvino_engine._PRECISIONS, "FP32", "fp32")
    monkeypatch.setitem(openvino_engine._PRECISIONS, "INT8", "bf16")  # every CPU has that


@with_openvino
@pytest.mark.usefixtures("overflowing")
def test_windows_that_bf16_cannot_hold_are_computed_in_fp32(made: Path) -> None:
    pixels = np.full((32, 600, 3), 20, np.uint8)
    pixels[:, 500:] = 90
    models = ModelSet(on_openvino(made / "m.onnx", "bf16"))
    found = enhance_picture(Picture(pixels=pixels, format="png"), models, EnhanceOptions(tile_px=136))
    assert np.array_equal(found.pixels, pixels * 2)
    model = models.for_sample("uint8")
    assert (model.precision, model._full and model._full.precision) == ("bf16", "fp32")


# Ends and limits


@with_openvino
def test_memory_that_is_short_shrinks_the_windows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    request_for = openvino_engine._Part.request_for

    def short(part: Any, feeds: Mapping[str, Any]) -> Any:
        compiled.append(math.prod(feeds["tiles"].shape[:3]))
        if compiled[-1] > 15_000:
            raise RuntimeError(
                "Exception from src/a.cpp:1:\nCheck 'ptr' failed at b.cpp:2:\nFailed to allocate 9 bytes"
            )
        return request_for(part, feeds)

    models = ModelSet(on_openvino(path))
    models.for_sample("uint8")
    monkeypatch.setattr(openvino_engine._Part, "request_for", short)
    pixels = np.random.default_rng(0).integers(0, 99, (40, 400, 3), np.uint8)
    whole = enhance_picture(Picture(pixels=pixels, format="png"), ModelSet(cpu(path)))
    found = enhance_picture(Picture(pixels=pixels, format="png"), models)
    assert np.array_equal(found.pixels, whole.pixels)
    assert max(compiled) > 15_000 >= compiled[-1]
    with pytest.raises(OutOfMemoryError):
        models.for_sample("uint8").run(np.zeros((1, 40, 400, 3), np.uint8), THUMBNAIL, EV)


@with_openvino
def test_a_run_may_have_a_limit_and_ends_all_the_same(tmp_path: Path) -> None:
    model = open_model(on_openvino(write_fake_onnx(tmp_path / "m.onnx", burn=40)))
    assert model._session is not None
    feeds = {"tiles": np.ones((1, 256, 256, 3), np.uint8), "thumbnails": THUMBNAIL, "ev": EV}
    with pytest.raises(TimeoutError):
        model._session.run(["enhanced"], feeds, limit_s=0.01)
    assert not _running
    assert model._session.run(["enhanced"], {**feeds, "tiles": TILES})[0].shape == TILES.shape


@with_openvino
def test_several_threads_may_run_it(path: Path) -> None:
    model = open_model(on_openvino(path))
    found: list[int] = []

    def work(level: int) -> None:
        tiles = np.full((1, 32, 8 * level, 3), level, np.uint8)
        found.append(int(model.run(tiles, THUMBNAIL, EV)[0, 16, 4].max()) - 2 * level)

    threads = [threading.Thread(target=work, args=(level,)) for level in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 8


@with_openvino
def test_an_error_of_openvino_is_one_line(path: Path) -> None:
    model = open_model(on_openvino(path))
    assert model._session is not None
    with pytest.raises(EngineError) as caught:
        model._session.run(["enhanced"], {"tiles": TILES[..., :2], "thumbnails": THUMBNAIL, "ev": EV})
    assert "\n" not in str(caught.value) and not caught.value.is_out_of_memory
