"""OpenVINO: CPUs, Intel GPUs and Intel NPUs, and model files compiled for them.

It reads the same ONNX files as ONNX Runtime, and computes them in any precision of the device. Three things differ:

- A graph is compiled for the shape of its inputs: fused, it takes two thirds of the time of one for any shape.
  Pictures of one size share the compiled graph; each further size costs a fifth of a second and more.
- A graph is split into parts that share no input, and each is compiled by itself. The part without tiles decides for
  the whole picture and takes next to no time, so it is computed in fp32.
- A run cannot be cancelled. It ends by itself, because a graph with a loop is refused.
"""

from __future__ import annotations

import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lumen.errors import DeviceError, MissingExtraError
from lumen.extras import Package
from lumen.runtime.cores import usable_cores
from lumen.runtime.devices import ComputePrecision, Device
from lumen.runtime.engine import EngineError, Size, Value, unloadable
from lumen.runtime.openvino_nan import graphs_of, keep_nan
from lumen.runtime.runs import run_cancellable

PACKAGE = Package(name="openvino", module="openvino", extra="openvino")

KEPT_SHAPES = 4  # portrait and landscape, and the turned passes of --quality-passes

_PRECISIONS: dict[str, ComputePrecision] = {"BF16": "bf16", "FP16": "fp16", "FP32": "fp32"}  # the fastest first
_TYPES = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_LOOPS = {"Loop", "TensorIterator"}

_WHERE = re.compile(r"Exception from \S+:\d+:$|Check '.*' failed at \S+:\d+:?$|While validating node ")
_ERRORS = (RuntimeError, ValueError, MemoryError)  # it has none of its own

Request = tuple[Any, Any]  # a compiled model, and what runs it


class OpenVinoSession:
    """A model file compiled by OpenVINO, with what the file says; see `lumen.runtime.engine.Session`."""

    def __init__(self, model: Any, device: Device, precision: ComputePrecision, threads: int) -> None:
        """Wrap an `openvino.Model`; it is compiled when it runs."""
        self.metadata = _metadata_of(model)
        self.inputs = {port.any_name: _declared(port) for port in model.inputs}
        self.outputs = {port.any_name: _declared(port) for port in model.outputs}
        self._parts = [_Part(each, device, precision, threads) for each in _parts_of(model)]
        self._lock = threading.Lock()

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any], *, limit_s: float | None = None) -> Sequence[Any]:
        """Compute some outputs, in one thread at a time."""
        found: dict[str, Any] = {}
        with self._lock:
            for part in self._parts:
                if part.outputs.isdisjoint(outputs):
                    continue
                try:
                    compiled, request = part.request_for(feeds)
                    given = {name: np.ascontiguousarray(feeds[name]) for name in part.inputs}
                    run_cancellable(lambda: request.infer(given, share_inputs=True), request.cancel, limit_s=limit_s)  # noqa: B023
                    values = {name: request.get_tensor(compiled.output(name)).data.copy() for name in part.outputs}
                except _ERRORS as error:
                    raise EngineError(error, _reason(error)) from error
                found |= values
        return [found[name] for name in outputs]

    def trim(self, _: Mapping[str, Any]) -> None:
        """Free the working memory."""
        with self._lock:
            for part in self._parts:
                part.trim()


class _Part:
    """A part of a graph, compiled for the last few shapes of its inputs; only one of them keeps working memory."""

    def __init__(self, model: Any, device: Device, precision: ComputePrecision, threads: int) -> None:
        self.inputs = [port.any_name for port in model.inputs]
        self.outputs = {port.any_name for port in model.outputs}
        once = "tiles" not in self.inputs and "fp32" in device.precisions
        self._model = model
        self._target = target_of(device.name)
        self._settings = _settings(device, "fp32" if once else precision, threads)
        self._kept: OrderedDict[tuple[tuple[int, ...], ...], Request] = OrderedDict()

    def request_for(self, feeds: Mapping[str, Any]) -> Request:
        """Return what runs inputs of these shapes, compiled if necessary."""
        shapes = tuple(feeds[name].shape for name in self.inputs)
        if shapes in self._kept:
            if next(reversed(self._kept)) != shapes:
                self.trim()
                self._kept.move_to_end(shapes)
            return self._kept[shapes]
        self.trim()
        while len(self._kept) >= KEPT_SHAPES:
            self._kept.popitem(last=False)
        model = self._model.clone()
        model.reshape(dict(zip(self.inputs, map(list, shapes), strict=True)))
        compiled = load_core().compile_model(model, self._target, self._settings)
        self._kept[shapes] = compiled, compiled.create_infer_request()
        return self._kept[shapes]

    def trim(self) -> None:
        """Free the working memory, which belongs to the shapes that ran last."""
        if self._kept:
            compiled, _ = next(reversed(self._kept.values()))
            compiled.release_memory()


def find(name: str) -> Device:
    """Return `openvino`, `openvino:CPU`, `openvino:GPU`, `openvino:GPU.N` or `openvino:NPU`.

    Raises:
        DeviceError: OpenVINO sees no such device.
        MissingExtraError: OpenVINO is not installed.
    """
    core, target = load_core(), target_of(name)
    there = targets()
    if not any(each == target or each.startswith(f"{target}.") for each in there):
        raise DeviceError(
            f"{name} cannot be used: OpenVINO sees only {', '.join(there) or 'nothing'} here; see `lumen doctor`"
        )
    kind = target.partition(".")[0].lower()
    try:
        label = str(core.get_property(target, "FULL_DEVICE_NAME")).strip()
        able = core.get_property(target, "OPTIMIZATION_CAPABILITIES")
        discrete = kind == "gpu" and "DISCRETE" in str(core.get_property(target, "DEVICE_TYPE")).upper()
        own = int(core.get_property(target, "GPU_DEVICE_TOTAL_MEM_SIZE")) if discrete else 0
    except _ERRORS as error:
        raise DeviceError(f"{name} cannot be used: {_reason(error)}") from error
    return Device(
        name=f"openvino:{target}",
        engine="openvino",
        kind="gpu" if kind == "gpu" else "npu" if kind == "npu" else "cpu",
        label=label,
        shares_memory=not discrete,
        own_bytes=lambda: own,
        precisions=tuple(precision for word, precision in _PRECISIONS.items() if word in able) or ("fp32",),
        casts=True,
    )


def open_session(path: Path, device: Device, precision: ComputePrecision, threads: int) -> OpenVinoSession:
    """Read a model file, or raise `DeviceError` or `UnusableModelError`."""
    core = load_core()
    try:
        # As bytes: nothing outside the file is read, whatever it names.
        model = core.read_model(path.read_bytes())
    except (*_ERRORS, OSError) as error:
        raise unloadable(path, _reason(error)) from error
    loops = sorted({each.get_type_name() for graph in graphs_of(model) for each in graph.get_ops()} & _LOOPS)
    if loops:
        raise DeviceError(f"{device} cannot be used: {path} holds a {loops[0]}, which OpenVINO cannot interrupt")
    keep_nan(model)
    return OpenVinoSession(model, device, precision, threads)


def targets() -> list[str]:
    """Return OpenVINO's own names of the devices that it sees, such as `CPU` and `GPU.0`.

    Raises:
        DeviceError: OpenVINO cannot be loaded.
        MissingExtraError: It is not installed.
    """
    return [str(each) for each in load_core().available_devices]


def target_of(name: str) -> str:
    """Return OpenVINO's own name of a device: `GPU.1` of `openvino:GPU.1`, `CPU` of `openvino`."""
    return name.partition(":")[2] or "CPU"


@cache
def load_core() -> Any:
    """Import OpenVINO on first use, and return its one `Core`.

    Raises:
        DeviceError: It cannot be loaded.
        MissingExtraError: It is not installed.
    """
    if not PACKAGE.is_installed():
        raise MissingExtraError(PACKAGE.hint("--device openvino", "use --device cpu"))
    try:
        with _without_telemetry():
            import openvino

        return openvino.Core()
    except (ImportError, *_ERRORS) as error:
        raise DeviceError(f"OpenVINO cannot be loaded: {_reason(error)}; use --device cpu") from error


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Have OpenVINO do without its telemetry, which sends and keeps an identifier in the home folder on import."""
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # a module that cannot be found: OpenVINO has a stub for that
    try:
        yield
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


def _reason(error: Exception) -> str:
    """Return the line of an OpenVINO error that says what is wrong; the first ones say where in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not _WHERE.match(line)]
    return (telling or lines or [type(error).__name__])[0]


def _settings(device: Device, precision: ComputePrecision, threads: int) -> dict[str, Any]:
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _TYPES[precision], "PERFORMANCE_HINT": "LATENCY"}
    if device.kind != "cpu":
        return settings
    # By default it takes one thread per physical core, and binds them to cores that others may be using.
    return settings | {
        "INFERENCE_NUM_THREADS": threads or usable_cores(),
        "NUM_STREAMS": 1,
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": False,
    }


def _metadata_of(model: Any) -> dict[str, str]:
    """Return the `metadata_props` of the file, which OpenVINO keeps under `framework`."""
    found = model.rt_info
    if "framework" not in found:
        return {}
    return {key: model.get_rt_info(["framework", key]).astype(str) for key in found["framework"]}


def _declared(port: Any) -> Value:
    """Return what a graph says of an input or output."""
    kind = port.element_type.to_dtype().name
    shape = port.partial_shape
    if shape.rank.is_dynamic:
        return Value(kind, ())
    return Value(kind, tuple(_size(each) for each in shape))


def _size(dimension: Any) -> Size:
    return None if dimension.is_dynamic else int(dimension.get_length())


def _parts_of(model: Any) -> list[Any]:
    """Return the parts of a graph that share no input, as models."""
    import openvino

    parts: list[tuple[list[Any], dict[str, Any]]] = []  # results, and inputs by name
    for result in model.get_results():
        results, inputs = [result], _inputs_of(result)
        for other in [each for each in parts if inputs.keys() & each[1].keys() or not inputs]:
            parts.remove(other)
            results, inputs = other[0] + results, other[1] | inputs
        parts.append((results, inputs))
    return [openvino.Model(results, list(inputs.values()), "part") for results, inputs in parts]


def _inputs_of(result: Any) -> dict[str, Any]:
    """Return the inputs that a result is computed from, by name."""
    seen: set[str] = set()
    found: dict[str, Any] = {}
    waiting: list[Any] = [result]
    while waiting:
        node = waiting.pop()
        name = node.get_friendly_name()
        if name in seen:
            continue
        seen.add(name)
        if node.get_type_name() == "Parameter":
            found[name] = node
        waiting += _nodes_before(node)
    return found


def _nodes_before(node: Any) -> Iterable[Any]:
    return (each.get_source_output().get_node() for each in node.inputs())
