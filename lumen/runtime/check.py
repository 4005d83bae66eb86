"""Whether a graph is what the contract of its spec says, when it is opened and after every run.

A file comes from elsewhere, and its metadata says nothing certain about its graph. What a graph gives against its
contract is never the fault of a picture, and numpy would broadcast a result of one channel, or of one row, without a
word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lumen.errors import ContractError, DeviceError, ModelError
from lumen.runtime.devices import CPU, ComputePrecision, Device
from lumen.runtime.engine import EngineError, Session, Size, Value
from lumen.spec import ModelSpec

TRIAL_S = 60.0  # the tiny tile takes milliseconds; the first run on a GPU seconds

_TILES = Value("sample", ("N", "H", "W", 3))
_THUMBNAILS = Value("float32", ("M", "h", "w", 3))
_PER_PICTURE = Value("float32", ("M",))
_TONES = Value("float32", ("M", "K"))
_FINITE = Value("bool", ("N",))

# By contract, as in `lumen.spec`.
INPUTS: dict[int, dict[str, Value]] = {
    1: {"tiles": _TILES, "thumbnails": _THUMBNAILS, "ev": _PER_PICTURE},
    2: {
        "tiles": _TILES,
        "tones": _TONES,
        "boxes": Value("float32", ("N", 4)),
        "thumbnails": _THUMBNAILS,
        "ev": _PER_PICTURE,
        "shadows": _PER_PICTURE,
    },
}
OUTPUTS: dict[int, dict[str, Value]] = {
    1: {"enhanced": _TILES, "brightness": _PER_PICTURE, "finite": _FINITE},
    2: {"enhanced": _TILES, "finite": _FINITE, "tone": _TONES, "brightness": _PER_PICTURE},
}
LATER = {1: {"finite"}, 2: set[str]()}  # outputs that older files lack


def check_graph(session: Session, spec: ModelSpec) -> None:
    """Check names, types and shapes of the inputs and outputs that a graph declares.

    Raises:
        ModelError: They are not those of the contract.
    """
    _check_declared("input", session.inputs, INPUTS[spec.contract], spec, optional=set())
    wanted = OUTPUTS[spec.contract]
    found = {name: value for name, value in session.outputs.items() if name in wanted}  # more of them do no harm
    _check_declared("output", found, wanted, spec, optional=LATER[spec.contract])


def try_graph(session: Session, spec: ModelSpec, device: Device, precision: ComputePrecision) -> None:
    """Run a graph on one tiny tile, dark but not black, on a device in a precision.

    Raises:
        ModelError: It fails, does not end, or gives something else than its contract says.
        DeviceError: It fails on another device than that which computes every model.
    """
    outputs = [name for name in OUTPUTS[spec.contract] if name in session.outputs]
    feeds = tiny_inputs(spec)
    try:
        values = session.run(outputs, feeds, limit_s=TRIAL_S)
    except TimeoutError as error:
        raise ModelError(f"a tile of {list(feeds['tiles'].shape)} took more than {TRIAL_S:g} s") from error
    except EngineError as error:
        if device != CPU:
            raise DeviceError(f"{device} cannot be used: {error}") from error
        raise ModelError(f"the model fails for a tiny tile: {error}") from error
    results = dict(zip(outputs, values, strict=True))
    check_results(spec, feeds, results, precision)
    if precision == "fp32" and not np.all(results.get("finite", True)):
        raise ModelError("the model gives NaN or infinity for a tiny tile")


def check_results(
    spec: ModelSpec, feeds: Mapping[str, Any], results: Mapping[str, Any], precision: ComputePrecision = "fp32"
) -> None:
    """Check what a run gave.

    In fp32 the brightness is always finite: it comes from a thumbnail in [0, 1], of which no picture can make more.
    Half precision and the tiles themselves are another matter, see `OnnxModel.run`.

    Args:
        spec: Spec of the model.
        feeds: The inputs of the run, by name.
        results: The outputs, by name.
        precision: What they were computed in.

    Raises:
        ContractError: A type or shape is not that of the contract, or the brightness is NaN or infinite.
    """
    sizes = _sizes(spec)
    for name, value in feeds.items():
        sizes |= {size: n for size, n in zip(INPUTS[spec.contract][name].shape, value.shape, strict=True) if size != n}
    for name, value in results.items():
        expected = OUTPUTS[spec.contract][name].of(spec, sizes)
        found = Value(str(value.dtype), value.shape) if isinstance(value, np.ndarray) else None
        if found != expected:
            raise _broken(spec, f"{name} as {expected}", found or type(value).__name__)
        if name == "brightness" and precision == "fp32" and not np.isfinite(value).all():
            raise _broken(spec, "a brightness from 0 to 1", value[~np.isfinite(value)][0])


def tiny_inputs(spec: ModelSpec, count: int = 1) -> dict[str, Any]:
    """Return the smallest inputs of a model by which height and width can be told apart, for a number of pictures.

    Inputs whose first sizes have the same name must agree: onnxruntime reuses buffers by the names.
    """
    height, width = spec.align, 2 * spec.align
    sizes: dict[Size, Size] = {"N": count, "M": count, "H": height, "W": width, "h": height, "w": width}
    sizes |= _sizes(spec)
    values = {"tiles": 1, "thumbnails": 0.05, "shadows": 1, "boxes": [0, 0, 1, 1]}
    wanted = {name: value.of(spec, sizes) for name, value in INPUTS[spec.contract].items()}
    return {name: np.full(shape, values.get(name, 0), dtype) for name, (dtype, shape) in wanted.items()}


def _sizes(spec: ModelSpec) -> dict[Size, Size]:
    """Return the sizes that the spec fixes, by their names."""
    sizes: dict[Size, Size] = {"K": spec.tone_size}
    return sizes | ({"h": spec.thumbnail_px, "w": spec.thumbnail_px} if spec.thumbnail == "square" else {})


def _check_declared(
    kind: str, found: Mapping[str, Value], wanted: Mapping[str, Value], spec: ModelSpec, optional: set[str]
) -> None:
    if not wanted.keys() - optional <= found.keys() <= wanted.keys():
        raise ModelError(f"expected the {kind}s {', '.join(wanted)}, got {', '.join(sorted(found))[:200] or 'none'}")
    fixed = _sizes(spec)
    for name, declared in found.items():
        expected = wanted[name].of(spec, fixed)
        # A size without a number is free, and no sizes at all are not known; the trial shows what they are.
        fits = not declared.shape or len(declared.shape) == len(expected.shape)
        fits &= all(size == n for size, n in zip(expected.shape, declared.shape, strict=False) if isinstance(n, int))
        if declared.dtype != expected.dtype or not fits:
            raise ModelError(f"expected the {kind} {name} as {expected}, got {declared}")


def _broken(spec: ModelSpec, expected: str, found: object) -> ContractError:
    return ContractError(f"model {spec.name!r} broke its contract: expected {expected}, got {found}; use another model")
