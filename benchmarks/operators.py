"""Where the time of a model goes: CPU seconds per megapixel, and the share of each operator.

Several files take turns, so that a busy neighbour hurts all alike: read the ratios.

    python benchmarks/operators.py lumen/data/lumen-s.onnx other.onnx
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

SEED = 0


def open_profiled(path: Path, folder: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / path.stem)
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs(session: Any, side: int) -> dict[str, Any]:
    """Return a dark tile of side x side pixels with a thumbnail, for either contract of `lumen.spec`."""
    rng = np.random.default_rng(SEED)
    shapes = {each.name: each.shape for each in session.get_inputs()}
    deep = "uint16" in session.get_inputs()[0].type
    feeds = {
        "tiles": (rng.random((1, side, side, 3)) * 0.16 * (65535 if deep else 255)).astype("u2" if deep else "u1"),
        "thumbnails": (rng.random((1, *shapes["thumbnails"][1:])) * 0.16).astype(np.float32),
        "ev": np.zeros(1, np.float32),
    }
    if "tones" in shapes:
        feeds |= {"boxes": np.array([[0.2, 0.3, 0.6, 0.7]], np.float32), "shadows": np.ones(1, np.float32)}
        feeds["tones"] = np.zeros((1, shapes["tones"][1]), np.float32)
        feeds["tones"] = session.run(["tone"], feeds)[0]
        feeds["ev"][:] = np.nan  # no tone is asked for
    return feeds


def run_tile(session: Any, feeds: dict[str, Any]) -> float:
    """Enhance a tile, without the half of contract 2 that is run once per picture; return the CPU seconds it took."""
    start = time.process_time()
    session.run(["enhanced"], feeds)
    return time.process_time() - start


def shares(profile: Path) -> Counter[str]:
    """Return the time of each operator in a profile as a share of all."""
    spent: Counter[str] = Counter()
    for event in json.loads(profile.read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    total = sum(spent.values())
    return Counter({name: round(value / total, 4) for name, value in spent.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--side", type=int, default=512, help="Of the tile, in pixels.")
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sessions = [open_profiled(path, Path(folder)) for path in args.models]
        feeds = [inputs(session, args.side) for session in sessions]
        turns = range(args.runs + 1)  # the first one warms up
        rounds = [[run_tile(*each) for each in zip(sessions, feeds, strict=True)] for _ in turns][1:]
        profiles = [shares(Path(session.end_profiling())) for session in sessions]
    for index, (path, profile) in enumerate(zip(args.models, profiles, strict=True)):
        parts = ", ".join(f"{name} {100 * share:.1f}" for name, share in profile.most_common(12))
        seconds = statistics.median(row[index] for row in rounds) / args.side**2 * 1e6
        ratio = statistics.median(row[index] / row[0] for row in rounds)
        print(f"{path}: {seconds:.3f} CPU s/MP, {ratio:.3f} of the first; %: {parts}")


if __name__ == "__main__":
    main()
