"""The graph around a network: integers in, integers out, and the brightness of `lumen.spec`, written as ONNX text.

What is around the network is what `lumen.models.plain` and `lumen_export.wrapper` do in torch: the brightness that the
network chooses is the mean of its result for the thumbnail, and another one is reached by the tone curve.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, inliner, parser

from lumen.spec import SampleType
from lumen_export.foreign.reading import ForeignNetwork, ends_of, opset_of

DOMAIN = "lumen"
IR_VERSION = 10
CURVE_STEPS = 24  # as in lumen.models.plain
LEVELS: dict[SampleType, tuple[int, float]] = {
    "uint8": (TensorProto.UINT8, 255.0),
    "uint16": (TensorProto.UINT16, 65535.0),
}

MODEL = """
<ir_version: {ir}, opset_import: ["": {opset}, "lumen": 1]>
wrapped ({sample}[n, h, w, 3] tiles, float[m, {side}, {side}, 3] thumbnails, float[m] ev)
=> ({sample}[n, h, w, 3] enhanced, float[m] brightness, bool[n] finite)
{{
  top = Constant <value_float = {levels}> ()
  zero = Constant <value_float = 0.0> ()
  one = Constant <value_float = 1.0> ()
  pixels = Constant <value_ints = [1, 2, 3]> ()
  floats = Cast <to = 1> (tiles)
  pictures = Div (floats, top)
  restored = lumen.through (pictures)
  result = lumen.through (thumbnails)
  seen = Clip (result, zero, one)
  chosen = ReduceMean <keepdims = 0> (seen, pixels)
  brightness = lumen.shifted (chosen, ev)
  exposed = lumen.exposed (restored, seen, chosen, brightness)
  inside = Clip (exposed, zero, one)
  scaled = Mul (inside, top)
  rounded = Round (scaled)
  enhanced = Cast <to = {integer}> (rounded)
  mean = ReduceMean <keepdims = 0> (exposed, pixels)
  nan = IsNaN (mean)
  infinite = IsInf (mean)
  lost = Or (nan, infinite)
  finite = Not (lost)
}}
"""

PLAIN = """
<ir_version: {ir}, opset_import: ["": {opset}, "lumen": 1]>
plain (float[n, h, w, 3] pictures) => (float[n, h2, w2, 3] results)
{{
  results = lumen.through (pictures)
}}
"""

# As `shift_exposure` in lumen_export.wrapper: stops of linear light, at most to 0.98.
SHIFTED = """
<domain: "lumen", opset_import: ["": {opset}]>
shifted (brightness, ev) => (level)
{{
  knee = Constant <value_float = 0.04045> ()
  slope = Constant <value_float = 12.92> ()
  offset = Constant <value_float = 0.055> ()
  factor = Constant <value_float = 1.055> ()
  gamma = Constant <value_float = 2.4> ()
  inverse = Constant <value_float = 0.4166666667> ()
  low_knee = Constant <value_float = 0.0031308> ()
  least = Constant <value_float = 0.000001> ()
  most = Constant <value_float = 0.98> ()
  two = Constant <value_float = 2.0> ()
  none = Constant <value_float = 0.0> ()
  is_low = LessOrEqual (brightness, knee)
  low = Div (brightness, slope)
  raised = Add (brightness, offset)
  divided = Div (raised, factor)
  high = Pow (divided, gamma)
  linear = Where (is_low, low, high)
  power = Pow (two, ev)
  light = Mul (linear, power)
  is_dim = LessOrEqual (light, low_knee)
  dim = Mul (light, slope)
  positive = Max (light, least)
  root = Pow (positive, inverse)
  stretched = Mul (factor, root)
  bright = Sub (stretched, offset)
  wanted = Where (is_dim, dim, bright)
  limited = Min (wanted, most)
  is_same = Equal (ev, none)
  level = Where (is_same, brightness, limited)
}}
"""

# As in lumen.models.curve.
CURVE = """
<domain: "lumen", opset_import: ["": {opset}]>
curve (level, u) => (curved)
{{
  tiny = Constant <value_float = 0.001> ()
  one = Constant <value_float = 1.0> ()
  shape = Constant <value_ints = [-1, 1, 1, 1]> ()
  size = Abs (u)
  is_tiny = Less (size, tiny)
  safe = Where (is_tiny, tiny, u)
  wide = Reshape (safe, shape)
  grown = Exp (wide)
  k = Sub (grown, one)
  scaled = Mul (k, level)
  sum = Add (one, scaled)
  log = Log (sum)
  curved = Div (log, wide)
}}
"""

NARROWED = """
<domain: "lumen", opset_import: ["": {opset}, "lumen": 1]>
narrowed (sample, wanted, low, high) => (lower, upper)
{{
  half = Constant <value_float = 0.5> ()
  pixels = Constant <value_ints = [1, 2, 3]> ()
  sum = Add (low, high)
  middle = Mul (sum, half)
  curved = lumen.curve (sample, middle)
  mean = ReduceMean <keepdims = 0> (curved, pixels)
  is_dark = Less (mean, wanted)
  lower = Where (is_dark, middle, low)
  upper = Where (is_dark, high, middle)
}}
"""

# As `exposed` in lumen.models.plain.
EXPOSED = """
<domain: "lumen", opset_import: ["": {opset}, "lumen": 1]>
exposed (restored, seen, chosen, wanted) => (result)
{{
  zero = Constant <value_float = 0.0> ()
  one = Constant <value_float = 1.0> ()
  half = Constant <value_float = 0.5> ()
  least = Constant <value_float = 0.0001> ()
  most = Constant <value_float = 0.999> ()
  lowest = Constant <value_float = -12.0> ()
  highest = Constant <value_float = 12.0> ()
  pixels = Constant <value_ints = [1, 2, 3]> ()
  first = Constant <value_ints = [2, 2]> ()
  last = Constant <value_ints = [1000000, 1000000]> ()
  sides = Constant <value_ints = [1, 2]> ()
  step = Constant <value_ints = [4, 4]> ()
  shape = Constant <value_ints = [-1, 1, 1, 1]> ()
  sample = Slice (seen, first, last, sides, step)
  mean = ReduceMean <keepdims = 0> (sample, pixels)
  divisor = Max (chosen, least)
  product = Mul (mean, wanted)
  ratio = Div (product, divisor)
  target = Min (ratio, most)
  nothing = Mul (mean, zero)
  low0 = Add (nothing, lowest)
  high0 = Add (nothing, highest)
{bisections}
  ends = Add (low{steps}, high{steps})
  u = Mul (ends, half)
  inside = Clip (restored, zero, one)
  curved = lumen.curve (inside, u)
  is_same = Equal (wanted, chosen)
  unchanged = Reshape (is_same, shape)
  result = Where (unchanged, restored, curved)
}}
"""

BISECTION = "  low{next}, high{next} = lumen.narrowed (sample, target, low{now}, high{now})"

BATCHED = """
<domain: "lumen", opset_import: ["": {opset}, "lumen": 1]>
through (pictures) => (results)
{{
{steps}
}}
"""

ONE_BY_ONE = """
<domain: "lumen", opset_import: ["": {opset}, "lumen": 1]>
through (pictures) => (results)
{{
  results = Scan <num_scan_inputs = 1, body = each (float[h, w, 3] picture) => (float[h2, w2, 3] result) {{
  batch = Constant <value_ints = [0]> ()
  pictures_of_one = Unsqueeze (picture, batch)
{steps}
  result = Squeeze (results_of_one, batch)
  }}> (pictures)
}}
"""


def wrapped_network(network: ForeignNetwork, sample: SampleType, thumbnail_px: int) -> ModelProto:
    """Return a network behind contract 1 of `lumen.spec`, without lumen's metadata.

    Args:
        network: The network; its layout must be known.
        sample: Integer type of the tiles.
        thumbnail_px: Side of the thumbnail, a multiple of the network's align.
    """
    integer, levels = LEVELS[sample]
    return _built(network, MODEL, sample=sample, integer=integer, levels=levels, side=thumbnail_px)


def plain(network: ForeignNetwork) -> ModelProto:
    """Return a network as float32 [N, H, W, 3] to float32 [N, H, W, 3], by which it is measured."""
    return _built(network, PLAIN)


def _built(network: ForeignNetwork, text: str, **facts: object) -> ModelProto:
    opset = opset_of(network.model)
    model = parser.parse_model(text.format(ir=max(IR_VERSION, network.model.ir_version), opset=opset, **facts))
    rows = (BISECTION.format(now=step, next=step + 1) for step in range(CURVE_STEPS))
    parts = {"opset": opset, "bisections": "\n".join(rows)}
    for function in (SHIFTED, CURVE, NARROWED):
        model.functions.append(parser.parse_function(function.format(**parts)))
    model.functions.append(parser.parse_function(EXPOSED.format(steps=CURVE_STEPS, **parts)))
    through = ONE_BY_ONE if network.one_by_one else BATCHED
    model.functions.append(parser.parse_function(through.format(opset=opset, steps=_steps(network))))
    model.functions.append(_as_function(network.model))
    _give_weights(model, network.model.graph.initializer)
    others = [each for each in network.model.opset_import if each.domain not in ("", "ai.onnx")]
    model.opset_import.extend(others)
    inlined = inliner.inline_local_functions(model)
    kept = [each for each in inlined.opset_import if each.domain != DOMAIN]
    del inlined.opset_import[:]
    inlined.opset_import.extend(kept)
    return inlined


def _steps(network: ForeignNetwork) -> str:
    """Return the lines from pictures [N, H, W, 3] to results: conversions to what the network takes, and back."""
    to_planes, back = "Transpose <perm = [0, 3, 1, 2]>", "Transpose <perm = [0, 2, 3, 1]>"
    calls = [
        *(["Cast <to = 10>"] if network.half_in else []),
        *([] if network.channels_last else [to_planes]),
        "lumen.network",
        *(["Cast <to = 1>"] if network.half_out else []),
        *([] if network.channels_last else [back]),
    ]
    ends = ("pictures_of_one", "results_of_one") if network.one_by_one else ("pictures", "results")
    names = [ends[0], *(f"step{number}" for number in range(1, len(calls))), ends[1]]
    return "\n".join(
        f"  {after} = {call} ({before})" for before, call, after in zip(names[:-1], calls, names[1:], strict=True)
    )


def _as_function(model: ModelProto) -> onnx.FunctionProto:
    """Return a graph as the function `network`, with its weights as further inputs, so that both calls share them."""
    picture, result = ends_of(model.graph)
    weights = [tensor.name for tensor in model.graph.initializer]
    return helper.make_function(
        DOMAIN, "network", [picture, *weights], [result], list(model.graph.node), list(model.opset_import)
    )


def _give_weights(model: ModelProto, weights: Iterable[TensorProto]) -> None:
    """Store the weights under names that nothing else has, and hand them on to the network."""
    names = []
    for number, tensor in enumerate(weights):
        stored = model.graph.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = f"weights.{number}"
        names.append(stored.name)
    _extend_calls(model.graph.node, names)
    for function in model.functions:
        if function.name == "through":
            function.input.extend(names)
            _extend_calls(function.node, names)


def _extend_calls(nodes: Iterable[NodeProto], names: list[str]) -> None:
    for node in nodes:
        if node.domain == DOMAIN and node.op_type in ("through", "network"):
            node.input.extend(names)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _extend_calls(attribute.g.node, names)
