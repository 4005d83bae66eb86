"""The numbers of a watcher in the text format of Prometheus, for the textfile collector of its node exporter.

Counters are those of the ledger: they go on after a restart. Every sample names the output folder, because one node
exporter may collect the files of several watchers.

Reference:
    https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from lumen.text import printable
from lumen.version import __version__
from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.ledger.sums import DELAYS_S, Sums
from lumen.watching.monitoring.snapshot import CAUSES, Snapshot

MOST_FOLDERS: Final = 100  # with samples of their own
ENDS: Final = ("done", "failed", "unsupported")

Kind = Literal["counter", "gauge", "histogram"]
Sample = tuple[str, Mapping[str, str], float]  # the end of its name, its labels, its value


def metrics_text(seen: Snapshot) -> str:
    """Return the metrics file of a watcher."""
    output = {"output": _label(seen.output.absolute())}
    lines = []
    for name, kind, text, samples in _families(seen):
        if samples:
            lines += [f"# HELP lumen_{name} {text}", f"# TYPE lumen_{name} {kind}"]
            lines += [f"lumen_{name}{end}{_braces(output | dict(own))} {_number(v)}" for end, own, v in samples]
    return "\n".join(lines) + "\n"


def _families(seen: Snapshot) -> Iterator[tuple[str, Kind, str, list[Sample]]]:
    """Yield name, type, help and samples of each metric."""
    status, counts, sums = seen.status, seen.status.counts, seen.status.sums or Sums()
    waiting = sum(counts[name] for name in ("ready", "retry", "working"))
    oldest = 0.0 if status.oldest is None else status.oldest.seconds
    yield "build_info", "gauge", "Version of lumen.", [("", {"version": __version__}, 1)]
    yield "running", "gauge", "Whether the watcher runs, 0 after it was stopped.", _one(seen.state != "stopped")
    yield "start_time_seconds", "gauge", "When the watcher started.", _one(status.facts.get("started_at", 0.0))
    text = "When the watcher gave its last sign of life."
    yield "last_sign_of_life_timestamp_seconds", "gauge", text, _one(round(seen.sign.at, 3))
    pauses: list[Sample] = [("", {"reason": cause}, cause in seen.sign.paused) for cause in CAUSES]
    yield "paused", "gauge", "Whether no file is started, because of the input, the output or its free space.", pauses
    ended: list[Sample] = [("", {"status": status}, counts[status]) for status in ENDS]
    yield "files_total", "counter", "Versions of files that ended, by status.", ended
    yield "skipped_files", "gauge", "Versions of files that were left out at the start.", _one(counts["skipped"])
    yield "waiting_files", "gauge", "Files that wait or are in work.", _one(waiting)
    yield "settling_files", "gauge", "Files that have yet to settle.", _one(seen.sign.settling)
    yield "oldest_waiting_seconds", "gauge", "For how long the file has waited that has waited longest.", _one(oldest)
    yield "delay_seconds", "histogram", "Time from when a file was first seen to its result.", _histogram(sums)
    yield "processing_seconds_total", "counter", "Time spent on files that are done.", _one(sums.seconds)
    yield "pixels_total", "counter", "Pixels of files that are done.", _one(round(sums.megapixels * 1e6))
    if seen.disk is not None:
        yield "output_free_bytes", "gauge", "Free space on the disk of the output folder.", _one(seen.disk.free)
        yield "output_size_bytes", "gauge", "Size of the disk of the output folder.", _one(seen.disk.total)
    yield from _of_folders(status.folders)


def _of_folders(folders: tuple[FolderNumbers, ...]) -> Iterator[tuple[str, Kind, str, list[Sample]]]:
    """Yield what there is for each first folder, unless they are so many that Prometheus would suffer."""
    yield "folders", "gauge", "First folders below the watched one.", _one(len(folders))
    named = [({"folder": _label(each.name)}, each) for each in folders] if len(folders) <= MOST_FOLDERS else []
    ended: list[Sample] = [("", own | {"status": end}, getattr(each, end)) for own, each in named for end in ENDS]
    yield "folder_files_total", "counter", "Versions of files that ended, by first folder and status.", ended
    waiting: list[Sample] = [("", own, each.waiting) for own, each in named]
    yield "folder_waiting_files", "gauge", "Files that wait or are in work, by first folder.", waiting
    arrivals: list[Sample] = [("", own, round(each.last_arrival, 3)) for own, each in named]
    text = "When the last file arrived, by first folder."
    yield "folder_last_arrival_timestamp_seconds", "gauge", text, arrivals


def _one(value: float) -> list[Sample]:
    return [("", {}, value)]


def _histogram(sums: Sums) -> list[Sample]:
    buckets = [*zip(map(_number, DELAYS_S), sums.delays, strict=True), ("+Inf", sums.done)]
    counts: list[Sample] = [("_bucket", {"le": upper}, count) for upper, count in buckets]
    return [*counts, ("_sum", {}, sums.delay_s), ("_count", {}, sums.done)]


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _label(name: object) -> str:
    r"""Return a name as text; names that differ stay different, also those with control characters or not in UTF-8.

    >>> _label("a\nb"), _label(r"a\nb")
    ('a\\nb', 'a\\\\nb')
    """
    return printable(str(name).replace("\\", "\\\\"))


def _braces(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"')

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
