"""What `auto` takes, and what is refused by name, on machines of every kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen.config import PrecisionChoice, RuntimeOptions
from lumen.errors import DeviceError, MissingExtraError, UnavailableError
from lumen.runtime import choice, openvino_engine
from lumen.runtime import open as open_module
from lumen.runtime.choice import choose_device, choose_precision
from lumen.runtime.devices import CPU, ComputePrecision, Device
from lumen.spec import SampleType

GPU = Device(name="cuda:0", engine="onnxruntime", kind="gpu", shares_memory=False, precisions=("fp16", "fp32"))
NPU = Device(name="openvino:NPU", engine="openvino", kind="npu", precisions=("fp16",), casts=True)

Machine = Callable[..., None]


def openvino_cpu(*precisions: ComputePrecision) -> Device:
    return Device(name="openvino:CPU", engine="openvino", kind="cpu", precisions=precisions, casts=True)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Make the machine one that has these devices, beside the CPU."""

    def have(*devices: Device, installed: bool | None = None, broken: str = "") -> None:
        known = {device.name: device for device in (CPU, *devices)} | {"cuda": GPU}

        def find(name: str) -> Device:
            if name in known and known[name] in (CPU, *devices) and not (broken and "openvino" in name):
                return known[name]
            raise DeviceError(f"{name} cannot be used: {broken or 'it is not there'}")

        has_openvino = any(device.engine == "openvino" for device in devices) if installed is None else installed
        monkeypatch.setattr(choice, "ENGINES", {name: SimpleNamespace(find=find) for name in choice.ENGINES})
        monkeypatch.setattr(choice, "cuda_device_count", lambda: int(GPU in devices))
        monkeypatch.setattr(choice, "PACKAGE", SimpleNamespace(**_package(has_openvino)))

    return have


def _package(installed: bool) -> dict[str, object]:
    return {"is_installed": lambda: installed, "hint": openvino_engine.PACKAGE.hint}


NATIVE, PLAIN = openvino_cpu("bf16", "fp32"), openvino_cpu("fp32")


@pytest.mark.parametrize(
    ("devices", "precision", "expected"),
    [
        ([], "auto", CPU),
        ([PLAIN], "auto", CPU),
        ([NATIVE], "auto", NATIVE),
        ([NATIVE], "fp32", CPU),
        ([NATIVE], "fp16", CPU),
        ([NATIVE], "bf16", NATIVE),
        ([GPU, NATIVE], "auto", GPU),
        ([GPU, NATIVE], "fp16", GPU),
        ([GPU, NATIVE], "bf16", NATIVE),
        ([NPU, PLAIN], "auto", CPU),
    ],
    ids=str,
)
def test_auto_takes_what_was_measured_to_be_fastest(
    machine: Machine, devices: Sequence[Device], precision: PrecisionChoice, expected: Device
) -> None:
    machine(*devices)
    assert choose_device(RuntimeOptions(precision=precision)) == expected


def test_a_model_named_by_its_half_file_stays_with_the_engine_that_runs_it(machine: Machine) -> None:
    machine(NATIVE)
    assert choose_device(RuntimeOptions(model="m.fp16.onnx")) == CPU


def test_an_openvino_that_cannot_be_loaded_is_passed_over(machine: Machine) -> None:
    machine(NATIVE, broken="libtbb.so.12 is missing")
    assert choose_device(RuntimeOptions()) == CPU
    with pytest.raises(DeviceError, match=r"libtbb\.so\.12"):
        choose_device(RuntimeOptions(device="openvino:CPU"))


@pytest.mark.parametrize(
    ("devices", "device", "precision", "said"),
    [
        ([PLAIN], "auto", "bf16", "openvino:CPU does not compute in bf16, only in fp32; use --precision auto"),
        ([NATIVE], "openvino:CPU", "fp16", "openvino:CPU does not compute in fp16, only in bf16 and fp32"),
        ([NPU], "openvino:NPU", "fp32", "openvino:NPU does not compute in fp32, only in fp16"),
        ([], "cpu", "bf16", "cpu does not compute in bf16; use --device openvino, or --precision auto"),
        ([GPU], "cuda", "bf16", "cuda:0 does not compute in bf16"),
        ([], "openvino:GPU", "auto", "openvino:GPU cannot be used"),
    ],
)
def test_what_the_hardware_does_not_do_is_refused(
    machine: Machine, devices: Sequence[Device], device: str, precision: PrecisionChoice, said: str
) -> None:
    machine(*devices)
    with pytest.raises(DeviceError, match=said):
        choose_device(RuntimeOptions(device=device, precision=precision))


def test_bf16_without_openvino_says_what_to_install(machine: Machine) -> None:
    machine()
    with pytest.raises(MissingExtraError, match=r"--precision bf16 needs openvino; .*lumen-enhance\[openvino\]"):
        choose_device(RuntimeOptions(precision="bf16"))


def test_half_precision_files_are_computed_on_the_cpu_too(machine: Machine) -> None:
    machine()
    assert choose_device(RuntimeOptions(device="cpu", precision="fp16")) == CPU


@pytest.mark.parametrize(
    ("device", "asked", "sample", "expected"),
    [
        (NATIVE, "auto", "uint8", "bf16"),
        (NATIVE, "auto", "uint16", "fp32"),
        (NATIVE, "bf16", "uint16", "fp32"),
        (NATIVE, "fp32", "uint8", "fp32"),
        (PLAIN, "auto", "uint8", "fp32"),
        (NPU, "auto", "uint8", "fp16"),
    ],
)
def test_pictures_of_16_bits_are_computed_in_fp32(
    device: Device, asked: PrecisionChoice, sample: SampleType, expected: ComputePrecision
) -> None:
    assert choose_precision(device, asked, sample) == expected


class Refusing:
    """An engine whose device is found, but opens no file."""

    def find(self, _: str) -> Device:
        return NATIVE

    def open_session(self, path: Path, *_: object) -> object:
        raise DeviceError(f"openvino:CPU cannot be used: {path} has an operator that it lacks")


def test_auto_goes_on_on_the_cpu_where_the_model_is_not_for_the_device(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = choice.ENGINES["onnxruntime"]
    machine(NATIVE)
    engines = {"onnxruntime": real, "openvino": Refusing()}
    for module in (choice, open_module):
        monkeypatch.setattr(module, "ENGINES", engines)
    monkeypatch.setattr(logging.getLogger("lumen"), "propagate", True)
    models = open_module.ModelSet(RuntimeOptions(model=str(path), threads=1))
    assert [models.for_sample(sample).device for sample in ("uint8", "uint16")] == [CPU, CPU]
    assert "has an operator that it lacks" in caplog.text and len(caplog.records) == 1
    with pytest.raises(UnavailableError, match="an operator that it lacks"):
        open_module.open_model(RuntimeOptions(model=str(path), device="openvino"))
    with pytest.raises(UnavailableError, match="an operator that it lacks"):
        open_module.open_model(RuntimeOptions(model=str(path), precision="bf16"))
