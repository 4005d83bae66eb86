"""What lumen and other tools cost on one folder, and how good they are.

    python benchmarks/side_by_side.py DARK --gt REFERENCES --peer 'sci=python sci.py {input} {output}'

A peer is a name and a command, which reads the pictures of the folder {input} and writes a result of the same name for
each into the folder {output}, which exists. It is started here, without a shell. All take turns on the same cores, each
once on the folder and once on a single picture of it. What that costs more per megapixel is the figure; start-up is the
rest. CPU time is that of the command and the processes it waited for, peak memory that of the largest of them. With
references all results are scored as they are, by `lumen eval --as-is`. A peer that fails is named, and the exit code
is 1.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import processor

SUFFIXES = frozenset((".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"))
LUMEN = f"{shlex.quote(sys.executable)} -m lumen -q enhance {{input}} -o {{output}}"
OPTIONS = "--device cpu --precision fp32"
HEADS = ("method", "CPU s/MP", "ratio", "wall s/MP", "start-up, CPU s", "peak MiB")
SCORES = {"psnr": "PSNR", "ssim": "SSIM", "gt_mean_psnr": "GT-mean PSNR", "gt_mean_ssim": "GT-mean SSIM"}


class PeerError(Exception):
    """A command that ended with an error or left results out; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run took; `peak_mib` is the largest process."""

    cpu_s: float
    wall_s: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians of a method over the rounds; CPU and wall time per megapixel are without start-up."""

    cpu_s_per_mp: float
    wall_s_per_mp: float
    start_cpu_s: float
    peak_mib: float


def result_names(folder: Path) -> set[str]:
    """Return the names of the pictures in a folder, without what follows the last dot."""
    return {path.stem for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}


def run(command: str, low: Path, out: Path) -> Cost:
    """Run a command on a folder; raise `PeerError` unless it gives a result for every picture."""
    out.mkdir(parents=True)
    line = [part.replace("{input}", str(low)).replace("{output}", str(out)) for part in shlex.split(command)]
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        except OSError as error:
            raise PeerError(f"{line[0]} cannot be started: {error.strerror}") from error
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # or Popen would wait for it again
        said.seek(0)
        last = (said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
    if process.returncode:
        raise PeerError(f"exit code {process.returncode}: {last}")
    left_out = sorted(result_names(low) - result_names(out))
    if left_out:
        raise PeerError(f"no result for {left_out[0]} and {len(left_out) - 1} others: {last}")
    peak = usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return Cost(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s, peak_mib=peak)


def row_of(one: Sequence[Cost], all_: Sequence[Cost], one_mp: float, all_mp: float) -> Row:
    """Return the medians of runs on one picture and on all of them."""
    rest_mp = all_mp - one_mp
    cpu = statistics.median((b.cpu_s - a.cpu_s) / rest_mp for a, b in zip(one, all_, strict=True))
    return Row(
        cpu_s_per_mp=cpu,
        wall_s_per_mp=statistics.median((b.wall_s - a.wall_s) / rest_mp for a, b in zip(one, all_, strict=True)),
        start_cpu_s=statistics.median(a.cpu_s for a in one) - cpu * one_mp,
        peak_mib=max(cost.peak_mib for cost in all_),
    )


def measure(
    commands: Mapping[str, str], folders: Mapping[str, Path], scratch: Path, rounds: int
) -> tuple[dict[str, dict[str, list[Cost]]], dict[str, str]]:
    """Run all commands in turns on the folders `one` and `all`.

    Returns:
        The costs of the methods by folder, and why those failed that did.
    """
    costs: dict[str, dict[str, list[Cost]]] = {name: {which: [] for which in folders} for name in commands}
    failed: dict[str, str] = {}
    for turn in range(rounds):
        for which, folder in folders.items():
            for name in [name for name in commands if name not in failed]:
                out = scratch / name / which
                shutil.rmtree(out, ignore_errors=True)
                try:
                    cost = run(commands[name], folder, out)
                except PeerError as error:
                    failed[name] = str(error)
                    print(f"{name} failed: {error}", file=sys.stderr, flush=True)
                    continue
                costs[name][which].append(cost)
                spent = f"{cost.cpu_s:.1f} CPU s, {cost.wall_s:.1f} s, {cost.peak_mib:.0f} MiB"
                print(f"round {turn + 1} of {rounds}: {name}, {which}: {spent}", file=sys.stderr, flush=True)
    return costs, failed


def scores(results: Path, low: Path, references: Path) -> dict[str, float]:
    """Return the means that `lumen eval --as-is` gives; raise `PeerError` if it cannot score every result."""
    line = [sys.executable, "-m", "lumen", "-q", "eval", "--as-is", "--input", str(low), "--gt", str(references)]
    done = subprocess.run([*line, "--gt-mean", "--json", str(results)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"not scored: {(done.stderr.strip().splitlines() or ['no reason given'])[0]}")
    pictures = [pair for pair in map(json.loads, done.stdout.splitlines()) if "name" in pair]
    found: dict[str, float] = {}
    for key in SCORES:
        kind, name = ("gt_mean", key.removeprefix("gt_mean_")) if key.startswith("gt_mean_") else ("output", key)
        values = [pair[kind][name] for pair in pictures if pair[kind][name] is not None]  # None is infinite
        found[key] = statistics.fmean(values) if values else math.inf
    return found


def spaced(paths: Sequence[Path], count: int | None) -> list[Path]:
    """Return `count` of the paths, evenly spaced; None is all."""
    if count is None or count >= len(paths):
        return list(paths)
    return [paths[index * len(paths) // count] for index in range(count)]


def megapixels(paths: Sequence[Path]) -> float:
    total = 0
    for path in paths:
        with Image.open(path) as picture:
            total += picture.width * picture.height
    return total / 1e6


def copied(paths: Sequence[Path], folder: Path) -> Path:
    """Copy files into a new folder; tools differ in what they do with links."""
    folder.mkdir(parents=True)
    for path in paths:
        shutil.copyfile(path, folder / path.name)
    return folder


def markdown(told: Mapping[str, Any]) -> str:
    """Return the table and, above, what it was measured on."""
    scored = any("psnr" in row for row in told["rows"].values())
    head = " | ".join([*HEADS, *SCORES.values()]) if scored else " | ".join(HEADS)
    facts = (
        f"{told['pictures']} of {told['of']} pictures, {told['megapixels']:.1f} megapixels; rounds: {told['rounds']}"
    )
    where = f"{told['cores']} core(s) of {told['processor']}"
    lines = [f"{facts}; {where}\n", f"| {head} |", "|---" * (head.count("|") + 1) + "|"]
    first = next(iter(told["rows"].values()), {"cpu_s_per_mp": 1})["cpu_s_per_mp"]
    for name, row in told["rows"].items():
        cells = [
            f"{row['cpu_s_per_mp']:.2f}",
            f"{row['cpu_s_per_mp'] / first:.2f}",
            f"{row['wall_s_per_mp']:.2f}",
            f"{row['start_cpu_s']:.1f}",
            f"{row['peak_mib']:.0f}",
        ]
        if scored:
            cells += [f"{row[key]:.{2 if 'psnr' in key else 3}f}" if key in row else "–" for key in SCORES]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [f"{name}: failed, {why}" for name, why in told["failed"].items()]
    return "\n".join(lines)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dark", type=Path, metavar="DARK", help="folder with the pictures")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND", help="repeat for several")
    parser.add_argument("--gt", type=Path, metavar="REFERENCES", help="folder with references of the same names")
    parser.add_argument("--lumen-options", default=OPTIONS, help="added to `lumen enhance` (default: %(default)s)")
    parser.add_argument("--frames", type=int, help="how many of the pictures, evenly spaced (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=1, help="on which all run (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="new folder where the results stay")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    args.commands = {"lumen": f"{LUMEN} {args.lumen_options}"}
    for peer in args.peer:
        name, _, command = peer.partition("=")
        if not name or "/" in name or "{input}" not in command or "{output}" not in command:
            parser.error(f"expected --peer NAME='COMMAND {{input}} {{output}}', got {peer!r}")
        if name in args.commands:
            parser.error(f"expected another name for each peer, and none called lumen, got {name!r} twice")
        args.commands[name] = command
    if not args.dark.is_dir():
        parser.error(f"expected a folder with pictures, got {args.dark}")
    args.paths = sorted(path for path in args.dark.iterdir() if path.suffix.lower() in SUFFIXES)
    args.chosen = spaced(args.paths, args.frames)
    if len(args.chosen) < 2:
        parser.error(f"expected 2 pictures or more, to tell start-up from work, got {len(args.chosen)}")
    args.references = []
    if args.gt is not None:
        if not args.gt.is_dir():
            parser.error(f"expected a folder with references, got {args.gt}")
        known = {path.stem: path for path in args.gt.iterdir() if path.suffix.lower() in SUFFIXES}
        missing = [path.name for path in args.chosen if path.stem not in known]
        if missing:
            parser.error(f"expected a reference of the same name for each picture in {args.gt}, none for {missing[0]}")
        args.references = [known[path.stem] for path in args.chosen]
    if not hasattr(os, "sched_setaffinity"):
        parser.error("expected Linux, which keeps all on the same cores")
    if args.rounds < 1 or args.cores < 1:
        parser.error("expected --rounds and --cores of at least 1")
    if args.keep is not None and args.keep.exists():
        parser.error(f"expected --keep to name a new folder, but {args.keep} exists")
    return args


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, score and print."""
    args = parse(arguments)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[: args.cores])  # the commands inherit it, and size their pools by it
    try:
        with tempfile.TemporaryDirectory() as name:
            folders = {
                "one": copied(args.chosen[:1], Path(name, "input", "one")),
                "all": copied(args.chosen, Path(name, "input", "all")),
            }
            references = copied(args.references, Path(name, "references"))
            results = args.keep or Path(name, "results")
            costs, failed = measure(args.commands, folders, results, args.rounds)
            one_mp, all_mp = megapixels(args.chosen[:1]), megapixels(args.chosen)
            rows: dict[str, dict[str, float]] = {}
            for method in [method for method in args.commands if method not in failed]:
                rows[method] = asdict(row_of(costs[method]["one"], costs[method]["all"], one_mp, all_mp))
                if args.gt is not None:
                    try:
                        rows[method] |= scores(results / method / "all", folders["all"], references)
                    except PeerError as error:
                        failed[method] = str(error)
    finally:
        os.sched_setaffinity(0, before)
    told = {
        "processor": processor(),
        "cores": min(args.cores, len(before)),
        "pictures": len(args.chosen),
        "of": len(args.paths),
        "megapixels": all_mp,
        "rounds": args.rounds,
        "rows": rows,
        "failed": failed,
    }
    print(json.dumps(told) if args.json else markdown(told))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
