"""How much of the CPU `lumen enhance` uses: one process on N cores against N independent processes of one thread.

    python benchmarks/cores.py PHOTOS [PHOTOS ...] [--cores 2] [--rounds 3]

Each folder is done in turns by one command with `--threads N`, and by N commands with `--threads 1` that get every Nth
picture. Three numbers must hold on a quiet machine: a throughput of at least .93 of the independent processes, a wall
time of at most 1.1 of the CPU time divided by the cores, and equal files. `cpu.stat` shows whether a quota throttled.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

PICTURES = {".jpg", ".jpeg", ".png"}
THROTTLED = (Path("/sys/fs/cgroup/cpu.stat"), Path("/sys/fs/cgroup/cpu/cpu.stat"))


def cpu_seconds() -> float:
    """Return the CPU time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def throttled() -> int:
    """Return how often the control group was throttled, 0 if it does not say."""
    for path in THROTTLED:
        if path.exists():
            facts = dict(line.split() for line in path.read_text().splitlines())
            return int(facts.get("nr_throttled", 0))
    return 0


def timed(commands: Sequence[Sequence[str]]) -> tuple[float, float]:
    """Run commands side by side and return wall and CPU seconds."""
    started, before = time.perf_counter(), cpu_seconds()
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    if any(process.wait() for process in running):
        raise SystemExit("a command failed; run it by hand")
    return time.perf_counter() - started, cpu_seconds() - before


def enhance(pictures: Sequence[Path], output: Path, threads: int) -> list[str]:
    """Return the command that enhances pictures."""
    line = [sys.executable, "-m", "lumen", "enhance", *map(str, pictures), "-o", f"{output}{os.sep}", "--device", "cpu"]
    return [*line, "--unchanged", "encode", "--threads", str(threads)]


def compare(folder: Path, cores: int, rounds: int) -> str:
    """Return the row of one folder."""
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    together: list[tuple[float, float]] = []
    apart: list[tuple[float, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:
            one, many = Path(scratch, "one"), Path(scratch, "many")
            for each in (one, *(many / str(index) for index in range(cores))):
                each.mkdir(parents=True)
            together.append(timed([enhance(pictures, one, cores)]))
            shares = [enhance(pictures[index::cores], many / str(index), 1) for index in range(cores)]
            apart.append(timed(shares))
            results = {path.name: path.read_bytes() for path in many.rglob("*.*") if path.suffix.lower() in PICTURES}
            if any((one / name).read_bytes() != data for name, data in results.items()):
                raise SystemExit("results differ")
    wall, cpu = (statistics.median(column) for column in zip(*together, strict=True))
    wall_apart, cpu_apart = (statistics.median(column) for column in zip(*apart, strict=True))
    share = statistics.median(other / own for (own, _), (other, _) in zip(together, apart, strict=True))
    times = f"{wall:.1f} | {wall_apart:.1f} | {share:.2f} | {cpu:.1f} | {cpu_apart:.1f} | {wall / (cpu / cores):.2f}"
    return f"| {folder.name} | {len(pictures)} | {times} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    before = throttled()
    print("| folder | pictures | wall s | wall s apart | throughput | CPU s | CPU s apart | wall / (CPU / cores) |")
    print("|---|---|---|---|---|---|---|---|")
    for folder in options.folders:
        print(compare(folder, options.cores, options.rounds), flush=True)
    print(f"throttled {throttled() - before} times; load {os.getloadavg()[0]:.1f} when done")


if __name__ == "__main__":
    main()
