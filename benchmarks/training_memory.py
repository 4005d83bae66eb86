"""How much memory one training step takes: run `python benchmarks/training_memory.py`.

Each case is a step of the trainer (forward, backward, Adam) on noise, in a process of its own: the peak of its resident
memory on the CPU, of what torch allocated on a GPU (`--device cuda`). The full network takes minutes a step on a CPU.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from lumen.models import build_network
from lumen.models.cost import count_parameters
from lumen.train.distributed import World
from lumen.train.recipe.recipe import from_dict
from lumen.train.stepper import Stepper

FULL: dict[str, Any] = {"architecture": "mirnet"}
NARROW: dict[str, Any] = {
    "architecture": "mirnet",
    "hyperparameters": {"groups": 2, "blocks": 1, "width": 16, "streams": 2},
}
# Network, batch, crop, autocast, and whether activations are recomputed.
CASES: dict[str, tuple[dict[str, Any], int, int, str, bool]] = {
    "mirnet, 8 x 128, fp32": (FULL, 8, 128, "off", False),
    "mirnet, 8 x 128, fp32, recomputed": (FULL, 8, 128, "off", True),
    "mirnet, 8 x 128, bf16, recomputed": (FULL, 8, 128, "bf16", True),
    "mirnet, 4 x 256, bf16": (FULL, 4, 256, "bf16", False),
    "mirnet, 4 x 256, bf16, recomputed": (FULL, 4, 256, "bf16", True),
}
SMOKE: dict[str, tuple[dict[str, Any], int, int, str, bool]] = {
    "narrow, 2 x 96, fp32": (NARROW, 2, 96, "off", False),
    "narrow, 2 x 96, fp32, recomputed": (NARROW, 2, 96, "off", True),
}
LIMIT_GB = 12.0  # of the card on which reports ran out of memory


def peak_gb(device: torch.device) -> float:
    """Return the most memory held so far, in units of 10**9 bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024 / 1e9


def measure(name: str, device_name: str) -> dict[str, Any]:
    """Take one step and tell what it took."""
    network_config, batch, crop, amp, recompute = {**CASES, **SMOKE}[name]
    device = torch.device(device_name)
    recipe = from_dict(
        {
            "name": "memory",
            "network": network_config,
            "data": {"crop_px": crop, "batch": batch},
            "optimizer": {"kind": "adam", "iterations": 1, "amp": amp},
        }
    )
    torch.manual_seed(0)
    network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.checkpoint_activations(recompute)
    stepper = Stepper(network, recipe, World(device=device))
    low = torch.rand(batch, 3, crop, crop) * 0.2
    start = time.perf_counter()
    step = stepper.step(
        (low, 1 - low, torch.zeros(batch, 3, 1, 1), torch.zeros(batch), torch.zeros(batch, 4)), 1e-4, False
    )
    return {
        "case": name,
        "parameters": count_parameters(network),
        "peak_gb": round(peak_gb(device), 3),
        "seconds": round(time.perf_counter() - start, 1),
        "loss": round(step.loss, 4),
    }


def main() -> None:
    """Measure the cases one after the other, each in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="cases whose names hold this text")
    parser.add_argument("--smoke", action="store_true", help="a narrow network, in seconds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        torch.set_num_threads(args.threads)
        print(json.dumps(measure(args.case, args.device)))
        return
    if not args.json:
        print(f"| one step of | peak memory, GB | within {LIMIT_GB:g} GB | s |\n|---|---|---|---|")
    for name in SMOKE if args.smoke else CASES:
        if args.only and args.only not in name:
            continue
        command = [sys.executable, __file__, "--case", name, "--device", args.device, "--threads", str(args.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"| {name} | did not end: {done.stderr.strip().splitlines()[-1:]} | no | |", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        within = "yes" if found["peak_gb"] <= LIMIT_GB else "no"
        line = f"| {name} | {found['peak_gb']:.2f} | {within} | {found['seconds']} |"
        print(json.dumps(found) if args.json else line, flush=True)


if __name__ == "__main__":
    main()
