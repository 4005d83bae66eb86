"""Runs `lumen` as users do, on files: in its own process, or in this one where that makes no difference."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from lumen.cli.main import main
from lumen.codecs.codec import write_picture
from lumen.imaging.picture import Picture
from lumen.spec import SampleType
from tests.conftest import ROOT

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "NO_COLOR": "1",
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")]),
}

# What `lumen watch` writes of an event: time, level, name and facts.
_FACT = r" [a-z_]+=(\"(\\.|[^\"])*\"|\S+)"
LINE = re.compile(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z (debug|info|warning|error) [a-z]+({_FACT})*")


def save(path: Path, sample: SampleType = "uint8", size: tuple[int, int] = (40, 60)) -> None:
    """Write a dark ramp, (rows, columns) large, that is the same in no two pictures of different size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, np.iinfo(sample).max // 4, size[0] * size[1]).reshape(size)
    pixels = np.repeat(ramp[..., np.newaxis], 3, axis=2).astype(sample)
    write_picture(Picture(pixels=pixels, format="png"), path)


def command(*arguments: object, model: Path | None = None) -> list[str]:
    """Return the command line; with a model it is an `enhance`."""
    line = [sys.executable, "-m", "lumen", *map(str, arguments)]
    return line if model is None else [*line, "--model", str(model)]


def start(line: list[str], **arguments: Any) -> subprocess.Popen[str]:
    """Start a command; its stdout and stderr are read as text."""
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT}
    return subprocess.Popen(line, text=True, errors="surrogateescape", **(usual | arguments))


def run(line: list[str], **arguments: Any) -> tuple[int, str, str]:
    """Run a command and return its exit code, stdout and stderr."""
    with start(line, **arguments) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def run_here(line: list[str], cwd: Path | None = None) -> tuple[int, str, str]:
    """Run a command line of `command` in this process, and return its exit code, stdout and stderr.

    It takes a tenth of the time, and is no test of signals, streams that are files, imports and what ends a process.
    """
    out, err = BytesIO(), BytesIO()
    streams = [TextIOWrapper(each, "utf-8", errors="surrogateescape", write_through=True) for each in (out, err)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), chdir(cwd or "."):
        code = main(line[3:])
    return int(code), _text(out), _text(err)


def _text(stream: BytesIO) -> str:
    return stream.getvalue().decode(errors="surrogateescape")


def tree(folder: str | Path = "out") -> list[str]:
    """Return all files below a folder but for the records of runs, sorted."""
    files = (path.relative_to(folder) for path in Path(folder).rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parent != Path(".lumen/runs"))
