"""The record of a run: its options and inputs, the versions and the model used, and what became of every file.

It is a file of JSON lines in `.lumen/runs/` of the output folder, one per run. It is for people. lumen reads it
only to tell how a result was made and where one belongs (`lumen.batch.history`), so a record that cannot be written is
a warning, never a failure; and nothing at all if the run made no result, because then an error says why.
"""

from __future__ import annotations

import json
import logging
import platform
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from lumen.batch.report import Outcome, Report
from lumen.files.inputs import Parent, hold_folder
from lumen.files.state import state_in
from lumen.runtime.protocols import Model
from lumen.version import __version__

log = logging.getLogger(__name__)

FOLDER = "runs"
RUN_BYTES = 8 << 20  # beyond, only failures are recorded
FAILURE_BYTES = 16 << 20  # beyond, only the end is recorded
KEPT_BYTES = 64 << 20
KEPT_RUNS = 200

_PACKAGES = ("numpy", "pillow", "imagecodecs", "tifffile", "onnxruntime-gpu", "onnxruntime")


class RunRecord:
    """Writes one record. Files that have a result are counted, not listed: a repeated run would list them all."""

    def __init__(self, home: Path, asked: Mapping[str, Any]) -> None:
        """Begin a record.

        Args:
            home: The folder whose `.lumen/runs` it goes to.
            asked: Options and inputs, as JSON values.
        """
        self._file: BinaryIO | None = None
        self._bytes = 0
        self._left_out = 0
        self._lost = ""  # why there is no record
        try:
            with (
                hold_folder(home, make=True) as folder,
                state_in(folder) as state,
                state.inner(FOLDER, make=True) as runs,
            ):
                _forget_old(runs)
                self._file = runs.create(f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(3)}.jsonl")
        except OSError as error:
            self._give_up(error)
        self._write({"run": dict(asked), "started": _now(), "versions": versions()})

    def model(self, facts: Mapping[str, Any]) -> None:
        """Record the model."""
        self._write({"model": dict(facts)})

    def add(self, outcome: Outcome) -> None:
        """Record what became of one file."""
        limit = FAILURE_BYTES if outcome.status == "failed" else RUN_BYTES
        if outcome.status == "skipped" and not outcome.is_unchanged:
            return
        if self._bytes > limit:
            self._left_out += 1
        else:
            self._write(outcome.as_dict())

    def close(self, report: Report) -> None:
        """Write the counts and end the record."""
        facts = {
            "seconds": round(report.seconds, 3),
            "left": report.left,
            "unchanged": report.unchanged,
            "not_named_here": self._left_out,
        }
        files = {"files": report.total, "files_are_all": report.is_counted}
        self._write({"ended": _now(), "counts": report.counts, **files, **facts})
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
        if self._lost and report.counts["done"]:
            log.warning("the record of this run cannot be written: %s", self._lost)

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        data = json.dumps(line, default=str).encode() + b"\n"
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self._give_up(error)
        self._bytes += len(data)

    def _give_up(self, error: OSError) -> None:
        self._lost = error.strerror or str(error)
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        self._file = None


def versions() -> dict[str, str]:
    """Return the versions of lumen, Python, the system, and the packages that affect results."""
    from importlib.metadata import PackageNotFoundError, version  # only here: it takes long to load

    # `platform.platform` starts a process to name the processor, and reads the interpreter's file.
    system = "-".join((platform.system(), platform.release(), platform.machine()))
    found = {"lumen": __version__, "python": platform.python_version(), "system": system}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _forget_old(runs: Parent) -> None:
    """Remove the oldest records beyond the limits; the names sort by time."""
    records = sorted((name for name in runs.names() if name.endswith(".jsonl")), reverse=True)
    total = 0
    for index, record in enumerate(records):
        with suppress(OSError):
            total += runs.facts(record).st_size
            if index >= KEPT_RUNS or total > KEPT_BYTES:
                runs.unlink(record)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def model_facts(models: Sequence[Model]) -> Mapping[str, Any]:
    """Return which model made the results, in what precision, and on which devices: JSON values."""
    spec = models[0].spec
    facts = {name: getattr(spec, name) for name in ("name", "architecture", "weights_sha256", "contract")}
    return {**facts, "precision": models[0].precision, "devices": [model.device.name for model in models]}
