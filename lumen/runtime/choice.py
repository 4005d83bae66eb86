"""Which engine, device and precision run a model: the one place that chooses.

What `auto` takes follows from the hardware and the installed packages alone, never from a measurement or from the
pictures, so that a machine gives the same pixels every time. It takes nothing that was not measured to be faster:

1. an NVIDIA GPU;
2. OpenVINO in bf16 on a CPU that computes bf16 natively;
3. ONNX Runtime on the CPU.
"""

from __future__ import annotations

import logging
from types import MappingProxyType

from lumen.config import PrecisionChoice, RuntimeOptions
from lumen.errors import DeviceError, MissingExtraError, UnavailableError
from lumen.runtime import onnxruntime_engine, openvino_engine
from lumen.runtime.devices import CPU, ComputePrecision, Device, cuda_device_count
from lumen.runtime.engine import Engine
from lumen.runtime.model_files import is_half
from lumen.runtime.openvino_engine import PACKAGE
from lumen.spec import SampleType

log = logging.getLogger(__name__)

ENGINES: MappingProxyType[str, Engine] = MappingProxyType(
    {"onnxruntime": onnxruntime_engine, "openvino": openvino_engine}
)


def choose_device(options: RuntimeOptions) -> Device:
    """Return the device to try for `--device` and `--precision`.

    Raises:
        DeviceError: The device was requested by name and is not there, or no device computes in the precision.
        MissingExtraError: The device was requested by name, and its package is not installed.
    """
    if options.device != "auto":
        named = find_device(options.device)
        _check_precision(named, options.precision)
        return named
    if options.precision == "bf16":
        if not PACKAGE.is_installed():
            raise MissingExtraError(PACKAGE.hint("--precision bf16", "use --precision auto"))
        openvino = find_device("openvino:CPU")
        _check_precision(openvino, "bf16")
        return openvino
    gpu = _first_gpu()
    if gpu is not None:
        return gpu
    if options.precision == "auto" and not is_half(options.model):
        return _openvino_in_bf16() or CPU
    return CPU


def find_device(name: str) -> Device:
    """Return a device by the name that `--device` gives it.

    Raises:
        DeviceError: It is not there.
        MissingExtraError: Its package is not installed.
    """
    engine = "openvino" if name.partition(":")[0] == "openvino" else "onnxruntime"
    return ENGINES[engine].find(name)


def choose_precision(device: Device, asked: PrecisionChoice, sample: SampleType) -> ComputePrecision:
    """Return what a device that casts computes in: 16-bit pictures need fp32."""
    if sample != "uint8":
        return "fp32"
    return device.precisions[0] if asked == "auto" else asked


def _check_precision(device: Device, asked: PrecisionChoice) -> None:
    """Refuse what the hardware does not compute; half-precision files are computed everywhere."""
    if asked == "auto" or asked in device.precisions or (asked != "bf16" and not device.casts):
        return
    if device.casts:
        found = " and ".join(device.precisions)
        raise DeviceError(f"{device.described()} does not compute in {asked}, only in {found}; use --precision auto")
    raise DeviceError(f"{device} does not compute in {asked}; use --device openvino, or --precision auto")


def _first_gpu() -> Device | None:
    if not cuda_device_count():
        return None
    try:
        return find_device("cuda:0")
    except DeviceError as error:
        log.warning("running on the CPU although an NVIDIA device is present: %s", error)
        return None


def _openvino_in_bf16() -> Device | None:
    if not PACKAGE.is_installed():
        return None
    try:
        device = find_device("openvino:CPU")
    except UnavailableError as error:
        log.info("%s", error)
        return None
    return device if "bf16" in device.precisions else None
