"""What different shapes of the light network cost: run `python benchmarks/shapes.py`.

Prints, for each shape, parameters, GMACs at 256x256, onnxruntime CPU seconds per megapixel on one thread (median over
tiles of 512x512, the shapes taking turns so that a busy neighbour hurts all alike), and bf16 training crops per second.
Untrained weights: only the cost is measured.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import numpy as np
import onnxruntime
import torch

from lumen.models import build_network
from lumen.models.cost import count_macs, count_parameters
from lumen_export.convert import to_onnx

SHAPES: dict[str, dict[str, Any]] = {
    "24-48-96 x3": {"widths": (24, 48, 96), "blocks": 3},
    "24-48-96 x3 full": {"widths": (24, 48, 96), "blocks": 3, "neighbours": 2},
    "16-48-96 x3": {"widths": (16, 48, 96), "blocks": 3},
    "16-48-96 x3 spatial": {"widths": (16, 48, 96), "blocks": 3, "spatial": True},
    "16-48-96 x4": {"widths": (16, 48, 96), "blocks": 4},
    "16-64-96 x3": {"widths": (16, 64, 96), "blocks": 3},
    "16-48-128 x3": {"widths": (16, 48, 128), "blocks": 3},
    "32-48-96 x2": {"widths": (32, 48, 96), "blocks": 2},
    "32-64-96 x2": {"widths": (32, 64, 96), "blocks": 2},
    "32-64 x3": {"widths": (32, 64), "blocks": 3},
    "16-32-64-128 x4": {"widths": (16, 32, 64, 128), "blocks": 4},
}
SIDE = 512


def session_of(network: Any) -> onnxruntime.InferenceSession:
    """Open the exported network on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    model = to_onnx(network).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def seconds(session: onnxruntime.InferenceSession, feed: dict[str, Any]) -> float:
    """Time one run."""
    start = time.perf_counter()
    session.run(None, feed)
    return time.perf_counter() - start


def crops_per_second(network: Any, steps: int) -> float:
    """Train on noise for a few steps of 8 crops of 128x128 and return the median rate."""
    network = network.train().to(memory_format=torch.channels_last)
    crops = torch.rand(8, 3, 128, 128).to(memory_format=torch.channels_last)
    thumbnails = torch.rand(8, 3, 128, 128)
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            loss = network(crops, thumbnails, torch.full((8,), 0.4)).float().square().mean()
        loss.backward()
        times.append(time.perf_counter() - start)
    return 8 / statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = {name: build_network("context-mirnet", **shape) for name, shape in SHAPES.items()}
    sessions = {name: session_of(network) for name, network in networks.items()}
    feed = {
        "tiles": np.random.default_rng(0).integers(0, 60, (1, SIDE, SIDE, 3), dtype=np.uint8),
        "thumbnails": np.full((1, 128, 128, 3), 0.1, np.float32),
        "ev": np.zeros(1, np.float32),
    }
    times: dict[str, list[float]] = {name: [] for name in SHAPES}
    for _ in range(args.rounds):
        for name, session in sessions.items():
            times[name].append(seconds(session, feed))
    if not args.json:
        print(f"{'shape':22}{'params':>10}{'GMACs':>8}{'s/MP':>8}{'crops/s':>9}")
    for name, network in networks.items():
        row = {
            "shape": name,
            "parameters": count_parameters(network),
            "gmacs": count_macs(network) / 1e9,
            "seconds_per_megapixel": statistics.median(times[name]) / (SIDE * SIDE / 1e6),
            "training_crops_per_second": crops_per_second(network, args.rounds),
        }
        if args.json:
            print(json.dumps(row))
        else:
            print("{:22}{:>10}{:>8.2f}{:>8.3f}{:>9.1f}".format(*row.values()))


if __name__ == "__main__":
    main()
