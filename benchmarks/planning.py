"""How long a run over very many files takes to begin, how fast it is planned, and in how much memory.

    python benchmarks/planning.py --files 1000000 --per-folder 1000 --at /dev/shm

makes that many empty files, plans and "enhances" them with an engine that does nothing, and removes them: from a folder
without results, the same with another format, from a list in the order of `find` and one in no order, and from a folder
whose results all exist.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lumen.batch.job import Job
from lumen.batch.listed import PathList, read_list
from lumen.batch.plan import plan_jobs
from lumen.batch.report import Outcome
from lumen.batch.run import Batch
from lumen.batch.work import PictureWork
from lumen.config import BatchOptions, EnhanceOptions
from lumen.stages import Ended

CASES = ("new", "renamed", "list", "shuffled", "done")


class NoWork:
    """An engine that ends each job at once; also the listener, which says nothing."""

    def __init__(self) -> None:
        self.first_s = self.first_cpu_s = 0.0
        self.jobs = 0
        self.tone_models: Any = None  # no tones are asked for

    def open(self, _work: PictureWork, _variants: Collection[EnhanceOptions]) -> Mapping[str, Any]:
        """Do nothing."""
        return {}

    def run(self, jobs: Iterator[Job]) -> Iterator[Ended[Job, Outcome] | None]:
        """End each job."""
        for job in jobs:
            if not self.jobs:
                self.first_s, self.first_cpu_s = time.perf_counter(), time.process_time()
            self.jobs += 1
            yield job, Outcome(source=job.source, target=job.target, status="done")

    def progress(self) -> Mapping[Job, Any]:
        """Return nothing."""
        return {}

    def leave(self) -> None:
        """Do nothing."""

    def close(self, *, at_once: bool = False) -> list[Ended[Job, Outcome]]:  # noqa: ARG002
        """Return nothing."""
        return []

    def started(self, _pending: int) -> None:
        """Do nothing."""

    def counted(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        """Do nothing."""

    def progressed(self, job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        """Do nothing."""

    def finished(self, outcome: Outcome) -> None:
        """Do nothing."""

    def stopping(self) -> None:
        """Do nothing."""


def make_files(folder: Path, files: int, per_folder: int, suffix: str = ".jpg") -> None:
    """Make empty files, `per_folder` in each folder."""
    for start in range(0, files, per_folder):
        place = folder / f"cam{start // per_folder // 100:04}" / f"{start // per_folder:06}"
        place.mkdir(parents=True)
        handle = os.open(place, os.O_RDONLY)
        for number in range(start, min(files, start + per_folder)):
            os.close(os.open(f"IMG_{number:07}{suffix}", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
        os.close(handle)


def measure(inputs: Path, output: Path, case: str) -> None:
    """Print the figures of one run."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    options = BatchOptions(output=output, recursive=True, format="png" if case == "renamed" else "same")
    started, cpu_started = time.perf_counter(), time.process_time()
    engine = NoWork()
    is_list = case in ("list", "shuffled")
    plan = plan_jobs([], options, listed=_list_of(inputs, case)) if is_list else plan_jobs([inputs], options)
    report = Batch(plan, engine, EnhanceOptions(), options, engine).run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first_s, first_cpu_s = engine.first_s - started, engine.first_cpu_s - cpu_started
    first = f"first job after {first_s:.1f} s ({first_cpu_s:.1f} s of CPU), " if engine.jobs else ""
    print(
        f"{case}: {report.total:,} files, {first}{seconds:.1f} s, {cpu:.1f} s of CPU, "
        f"{report.total / cpu:,.0f} files/s of one core, peak {peak_kb / 1024:.0f} MB "
        f"({(peak_kb - before_kb) * 1024 / report.total:.1f} bytes a file)"
    )


def make_lists(folder: Path) -> None:
    """Write the lists of the files in a folder."""
    found = subprocess.run(["find", str(folder), "-type", "f"], stdout=subprocess.PIPE, check=True).stdout
    _list_file(folder, "list").write_bytes(found)
    lines = found.splitlines()
    random.Random(0).shuffle(lines)
    _list_file(folder, "shuffled").write_bytes(b"\n".join(lines))


def _list_of(folder: Path, case: str) -> PathList:
    return read_list(_list_file(folder, case).read_bytes(), null=False)


def _list_file(folder: Path, case: str) -> Path:
    return folder.with_name(f"{case}.txt")


def main() -> None:
    """Measure each case in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--per-folder", type=int, default=1000)
    parser.add_argument("--at", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--case", choices=("lists", *CASES), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case == "lists":  # in a process of its own too: what starts one passes its peak of memory on
        make_lists(asked.folder / "in")
        return
    if asked.case:
        measure(asked.folder / "in", asked.folder / ("done" if asked.case == "done" else "out"), asked.case)
        return
    folder = Path(tempfile.mkdtemp(prefix="planning-", dir=asked.at))
    try:
        make_files(folder / "in", asked.files, asked.per_folder)
        for case in ("lists", *CASES):
            if case == "done":
                make_files(folder / "done", asked.files, asked.per_folder)
            subprocess.run([sys.executable, __file__, "--case", case, "--folder", str(folder)], check=True)
            shutil.rmtree(folder / "out", ignore_errors=True)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
