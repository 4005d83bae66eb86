from __future__ import annotations

import json
import logging
import platform
from pathlib import Path
from typing import Any

import pytest

from lumen.batch import record as module
from lumen.batch.record import RunRecord
from lumen.batch.report import Outcome, Report, Status
from lumen.version import __version__


def outcome(status: Status, name: str = "a.jpg") -> Outcome:
    return Outcome(source=Path(name), target=Path("out", name), status=status, reason="why")


def lines(folder: Path) -> list[dict[str, Any]]:
    (path,) = (folder / ".lumen" / "runs").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_record_says_what_was_asked_and_what_came(tmp_path: Path) -> None:
    log = RunRecord(tmp_path, {"inputs": [Path("in")]})
    log.model({"name": "fake"})
    for status in ("done", "skipped", "failed"):
        log.add(outcome(status))
    log.close(Report(total=4, counts={"done": 1, "skipped": 1, "failed": 1, "planned": 0}, seconds=2.5))
    first, model, *files, last = lines(tmp_path)
    assert first["run"] == {"inputs": ["in"]}
    assert first["versions"]["lumen"] == __version__
    assert first["versions"]["system"].startswith(platform.system())
    assert model == {"model": {"name": "fake"}}
    assert [file["status"] for file in files] == ["done", "failed"]  # what is skipped is counted
    assert (last["counts"]["skipped"], last["left"], last["seconds"]) == (1, 1, 2.5)


def test_its_size_is_bounded_and_failures_are_kept_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RUN_BYTES", 2000)
    monkeypatch.setattr(module, "FAILURE_BYTES", 4000)
    log = RunRecord(tmp_path, {})
    for _ in range(100):
        log.add(outcome("done"))
    for _ in range(100):
        log.add(outcome("failed"))
    log.close(Report(total=200))
    found = lines(tmp_path)
    statuses = [line.get("status") for line in found]
    assert 0 < statuses.count("done") < 20 and 0 < statuses.count("failed") < 20
    assert found[-1]["not_named_here"] == 200 - statuses.count("done") - statuses.count("failed")
    (path,) = (tmp_path / ".lumen" / "runs").iterdir()
    assert path.stat().st_size < 5000


def test_old_records_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / ".lumen" / "runs"
    folder.mkdir(parents=True)
    for year in (1999, 2000, 2001):
        (folder / f"{year}0101T000000Z-0.jsonl").write_bytes(b"x" * 100)
    (folder / "mine.txt").touch()
    monkeypatch.setattr(module, "KEPT_BYTES", 250)
    RunRecord(tmp_path, {}).close(Report(total=0))
    assert sorted(path.name[:4] for path in folder.iterdir())[:2] == ["2000", "2001"]
    monkeypatch.undo()
    monkeypatch.setattr(module, "KEPT_RUNS", 1)
    RunRecord(tmp_path, {}).close(Report(total=0))
    assert len(list(folder.glob("*.jsonl"))) == 2
    assert (folder / "mine.txt").exists()


def made(count: int) -> Report:
    return Report(total=count, counts={"done": count, "skipped": 0, "failed": 0, "planned": 0})


def test_without_results_nobody_misses_the_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".lumen").touch()
    with caplog.at_level(logging.WARNING):
        log = RunRecord(tmp_path, {})
        log.add(outcome("failed"))
        log.close(Report(total=1, counts={"done": 0, "skipped": 0, "failed": 1, "planned": 0}))
    assert not caplog.records


def test_a_record_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / ".lumen").touch()
    with caplog.at_level(logging.WARNING):
        log = RunRecord(tmp_path, {})
        log.add(outcome("done"))
        log.close(made(1))
    assert ["cannot be written" in record.message for record in caplog.records] == [True]


def test_a_full_disk_ends_the_record_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = RunRecord(tmp_path, {})
    assert log._file is not None
    log._file.close()
    log._file = Path("/dev/full").open("wb")  # noqa: SIM115
    log.add(outcome("done"))
    log.add(outcome("done"))
    log.close(made(2))
    assert ["No space left" in record.message for record in caplog.records] == [True]


def test_names_sort_by_time_also_within_a_second(tmp_path: Path) -> None:
    for number in range(5):
        RunRecord(tmp_path, {"number": number}).close(Report(total=0))
    records = sorted((tmp_path / ".lumen" / "runs").iterdir())
    firsts = [json.loads(record.read_text().splitlines()[0]) for record in records]
    assert [first["run"]["number"] for first in firsts] == list(range(5))
