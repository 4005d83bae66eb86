"""What became of every file: outcomes, counts, the exit code, and one JSON object per file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lumen.errors import Exit

KEPT = 1000  # failures, and different reasons

Status = Literal["done", "skipped", "failed", "planned"]


class Progress(NamedTuple):
    """How much of a file is done.

    Attributes:
        fraction: In [0, 1].
        megapixels: Of its picture, or of all its frames.
        frames: How many frames it has, if it is a clip; otherwise 0.
    """

    fraction: float
    megapixels: float
    frames: int = 0

    @property
    def frames_done(self) -> int:
        """How many of its frames are done."""
        return round(self.fraction * self.frames)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file.

    Attributes:
        source: The input.
        target: Where the result is, or would be; None if it cannot have a place.
        status: `done`, `skipped` (a result existed), `failed`, or `planned` (a dry run).
        reason: Why it was skipped or failed, or what alone was done, one line.
        seconds: Time from decoding until the result was on disk, without waiting for other files.
        megapixels: Size of the picture; 0 if unknown.
        is_damaged: Whether a part of the source was damaged, and the result shows it.
        warnings: What could not be kept, one line each.
        is_unchanged: Whether the picture was fine, so that its file was copied, or in place left, or skipped.
        stops_run: Whether it failed by the error that ends the run, which is shown then.
        changes: Options of this picture that differ from those of the run.
        frames: How many frames it has, if it is a clip; otherwise 0.
    """

    source: Path
    target: Path | None
    status: Status
    reason: str = ""
    seconds: float = 0.0
    megapixels: float = 0.0
    is_damaged: bool = False
    warnings: tuple[str, ...] = ()
    is_unchanged: bool = False
    stops_run: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    frames: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return {
            "source": str(self.source),
            "target": None if self.target is None else str(self.target),
            "status": self.status,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "megapixels": round(self.megapixels, 3),
            "damaged": self.is_damaged,
            "warnings": list(self.warnings),
            "unchanged": self.is_unchanged,
            **({"frames": self.frames} if self.frames else {}),
            **({"options": dict(self.changes)} if self.changes else {}),
        }


@dataclass(kw_only=True)
class Report:
    """Counts of a run. Only the first failures are kept in full, so that memory does not grow with the files."""

    total: int
    is_counted: bool = True  # whether `total` is all, or what was found so far
    counts: dict[Status, int] = field(default_factory=lambda: {"done": 0, "skipped": 0, "failed": 0, "planned": 0})
    reasons: Counter[tuple[Status, str]] = field(default_factory=Counter)
    failures: list[Outcome] = field(default_factory=list)
    megapixels: float = 0.0
    seconds: float = 0.0
    fine: Counter[Status] = field(default_factory=Counter)  # pictures that were fine as they are
    only_stopped: bool = True  # whether all failures are the error that ended the run
    result: Path | None = None  # the last one
    failed: set[int] = field(default_factory=set)  # hashes of the sources of all failures
    examples: dict[tuple[Status, str], Path] = field(default_factory=dict)  # the first source of each reason

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.counts[outcome.status] += 1
        self.result = outcome.target
        self.fine[outcome.status] += outcome.is_unchanged
        why = outcome.status, outcome.reason
        if outcome.status == "failed":
            self.only_stopped &= outcome.stops_run
            self.failed.add(hash(outcome.source))
            self.failures += [outcome][: KEPT - len(self.failures)]
        elif outcome.reason and (why in self.reasons or len(self.reasons) < KEPT):
            self.reasons[why] += 1
            self.examples.setdefault(why, outcome.source)
        if outcome.status == "done":
            self.megapixels += outcome.megapixels

    def has_failed(self, source: Path) -> bool:
        """Tell whether a file is among the failures."""
        return hash(source) in self.failed

    @property
    def unchanged(self) -> int:
        """Pictures that were fine as they are."""
        return self.fine.total()

    @property
    def left(self) -> int:
        """Files that were not reached."""
        return self.total - sum(self.counts.values())

    @property
    def exit_code(self) -> Exit:
        """0 all done or skipped, 3 some failed, 4 all failed.

        A run without files is a shard that got none: if nothing is found at all, no run starts.
        """
        failed = self.counts["failed"]
        if failed and failed == self.total and self.is_counted:
            return Exit.ALL_FAILED
        return Exit.SOME_FAILED if failed else Exit.OK

    def summary(self) -> str:
        """Return one line for people, such as `12 done (2 fine as they were), 3 failed (see above) in 8.1 s (...)`."""
        words: Mapping[Status, str] = {"done": "done", "planned": "to do", "skipped": "skipped", "failed": "failed"}
        parts = [
            f"{self.counts[status]} {word}{self._aside(status)}"
            for status, word in words.items()
            if self.counts[status]
        ]
        if self.left or not self.is_counted:
            parts.append(f"{self.left} {'left' if self.is_counted else 'or more left'}" if self.left else "more left")
        line = ", ".join(parts) or "nothing to do"
        if self.counts["done"]:
            line += f" in {self.seconds:.1f} s ({self.megapixels / max(self.seconds, 1e-9):.2f} megapixels/s)"
        return line

    def _aside(self, status: Status) -> str:
        """Return what the summary adds to the number of files that ended so."""
        if status == "failed":
            return "" if self.only_stopped else " (see above)"
        fine = self.fine[status]
        return f" ({fine} fine as {'it was' if fine == 1 else 'they were'})" if fine else ""
