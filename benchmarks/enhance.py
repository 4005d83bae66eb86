"""What one large picture costs through `lumen enhance`: run `python -m benchmarks.enhance`.

Writes a generated picture, enhances it in a fresh process with different window sizes, and prints time, CPU time and
peak resident memory of each run, and how far the results are apart. A plain stack of convolutions, run in onnxruntime
in turns with the model on the same tile, gives a ratio that holds on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.operators import inputs, run_tile

PROBE = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
from lumen.cli.main import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
usage = resource.getrusage(resource.RUSAGE_SELF)
seconds = time.perf_counter() - start
print(json.dumps({"exit": int(code), "seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak_kib": peak}))
"""


def generate(path: Path, megapixels: float) -> None:
    """Write a dark PNG of that many megapixels, 3:2: smooth shapes with noise, different all over."""
    height = int((megapixels * 1e6 / 1.5) ** 0.5)
    width = int(height * 1.5)
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 70, (height // 40, width // 40, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    noise = rng.integers(-6, 7, (height, width, 1), dtype=np.int8)
    noisy = np.clip(pixels.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, compress_level=1)


def enhance(source: Path, out: Path, *options: str) -> dict[str, Any]:
    """Enhance one file in a fresh process and return its cost."""
    command = [sys.executable, "-c", PROBE, "-q", "enhance", str(source), "-o", str(out), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if row["exit"]:
        raise SystemExit(done.stderr)
    return row


def difference(first: Path, second: Path) -> tuple[int, float]:
    """Return the largest difference in levels, and the share of samples that differ."""
    with Image.open(first) as a, Image.open(second) as b:
        distance = np.abs(np.asarray(a).astype(np.int16) - np.asarray(b))
    return int(distance.max()), float(np.count_nonzero(distance) / distance.size)


def convolution_ratio(side: int = 512, rounds: int = 5) -> tuple[float, float]:
    """Return seconds per megapixel, on one thread, of the bundled model and of 12 plain 3x3 convolutions 64 -> 64."""
    import onnx
    import onnxruntime

    from lumen.runtime.model_files import find_model

    rng = np.random.default_rng(0)
    nodes, weights = [], []
    for layer in range(12):
        shape = (64, 64 if layer else 3, 3, 3)
        weights.append(onnx.numpy_helper.from_array(rng.normal(0, 0.03, shape).astype(np.float32), f"w{layer}"))
        nodes.append(onnx.helper.make_node("Conv", [f"x{layer}", f"w{layer}"], [f"y{layer}"], pads=[1, 1, 1, 1]))
        nodes.append(onnx.helper.make_node("Relu", [f"y{layer}"], [f"x{layer + 1}" if layer < 11 else "enhanced"]))
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "convolutions",
        [onnx.helper.make_tensor_value_info("x0", kind, [1, 3, side, side])],
        [onnx.helper.make_tensor_value_info("enhanced", kind, [1, 64, side, side])],
        weights,
    )
    stack = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    contents = {"model": find_model("lumen-s").read_bytes(), "stack": stack.SerializeToString()}
    sessions = {
        name: onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        for name, content in contents.items()
    }
    model, convolutions = sessions["model"], sessions["stack"]
    feed = inputs(model, side)
    picture = {"x0": rng.random((1, 3, side, side), np.float32)}
    times = [(run_tile(model, feed), run_tile(convolutions, picture)) for _ in range(rounds)]
    megapixels = side * side / 1e6
    of_model, of_stack = (statistics.median(column) / megapixels for column in zip(*times, strict=True))
    return of_model, of_stack


def measure(folder: Path, megapixels: float, windows: list[str], rounds: int) -> list[dict[str, Any]]:
    """Enhance one picture with each window size, in turns; return medians of the times and the largest memory."""
    source = folder / "large.png"
    generate(source, megapixels)
    runs: dict[str, list[dict[str, Any]]] = {window: [] for window in windows}
    for _ in range(rounds):
        for window in windows:
            runs[window].append(enhance(source, folder / window, "--tile", window, "--existing", "overwrite"))
    rows = []
    for window in windows:
        levels, share = difference(folder / windows[0] / source.name, folder / window / source.name)
        medians = {key: statistics.median(run[key] for run in runs[window]) for key in ("seconds", "cpu")}
        peak = max(run["peak_kib"] for run in runs[window])
        rows.append({"window": window, **medians, "peak_kib": peak, "levels": levels, "share": share})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=24.0)
    parser.add_argument("--windows", nargs="+", default=["auto", "512", "1536"], help="values for --tile")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.megapixels, args.windows, args.rounds)
    model, stack = convolution_ratio()
    if args.json:
        print(
            json.dumps({"megapixels": args.megapixels, "rows": rows, "model_s_per_mp": model, "stack_s_per_mp": stack})
        )
        return
    print(f"{args.megapixels:g} megapixels, {os.cpu_count()} cores")
    print(f"{'window':>8}{'s':>8}{'CPU s/MP':>10}{'peak MiB':>10}{'differs from the first by':>28}")
    for row in rows:
        apart = f"{row['levels']} level(s), {row['share']:.1e}"
        cpu = row["cpu"] / args.megapixels
        print(f"{row['window']:>8}{row['seconds']:>8.1f}{cpu:>10.2f}{row['peak_kib'] / 1024:>10.0f}{apart:>28}")
    print(
        f"one thread, 512x512: model {model:.3f} s/MP, 12 convolutions 3x3x64x64 {stack:.3f} s/MP, "
        f"ratio {model / stack:.2f}"
    )


if __name__ == "__main__":
    main()
