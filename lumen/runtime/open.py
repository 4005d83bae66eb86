"""Open models by name or file on the requested device, for 8 and 16 bits."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, LumenError, ModelError, UnusableModelError
from lumen.files.paths import is_plain_file, real_path
from lumen.runtime.check import check_graph, try_graph
from lumen.runtime.choice import ENGINES, choose_device, choose_precision
from lumen.runtime.cores import has_core_of_several, usable_cores
from lumen.runtime.devices import CPU, ComputePrecision, Device
from lumen.runtime.engine import Session
from lumen.runtime.model_files import find_model, full_of, half_of, is_half
from lumen.runtime.onnx_model import OnnxModel
from lumen.spec import ModelSpec, SampleType

log = logging.getLogger(__name__)


class ModelSet:
    """The 8-bit and 16-bit pair of one model, each opened on first use; thread-safe."""

    def __init__(self, options: RuntimeOptions | None = None) -> None:
        """Store the options.

        Raises:
            UsageError: The options name several devices; use `model_sets` for these.
        """
        self.options = options or RuntimeOptions()
        self.options.require_one_device()
        self._opened: dict[SampleType, OnnxModel] = {}
        self._by_threads = {self.options.threads: self}  # shared with the sets in it
        self._lock = threading.Lock()

    def open_ahead(self) -> None:
        """Begin to open the 8-bit model on another thread, while the caller has other things to do.

        Where there is no core for it, `for_sample` opens it as usual. That waits for it, and raises its errors.
        """

        def open_quietly() -> None:
            with suppress(LumenError):
                self.for_sample("uint8")

        if not has_core_of_several():  # otherwise both would be throttled
            threading.Thread(target=open_quietly, name="open").start()

    def for_sample(self, sample: SampleType) -> OnnxModel:
        """Return the model for a sample type.

        Raises:
            ModelError: There is no such model, or its file is damaged or of another contract.
            DeviceError: The requested device cannot be used.
        """
        with self._lock:
            if sample not in self._opened:
                device = self.options.device
                if device == "auto":  # that of the model that is open already, so that a fallback is reported once
                    device = next((model.device.name for model in self._opened.values()), device)
                model = open_model(replace(self.options, device=device), sample=sample)
                if not any(sample in other._opened for other in tuple(self._by_threads.values())):  # noqa: SLF001
                    where = model.device.described()
                    log.info("model %s (%s, %s) on %s", model.spec.name, sample, model.precision, where)
                self._opened[sample] = model
            for other, model in self._opened.items():
                if other != sample:
                    model.trim()  # otherwise both would keep memory
            return self._opened[sample]

    def with_threads(self, threads: int) -> ModelSet:
        """Return the same models, each run of which takes that many CPU threads; several may run at once.

        They are kept, and the memory that those with other threads keep between runs is freed.
        """
        with self._lock:
            for other in self._by_threads.values():
                if other.options.threads != threads:
                    other.trim()
            if threads not in self._by_threads:
                device = next((model.device.name for model in self._opened.values()), self.options.device)
                made = ModelSet(replace(self.options, device=device, threads=threads))  # a fallback is reported once
                made._by_threads = self._by_threads
                self._by_threads[threads] = made
            return self._by_threads[threads]

    def trim(self) -> None:
        """Free the memory that opened models keep between runs; thread-safe."""
        for model in tuple(self._opened.values()):
            model.trim()


def model_sets(options: RuntimeOptions) -> tuple[ModelSet, ...]:
    """Return one set of models per device in the options."""
    return tuple(ModelSet(replace(options, device=device)) for device in options.devices)


def asked_model(options: RuntimeOptions) -> str:
    """Return the model as it was asked for: its name, or the real path of its file, by which it can be compared."""
    path = Path(options.model)
    return str(real_path(path)) if is_plain_file(path) else options.model


def open_model(options: RuntimeOptions | None = None, *, sample: SampleType = "uint8") -> OnnxModel:
    """Open a model on the device in the options.

    Raises:
        ModelError: There is no such model.
        UnusableModelError: Its file is damaged, of another contract, or of another precision.
        DeviceError: A device was requested by name and cannot be used; the message gives the cause.
        UsageError: The options name several devices.
    """
    options = options or RuntimeOptions()
    options.require_one_device()
    device = choose_device(options)
    try:
        return _open_on(device, options, sample)
    except (DeviceError, UnusableModelError) as error:
        if options.device != "auto" or options.precision == "bf16" or device == CPU:
            raise
        model = _open_on(CPU, options, sample)
        log.warning("running on the CPU instead: %s", error)
        return model


def read_spec(path: Path) -> ModelSpec:
    """Return the spec stored in a model file.

    Raises:
        ModelError: It is not an ONNX file exported by lumen.
    """
    return _spec_of(_connect(path, CPU, "fp32", 1), path)


def _open_on(device: Device, options: RuntimeOptions, sample: SampleType) -> OnnxModel:
    if sample != "uint8" and "fp32" not in device.precisions:
        device = CPU  # 16 bits need fp32
    path, precision = _find_file(options, sample, device)
    model = _open_file(path, device, precision, options.threads)
    if model.spec.sample != sample:
        raise UnusableModelError(
            f"{path} works on {model.spec.sample} samples, expected {sample}; name the 8-bit file M.onnx"
        )
    return model


def _find_file(options: RuntimeOptions, sample: SampleType, device: Device) -> tuple[Path, ComputePrecision]:
    """Return the file for the precision, and what to compute in: half precision is for 8-bit pictures."""
    path = find_model(options.model, sample)
    if device.casts:
        full = full_of(path) if sample == "uint8" else path
        if not is_plain_file(full):
            raise ModelError(
                f"{device} computes from the fp32 file; put {full.name} beside {path}, or use --device cpu"
            )
        return full, choose_precision(device, options.precision, sample)
    if sample != "uint8":
        return path, "fp32"
    if options.precision == "auto":
        wanted = half_of(path) if "fp16" in device.precisions and is_plain_file(half_of(path)) else path
    else:
        wanted = full_of(path) if options.precision == "fp32" else half_of(path)
        _require_file(wanted, options)
    return wanted, "fp16" if is_half(str(wanted)) else "fp32"


def _require_file(wanted: Path, options: RuntimeOptions) -> None:
    """Raise `ModelError` if there is no file for the precision that was asked for."""
    if is_plain_file(wanted):
        return
    if not is_plain_file(Path(options.model)):
        raise ModelError(f"the bundled model {options.model} exists in fp32 only; use --precision auto or fp32")
    raise ModelError(
        f"--precision {options.precision} needs {wanted.name} beside {options.model}; "
        "`lumen export-onnx --precision fp16` writes both"
    )


def _connect(path: Path, device: Device, precision: ComputePrecision, threads: int) -> Session:
    return ENGINES[device.engine].open_session(path, device, precision, threads)


def _open_file(path: Path, device: Device, precision: ComputePrecision, threads: int) -> OnnxModel:
    connect = partial(_connect, path, device, precision, threads)
    session = connect()
    spec = _spec_of(session, path)
    precision = precision if device.casts else spec.precision
    try:
        check_graph(session, spec)
        try_graph(session, spec, device, precision)
    except ModelError as error:
        raise UnusableModelError(f"{path} does not follow contract {spec.contract}: {error}") from error
    in_full = None
    if precision != "fp32" and is_plain_file(full_of(path)) and (device.casts or full_of(path) != path):
        where = device if "fp32" in device.precisions else CPU
        in_full = partial(_open_in_full, full_of(path), where, threads, spec)
    guarded = "finite" in session.outputs
    shared = (threads or usable_cores()) if device == CPU else 1  # the others run one after the other
    return OnnxModel(
        spec, device, connect, session, precision=precision, threads=shared, guarded=guarded, in_full=in_full
    )


def _open_in_full(path: Path, device: Device, threads: int, half: ModelSpec) -> OnnxModel:
    model = _open_file(path, device, "fp32", threads)
    if model.spec.weights_sha256 != half.weights_sha256 or model.spec.precision != "fp32":
        raise UnusableModelError(f"{path} is not the fp32 version of {half_of(path).name}; export both again")
    return model


def _spec_of(session: Session, path: Path) -> ModelSpec:
    """Return the spec in a session's model file; `UnusableModelError` names the file."""
    try:
        return ModelSpec.from_metadata(session.metadata)
    except ModelError as error:
        raise UnusableModelError(f"{path}: {error}") from error
