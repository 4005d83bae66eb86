"""Whether an NVIDIA GPU computes what it should, and how fast: run `python benchmarks/gpu.py` where there is one.

One call of at most ten minutes (`--seconds`). It shows by a profile that CUDA ran, compares fp32 and fp16 with the CPU
on photographs, and times tiles, batches, IO binding, CUDA graphs, TensorRT, copies and a folder. Each part prints its
table when it ends, so that nothing is lost. A part that cannot run here, or for which no time is left, is `skipped`
with the reason; one that crashes, does not end or gives wrong results is `failed`, the others go on, and the exit code
is 1.

`--device cpu --short` runs all of it in a few seconds without a GPU, to see that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.engines import EXAMPLES
from benchmarks.gpu_parts import PARTS, Row, Setting, explain
from benchmarks.machine import processor
from lumen.config import DEFAULT_MODEL

SHORT = {"sides": (64, 96), "batches": (1, 2), "side": 128, "rounds": 2, "files": 3, "file_side": 160}


@dataclass(kw_only=True)
class Outcome:
    """What became of a part: `done`, `skipped` or `failed`, why, and the rows until then."""

    part: str
    status: str = "failed"
    why: str = ""
    rows: list[Row] = field(default_factory=list)


def serve(pipe: Connection, setting: Setting) -> None:
    """Run the parts that are asked for, in a process of its own; send each row, then how it ended."""
    while True:
        part = pipe.recv()
        status, why = "done", ""
        try:
            with contextlib.redirect_stdout(sys.stderr):  # onnxruntime prints; stdout carries results only
                for row in PARTS[part](setting):
                    pipe.send(row)
        except Exception as error:  # noqa: BLE001 - whatever a library raises ends this part alone
            status, why = explain(error)
        pipe.send((status, why))


class Worker:
    """A process that runs parts; a new one after a crash, or after a part that did not end."""

    def __init__(self, setting: Setting, target: Callable[..., None] = serve) -> None:
        self.setting = setting
        self.target = target
        self.process: Any = None
        self.pipe: Any = None

    def run(self, part: str, limit_s: float) -> Outcome:
        """Run a part for so long."""
        if self.process is None:
            context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
            self.pipe, other = context.Pipe()
            self.process = context.Process(target=self.target, args=(other, self.setting), daemon=True)
            self.process.start()
            other.close()
        outcome = Outcome(part=part)
        deadline = time.monotonic() + limit_s
        try:
            self.pipe.send(part)
            while True:
                if not self.pipe.poll(max(0.0, deadline - time.monotonic())):
                    outcome.why = f"it did not end within {limit_s:.0f} s"
                    break
                said = self.pipe.recv()
                if isinstance(said, tuple):
                    outcome.status, outcome.why = said
                    return outcome
                outcome.rows.append(said)
        except (EOFError, OSError):
            self.process.join()
            outcome.why = f"the process ended with exit code {self.process.exitcode}"
        self.stop()
        return outcome

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


def card(device: str) -> str:
    """Return the name of the device with the driver, as nvidia-smi tells it."""
    if device == "cpu":
        return processor()
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return f"{device}, nvidia-smi is missing"
    line = [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    line += [f"--id={device.partition(':')[2] or 0}"]
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout.strip() or device


def run_parts(worker: Worker, parts: Sequence[str], seconds: float) -> Iterator[Outcome]:
    """Run parts until the time is up; the others are skipped."""
    deadline = time.monotonic() + seconds
    for index, part in enumerate(parts):
        left = deadline - time.monotonic()
        if left < 1:
            yield Outcome(part=part, status="skipped", why=f"the {seconds:g} s were over; name it with --parts")
            continue
        later = len(parts) - index - 1
        yield worker.run(part, left if not later else max(left / 2, left / (later + 1)))


def shown(value: Any) -> str:
    """Return a cell: numbers with three digits or more."""
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value)
    return "equal" if math.isinf(value) else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(outcome: Outcome) -> str:
    """Return a part in Markdown."""
    keys = list(dict.fromkeys(key for row in outcome.rows for key in row))
    lines = [f"\n### {outcome.part}: {outcome.status}" + (f": {outcome.why}" if outcome.why else "")]
    if keys:
        lines += ["", f"| {' | '.join(keys)} |", "|---" * len(keys) + "|"]
    lines += [f"| {' | '.join(shown(row[key]) if key in row else '' for key in keys)} |" for row in outcome.rows]
    return "\n".join(lines)


def versions() -> Mapping[str, str]:
    """Return what was measured with."""
    import onnxruntime

    from lumen.version import __version__

    return {"lumen": __version__, "onnxruntime": onnxruntime.__version__}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu to try the script (default: %(default)s)")
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="with its .fp16.onnx beside it, fp16 is measured (default: %(default)s)"
    )
    parser.add_argument("--photos", type=Path, default=EXAMPLES, help="folder of dark JPEG or PNG files to compare")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=570, help="for all of it (default: %(default)s)")
    parser.add_argument("--short", action="store_true", help="tiny tiles and few runs")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    facts: dict[str, Any] = SHORT if args.short else {}
    worker = Worker(Setting(device=args.device, model=args.model, photos=args.photos, **facts))
    about = {"device": args.device, "card": card(args.device), "processor": processor(), **versions()}
    if not args.json:
        print("; ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    outcomes = []
    try:
        for outcome in run_parts(worker, args.parts, args.seconds):
            outcomes.append(outcome)
            if not args.json:
                print(table(outcome), flush=True)
    finally:
        worker.stop()
    if args.json:
        parts = {each.part: {"status": each.status, "why": each.why, "rows": each.rows} for each in outcomes}
        print(json.dumps({**about, "parts": parts}))
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
