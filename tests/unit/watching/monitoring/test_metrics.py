"""Metrics, as the parser of Prometheus' own client reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.ledger.status import WaitingVersion
from lumen.watching.ledger.sums import DELAYS_S, Sums
from lumen.watching.monitoring.metrics import MOST_FOLDERS, metrics_text
from tests.support.ledger import NOW
from tests.support.metrics_file import parsed, value_of
from tests.support.monitoring import sign_of, snapshot_of, status_of

NAMES = [
    "cam1",
    ".",
    "<script>alert(1)<",
    'a "q"',
    "back\\slash",
    "two\nlines",
    r"two\nlines",
    os.fsdecode(b"caf\xe9"),
    r"caf\udce9",
]


def folder(name: str, **numbers: Any) -> FolderNumbers:
    return FolderNumbers(name=name, last_arrival=NOW, **numbers)


def test_every_metric_has_its_type_and_value() -> None:
    delays = tuple(range(len(DELAYS_S)))
    sums = Sums(done=20, delay_s=61.5, seconds=9.25, megapixels=1.5, delays=delays)
    oldest = WaitingVersion(path="a", status="retry", reason="", seconds=12.5)
    folders = (folder("cam1", done=7, failed=2, unsupported=1, waiting=3),)
    seen = snapshot_of(
        status_of(sums=sums, oldest=oldest, folders=folders), sign=sign_of("paused", space="the disk is full")
    )
    found = parsed(metrics_text(seen))
    types = {name: family.type for name, family in found.items()}
    assert types["lumen_files"] == types["lumen_pixels"] == types["lumen_processing_seconds"] == "counter"
    assert types["lumen_delay_seconds"] == "histogram"
    assert types["lumen_waiting_files"] == types["lumen_paused"] == "gauge"
    assert all(family.documentation for family in found.values())
    assert {sample.labels["output"] for family in found.values() for sample in family.samples} == {"/srv/enhanced"}
    expected = {
        ("lumen_files_total", "done"): 7,
        ("lumen_files_total", "unsupported"): 1,
        ("lumen_paused", "space"): 1,
        ("lumen_paused", "input"): 0,
        ("lumen_waiting_files", ""): 6,
        ("lumen_settling_files", ""): 9,
        ("lumen_skipped_files", ""): 4,
        ("lumen_oldest_waiting_seconds", ""): 12.5,
        ("lumen_delay_seconds_sum", ""): 61.5,
        ("lumen_delay_seconds_count", ""): 20,
        ("lumen_delay_seconds_bucket", "+Inf"): 20,
        ("lumen_delay_seconds_bucket", "2.5"): 1,
        ("lumen_pixels_total", ""): 1.5e6,
        ("lumen_running", ""): 1,
        ("lumen_last_sign_of_life_timestamp_seconds", ""): NOW,
        ("lumen_output_free_bytes", ""): 25e9,
        ("lumen_folder_files_total", "failed"): 2,
        ("lumen_folder_waiting_files", "cam1"): 3,
        ("lumen_folder_last_arrival_timestamp_seconds", "cam1"): NOW,
    }
    assert {key: value_of(found, *key) for key in expected} == expected


def test_a_watcher_that_has_stopped_says_so_and_a_lost_disk_has_no_size() -> None:
    found = parsed(metrics_text(snapshot_of(sign=sign_of("stopped"), disk=None)))
    assert value_of(found, "lumen_running") == 0
    assert "lumen_output_free_bytes" not in found


def test_names_are_text_and_none_is_taken_for_another() -> None:
    seen = snapshot_of(status_of(folders=tuple(map(folder, NAMES))), output=Path('/srv/"out"\n'))
    found = parsed(metrics_text(seen))
    samples = found["lumen_folder_waiting_files"].samples
    labels = [sample.labels["folder"] for sample in samples]
    assert len(set(labels)) == len(NAMES)
    assert {"cam1", ".", "<script>alert(1)<", 'a "q"', r"back\\slash", r"two\nlines", r"two\\nlines"} <= set(labels)
    assert {sample.labels["output"] for sample in samples} == {r'/srv/"out"\n'}


@pytest.mark.parametrize(("count", "shown"), [(MOST_FOLDERS, MOST_FOLDERS), (MOST_FOLDERS + 1, 0)])
def test_folders_without_number_give_no_samples_without_number(count: int, shown: int) -> None:
    folders = tuple(folder(f"cam{number}") for number in range(count))
    found = parsed(metrics_text(snapshot_of(status_of(folders=folders))))
    family = found.get("lumen_folder_waiting_files")
    assert (len(family.samples) if family else 0) == shown
    assert value_of(found, "lumen_folders") == count
