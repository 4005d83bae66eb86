"""Open models by name or file on the requested device, for 8 and 16 bits."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, ModelError, UnusableModelError
from lumen.files.paths import is_plain_file, real_path
from lumen.runtime.check import check_graph, try_graph
from lumen.runtime.model_files import find_model, full_of, half_of
from lumen.runtime.onnx_model import OnnxModel
from lumen.runtime.session import choose_device, make_session
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
        self._lock = threading.Lock()

    def for_sample(self, sample: SampleType) -> OnnxModel:
        """Return the model for a sample type.

        Raises:
            ModelError: There is no such model, or its file is damaged or of another contract.
            DeviceError: The requested device cannot be used.
        """
        with self._lock:
            if sample not in self._opened:
                # Use the device of the model that is open already, so that a fallback is reported once.
                device = next((model.device for model in self._opened.values()), self.options.device)
                self._opened[sample] = open_model(replace(self.options, device=device), sample=sample)
            for other, model in self._opened.items():
                if other != sample:
                    model.trim()  # otherwise both would keep memory
            return self._opened[sample]


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
        DeviceError: CUDA was requested by name and cannot be used; the message gives the cause.
        UsageError: The options name several devices.
    """
    options = options or RuntimeOptions()
    options.require_one_device()
    device = choose_device(options.device)
    try:
        return _open_on(device, options, sample)
    except DeviceError as error:
        if options.device != "auto":
            raise
        log.warning("running on the CPU although an NVIDIA device is present: %s", error)
        return _open_on("cpu", options, sample)


def read_spec(path: Path) -> ModelSpec:
    """Return the spec stored in a model file.

    Raises:
        ModelError: It is not an ONNX file exported by lumen.
    """
    return _spec_of(make_session(path, "cpu", 1), path)


def _open_on(device: str, options: RuntimeOptions, sample: SampleType) -> OnnxModel:
    path = _find_file(options, sample, device)
    model = _open_file(path, device, options.threads)
    if model.spec.sample != sample:
        raise UnusableModelError(
            f"{path} works on {model.spec.sample} samples, expected {sample}; name the 8-bit file M.onnx"
        )
    log.info("model %s (%s, %s) on %s", model.spec.name, sample, model.spec.precision, device)
    return model


def _find_file(options: RuntimeOptions, sample: SampleType, device: str) -> Path:
    """Return the file for the precision: half precision is for 8-bit pictures, and `auto` uses it on GPUs only."""
    path = find_model(options.model, sample)
    if sample != "uint8":
        return path
    if options.precision == "auto":
        return half_of(path) if device != "cpu" and is_plain_file(half_of(path)) else path
    wanted = full_of(path) if options.precision == "fp32" else half_of(path)
    if not is_plain_file(wanted) and not is_plain_file(Path(options.model)):
        raise ModelError(f"the bundled model {options.model} exists in fp32 only; use --precision auto or fp32")
    if not is_plain_file(wanted):
        raise ModelError(
            f"--precision {options.precision} needs {wanted.name} beside {path}; "
            "`lumen export-onnx --precision fp16` writes both"
        )
    return wanted


def _open_file(path: Path, device: str, threads: int) -> OnnxModel:
    connect = partial(make_session, path, device, threads)
    session = connect()
    spec = _spec_of(session, path)
    try:
        check_graph(session, spec)
        try_graph(session, spec, device)
    except ModelError as error:
        raise UnusableModelError(f"{path} does not follow contract {spec.contract}: {error}") from error
    guarded = any(output.name == "finite" for output in session.get_outputs())
    in_full = None
    if spec.precision == "fp16" and full_of(path) != path and is_plain_file(full_of(path)):
        in_full = partial(_open_in_full, full_of(path), device, threads, spec)
    return OnnxModel(spec, device, connect, session, guarded=guarded, in_full=in_full)


def _open_in_full(path: Path, device: str, threads: int, half: ModelSpec) -> OnnxModel:
    model = _open_file(path, device, threads)
    if model.spec.weights_sha256 != half.weights_sha256 or model.spec.precision != "fp32":
        raise UnusableModelError(f"{path} is not the fp32 version of {half_of(path).name}; export both again")
    return model


def _spec_of(session: Any, path: Path) -> ModelSpec:
    """Return the spec in a session's model file; `UnusableModelError` names the file."""
    try:
        return ModelSpec.from_metadata(session.get_modelmeta().custom_metadata_map)
    except ModelError as error:
        raise UnusableModelError(f"{path}: {error}") from error
