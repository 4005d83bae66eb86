"""Stand-ins for a trained model.

`FakeModel` and `FakeModels` replace the runtime in unit tests; `write_fake_onnx` writes a tiny real ONNX file that
follows the contract of `lumen.spec`, for tests that run the command with `--model PATH`.

Both compute the same thing: every sample is averaged over a square of side `2 * radius + 1` (zeros outside the window,
as a convolution would see them), multiplied by `gain * 2 ** (ev / 2.2)`, clipped and rounded. The brightness is the
mean of the thumbnail times the same factor.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.runtime.devices import CPU, ComputePrecision
from lumen.spec import ModelSpec, SampleType

GAMMA = 2.2
FAKE_LEVEL = 0.4  # that fakes of contract 2 aim at


def fake_spec(sample: SampleType = "uint8", **changes: Any) -> ModelSpec:
    """Return the facts of a fake model; keyword arguments replace single ones."""
    facts: dict[str, Any] = {
        "name": "fake",
        "architecture": "fake",
        "hyperparameters": {},
        "sample": sample,
        "align": 8,
        "halo_px": 16,
        "edge_px": 8,
        "thumbnail_px": 32,
        "bytes_per_px": 64,
        "gmacs_per_mp": 0.25,
        "parameters": 1,
        "weights_sha256": "0" * 64,
        "training": {},
    }
    return ModelSpec(**(facts | changes))


def box_mean(pixels: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """Average [N, H, W, C] over squares of side `2 * radius + 1`, zeros outside."""
    side = 2 * radius + 1
    # Running sums of whole numbers are exact, so a window gives the same bits wherever it was cut.
    sums = np.pad(pixels, ((0, 0), (radius + 1, radius), (radius + 1, radius), (0, 0)))
    for axis in (1, 2):
        sums = np.cumsum(sums, axis=axis, dtype=np.float64)
        sums = np.take(sums, range(side, sums.shape[axis]), axis) - np.take(sums, range(sums.shape[axis] - side), axis)
    return sums / side**2


class FakeModel:
    """What `lumen.runtime.onnx_model.OnnxModel` offers, in numpy.

    Attributes:
        shapes: Shape of the tiles of every call, oldest first.
        evs: `ev` of every call.
        releases: How often the session was dropped.
    """

    def __init__(
        self,
        sample: SampleType = "uint8",
        *,
        gain: float = 1.0,
        radius: int = 0,
        threads: int = 1,
        budget_bytes: int = 1 << 30,
        fault: Callable[[NDArray[Any]], None] | None = None,
        **spec_changes: Any,
    ) -> None:
        """Make a model; `fault` is called with the tiles of every run and may raise."""
        self.spec = fake_spec(sample, **spec_changes)
        self.device = CPU
        self.precision: ComputePrecision = "fp32"
        self.budget_bytes = budget_bytes
        self.threads = threads
        self.window_limit_px: int | None = None
        self.gain = gain
        self.radius = radius
        self.fault = fault
        self.shapes: list[tuple[int, ...]] = []
        self.evs: list[float] = []
        self.releases = 0

    def run(
        self,
        tiles: NDArray[Any],
        thumbnails: NDArray[np.float32],
        ev: NDArray[np.float32],
        *,
        tones: NDArray[np.float32] | None = None,
        **_: Any,
    ) -> NDArray[Any]:
        """Enhance tiles [N, H, W, 3]; the checks are those a real session would make.

        With contract 2 the factor is that of the tone.
        """
        assert tiles.dtype == self.spec.sample
        assert tiles.ndim == 4 and tiles.shape[3] == 3
        assert tiles.shape[1] % self.spec.align == 0 and tiles.shape[2] % self.spec.align == 0
        assert thumbnails.shape[1:] == (self.spec.thumbnail_px, self.spec.thumbnail_px, 3)
        assert thumbnails.dtype == np.float32 and ev.dtype == np.float32 and ev.shape == thumbnails.shape[:1]
        self.shapes.append(tiles.shape)
        self.evs.append(float(ev[0]))
        if self.fault is not None:
            self.fault(tiles)
        mean = box_mean(tiles.astype(np.float64), self.radius)
        factor = self.gain * 2.0 ** (ev.astype(np.float64) / GAMMA)
        if self.spec.contract > 1:
            given = self.tone(thumbnails, ev, np.ones_like(ev)) if tones is None else tones
            assert given.shape == (len(thumbnails), self.spec.tone_size) and given.dtype == np.float32
            factor = np.exp(given[:, 0].astype(np.float64))
        scaled = mean * factor[:, None, None, None]
        return np.clip(np.rint(scaled), 0, self.spec.levels).astype(tiles.dtype)

    def tone(
        self, thumbnails: NDArray[np.float32], ev: NDArray[np.float32], shadows: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the tones [M, K]: the logarithm of the factor by which pictures reach a mean level, and its parts."""
        level = np.maximum(thumbnails.mean(axis=(1, 2, 3)), 1e-3)
        factor = np.log(FAKE_LEVEL / level) + ev * np.float32(np.log(2) / GAMMA)
        rest = [shadows] * (self.spec.tone_size - 1)
        return np.stack([factor, *rest], axis=1).astype(np.float32)

    def brightness(self, thumbnail: NDArray[np.float32], ev: float = 0.0) -> float:
        """Return the mean level in [0, 1] the output aims at."""
        return min(1.0, float(thumbnail.mean()) * self.gain * float(2.0 ** (ev / GAMMA)))

    def release(self) -> None:
        """Count that the session was dropped."""
        self.releases += 1


class FakeModels:
    """What `lumen.runtime.open.ModelSet` offers: one fake per sample type, made when first asked for."""

    def __init__(self, **arguments: Any) -> None:
        """Keep the arguments of `FakeModel`."""
        self._arguments = arguments
        self._lock = threading.Lock()
        self.opened: dict[SampleType, FakeModel] = {}

    def for_sample(self, sample: SampleType) -> FakeModel:
        """Return the model for `sample`."""
        with self._lock:
            if sample not in self.opened:
                self.opened[sample] = FakeModel(sample, **self._arguments)
            return self.opened[sample]

    def with_threads(self, _threads: int) -> FakeModels:
        """Return itself: the fakes have no threads."""
        return self


class Meeting:
    """A fault of a fake model: its first runs on several threads wait for each other.

    Attributes:
        threads: Those that have run the model.
    """

    def __init__(self, threads: int) -> None:
        """Break unless that many threads run the model at once."""
        self.threads: set[int] = set()
        self._barrier = threading.Barrier(threads)

    def __call__(self, _tiles: NDArray[Any]) -> None:
        """Wait, the first time on each thread."""
        if threading.get_ident() not in self.threads:
            self.threads.add(threading.get_ident())
            self._barrier.wait(20)


def write_fake_onnx(
    path: Path,
    sample: SampleType = "uint8",
    *,
    gain: float = 2.0,
    radius: int = 1,
    burn: int = 0,
    swell: float = 0.0,
    **spec_changes: Any,
) -> Path:
    """Write a real ONNX model that follows the contract, and return its path.

    Args:
        path: Where the file goes; name the 16-bit twin `M.u16.onnx` beside `M.onnx`.
        sample: Integer type of `tiles` and `enhanced`.
        gain: Factor on every sample.
        radius: Each sample is averaged over `2 * radius + 1` squared neighbours.
        burn: Extra 32-channel 3x3 convolutions whose result is multiplied by zero: makes a run slow.
        swell: When not 0, results are multiplied by it and divided again, in half precision where `precision="fp16"`
            says so, and the graph has the output `finite`: what does not fit on the way comes out as infinity.
        **spec_changes: Facts that replace those of `fake_spec`.
    """
    import onnx
    from onnx import TensorProto as T
    from onnx import helper, numpy_helper

    spec = fake_spec(sample, **spec_changes)
    integer = T.UINT8 if sample == "uint8" else T.UINT16
    side = 2 * radius + 1
    box = np.zeros((3, 3, side, side), np.float32)
    box[range(3), range(3)] = 1.0 / side**2
    constants = {
        "box": box,
        "gain": np.float32(gain),
        "gamma": np.float32(GAMMA),
        "two": np.float32(2),
        "zero": np.float32(0),
        "one": np.float32(1),
        "top": np.float32(spec.levels),
        "tail": np.array([-1, 1, 1, 1], np.int64),
        "pixels": np.array([1, 2, 3], np.int64),
    }
    if swell:
        constants["swell"] = np.float32(swell)
    nodes, slow = _enhancing_nodes(radius, integer, burn), _slow_weights(burn)
    if swell:
        nodes = _swelling_nodes(nodes, T.FLOAT16 if spec.precision == "fp16" else T.FLOAT)
    t = spec.thumbnail_px
    value = helper.make_tensor_value_info
    outputs = [value("enhanced", integer, ["n", "h", "w", 3]), value("brightness", T.FLOAT, ["m"])]
    graph = helper.make_graph(
        nodes,
        "fake",
        [
            value("tiles", integer, ["n", "h", "w", 3]),
            value("thumbnails", T.FLOAT, ["m", t, t, 3]),
            value("ev", T.FLOAT, ["m"]),
        ],
        [*outputs, *([value("finite", T.BOOL, ["n"])] if swell else [])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants | slow).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, spec.to_metadata())
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def _enhancing_nodes(radius: int, integer: int, burn: int) -> list[Any]:
    """Return the nodes from the three inputs to the two outputs; the constants are those of `write_fake_onnx`."""
    from onnx import TensorProto as T
    from onnx import helper

    node = helper.make_node
    nodes = [
        node("Cast", ["tiles"], ["float"], to=T.FLOAT),
        node("Transpose", ["float"], ["nchw"], perm=[0, 3, 1, 2]),
        node("Conv", ["nchw", "box"], ["mean"], pads=[radius] * 4),
        node("Div", ["ev", "gamma"], ["stops"]),
        node("Pow", ["two", "stops"], ["power"]),
        node("Mul", ["power", "gain"], ["factor"]),
        node("Reshape", ["factor", "tail"], ["factor4"]),
        node("Mul", ["mean", "factor4"], ["scaled"]),
    ]
    last = "scaled"
    if burn:
        nodes.append(node("Conv", ["nchw", "grow"], ["b0"], pads=[1] * 4))
        nodes += [node("Conv", [f"b{i}", "keep"], [f"b{i + 1}"], pads=[1] * 4) for i in range(burn)]
        nodes += [node("Conv", [f"b{burn}", "shrink"], ["burnt"]), node("Add", ["scaled", "burnt"], ["sum"])]
        last = "sum"
    nodes += [
        node("Round", [last], ["whole"]),
        node("Clip", ["whole", "zero", "top"], ["clipped"]),
        node("Transpose", ["clipped"], ["nhwc"], perm=[0, 2, 3, 1]),
        node("Cast", ["nhwc"], ["enhanced"], to=integer),
        node("ReduceMean", ["thumbnails", "pixels"], ["level"], keepdims=0),
        node("Mul", ["level", "factor"], ["wished"]),
        node("Clip", ["wished", "zero", "one"], ["brightness"]),
    ]
    return nodes


def _swelling_nodes(nodes: list[Any], kind: int) -> list[Any]:
    """Return the nodes with a detour before the rounding, through numbers of ONNX type `kind`."""
    from onnx import TensorProto as T
    from onnx import helper

    node = helper.make_node
    rounding = next(index for index, each in enumerate(nodes) if each.op_type == "Round")
    last = nodes[rounding].input[0]
    detour = [
        node("Mul", [last, "swell"], ["swollen"]),
        node("Cast", ["swollen"], ["narrow"], to=kind),
        node("Cast", ["narrow"], ["wide"], to=T.FLOAT),
        node("Div", ["wide", "swell"], ["back"]),
        node("ReduceMean", ["back", "pixels"], ["mean_of_tile"], keepdims=0),
        node("IsInf", ["mean_of_tile"], ["infinite"]),
        node("Not", ["infinite"], ["finite"]),
    ]
    return [*nodes[:rounding], *detour, node("Round", ["back"], ["whole"]), *nodes[rounding + 1 :]]


def _slow_weights(burn: int) -> dict[str, NDArray[np.float32]]:
    """Return what the slow convolutions need, nothing without them."""
    shapes = {"grow": (32, 3, 3, 3), "keep": (32, 32, 3, 3), "shrink": (3, 32, 1, 1)} if burn else {}
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        """Start at 100 seconds."""
        self.now = 100.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now
