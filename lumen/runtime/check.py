"""Whether a graph is what the contract of its spec says, when it is opened and after every run.

A file comes from elsewhere, and its metadata says nothing certain about its graph. What a graph gives against its
contract is never the fault of a picture, and numpy would broadcast a result of one channel, or of one row, without a
word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lumen.errors import ContractError, DeviceError, ModelError
from lumen.runtime.runs import run_session
from lumen.runtime.session import first_line, native_errors
from lumen.spec import ModelSpec

TRIAL_S = 60.0  # the tiny tile takes milliseconds; the first run on a GPU seconds

Size = str | int | None  # None is one that a graph does not tell


class Value(NamedTuple):
    """Type and shape of an input or output; `sample` is the type in the spec, and names stand for sizes."""

    dtype: str
    shape: tuple[Size, ...]

    def of(self, spec: ModelSpec, sizes: Mapping[Size, Size]) -> Value:
        """Return it for one model, with the sizes that are known by their names."""
        dtype = spec.sample if self.dtype == "sample" else self.dtype
        return Value(dtype, tuple(sizes.get(size, size) for size in self.shape))

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"[:100]


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

_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}  # of onnxruntime; the others have numpy's names


def check_graph(session: Any, spec: ModelSpec) -> None:
    """Check names, types and shapes of the inputs and outputs that a graph declares.

    Raises:
        ModelError: They are not those of the contract.
    """
    _check_declared("input", session.get_inputs(), INPUTS[spec.contract], spec, optional=set())
    wanted = OUTPUTS[spec.contract]
    found = [each for each in session.get_outputs() if each.name in wanted]  # more of them do no harm
    _check_declared("output", found, wanted, spec, optional=LATER[spec.contract])


def try_graph(session: Any, spec: ModelSpec, device: str) -> None:
    """Run a graph on one tiny tile, dark but not black.

    Raises:
        ModelError: It fails, does not end, or gives something else than its contract says.
        DeviceError: It fails on another device than the CPU.
    """
    declared = {each.name for each in session.get_outputs()}
    outputs = [name for name in OUTPUTS[spec.contract] if name in declared]
    feeds = tiny_inputs(spec)
    try:
        values = run_session(session, outputs, feeds, limit_s=TRIAL_S)
    except TimeoutError as error:
        raise ModelError(f"a tile of {list(feeds['tiles'].shape)} took more than {TRIAL_S:g} s") from error
    except native_errors() as error:
        if device != "cpu":
            raise DeviceError(f"{device} cannot be used: {first_line(error)}") from error
        raise ModelError(f"the model fails for a tiny tile: {first_line(error)}") from error
    results = dict(zip(outputs, values, strict=True))
    check_results(spec, feeds, results)
    if spec.precision == "fp32" and not np.all(results.get("finite", True)):
        raise ModelError("the model gives NaN or infinity for a tiny tile")


def check_results(spec: ModelSpec, feeds: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Check what a run gave.

    In fp32 the brightness is always finite: it comes from a thumbnail in [0, 1], of which no picture can make more.
    Half precision and the tiles themselves are another matter, see `OnnxModel.run`.

    Args:
        spec: Spec of the model.
        feeds: The inputs of the run, by name.
        results: The outputs, by name.

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
        if name == "brightness" and spec.precision == "fp32" and not np.isfinite(value).all():
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
    kind: str, found: Sequence[Any], wanted: Mapping[str, Value], spec: ModelSpec, optional: set[str]
) -> None:
    names = {each.name for each in found}
    if not wanted.keys() - optional <= names <= wanted.keys():
        raise ModelError(f"expected the {kind}s {', '.join(wanted)}, got {', '.join(sorted(names))[:200] or 'none'}")
    fixed = _sizes(spec)
    for each in found:
        expected = wanted[each.name].of(spec, fixed)
        dtype = _TYPES.get(each.type, each.type.removeprefix("tensor(").removesuffix(")"))
        declared = Value(dtype, tuple(each.shape))
        # A size without a number is free, and no sizes at all are not known; the trial shows what they are.
        fits = not declared.shape or len(declared.shape) == len(expected.shape)
        fits &= all(size == n for size, n in zip(expected.shape, declared.shape, strict=False) if isinstance(n, int))
        if declared.dtype != expected.dtype or not fits:
            raise ModelError(f"expected the {kind} {each.name} as {expected}, got {declared}")


def _broken(spec: ModelSpec, expected: str, found: object) -> ContractError:
    return ContractError(f"model {spec.name!r} broke its contract: expected {expected}, got {found}; use another model")
