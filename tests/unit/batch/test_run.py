from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen import stages
from lumen.batch import ahead, destinations, skipping
from lumen.batch import work as module
from lumen.batch.block import Block
from lumen.batch.engines.local import LocalEngine
from lumen.batch.job import Job
from lumen.batch.plan import Plan, plan_jobs
from lumen.batch.report import Outcome
from lumen.batch.run import Batch
from lumen.codecs.codec import read_picture, write_picture
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.picture_rules import PictureRule
from lumen.errors import DiskFullError, Exit, LockedError, ModelError, OutOfMemoryError, UsageError
from lumen.files.atomic import write_atomically
from lumen.files.lock import lock_folder
from lumen.imaging.picture import Picture
from tests.support.batches import block_of, planned
from tests.support.fakes import FakeModels, Meeting


class Ear:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.pending, self.is_all, self.clips, self.begun_with = 0, False, 0, (0, False)
        self.outcomes: list[Outcome] = []
        self.fractions: list[float] = []
        self.megapixels, self.frames = 0.0, 0
        self.stops = 0

    def started(self, pending: int) -> None:
        self.pending, self.begun_with = pending, (pending, self.is_all)

    def counted(self, pending: int, *, is_all: bool, clips: int = 0) -> None:
        self.pending, self.is_all, self.clips = pending, is_all, clips

    def progressed(self, _job: Job, fraction: float, megapixels: float, frames: int = 0) -> None:
        self.fractions.append(fraction)
        self.megapixels = megapixels
        self.frames = frames

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def stopping(self) -> None:
        self.stops += 1

    def statuses(self) -> dict[str, str]:
        return {outcome.source.name: outcome.status for outcome in self.outcomes}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five small pictures, a.png to e.png."""
    folder = tmp_path / "in"
    folder.mkdir()
    for level, name in enumerate("abcde", start=1):
        picture = Picture(pixels=np.full((20, 30, 3), level * 10, np.uint8), format="png")
        write_picture(picture, folder / f"{name}.png")
    return folder


def make(folder: Path, ear: Ear, models: Any = None, **options: Any) -> Batch:
    batching = BatchOptions(output=folder.parent / "out", **options)
    plan = plan_jobs([folder], batching)
    return Batch(plan, LocalEngine(models or FakeModels(gain=2.0)), EnhanceOptions(), batching, ear)


def results(folder: Path) -> list[str]:
    out = folder.parent / "out"
    return sorted(path.name for path in out.glob("*")) if out.exists() else []


def test_every_file_is_written_and_reported(pictures: Path) -> None:
    ear = Ear()
    report = make(pictures, ear).run()
    assert report.exit_code == Exit.OK
    assert report.counts["done"] == ear.pending == 5
    assert report.megapixels == pytest.approx(5 * 600 / 1e6)
    for outcome in ear.outcomes:
        assert outcome.target is not None
        assert np.array_equal(read_picture(outcome.target).pixels, read_picture(outcome.source).pixels * 2)


def test_one_bad_file_among_good_ones(pictures: Path) -> None:
    (pictures / "c.png").write_bytes((pictures / "c.png").read_bytes()[:40])
    ear = Ear()
    report = make(pictures, ear).run()
    assert report.exit_code == Exit.SOME_FAILED
    assert ear.statuses() == {"a.png": "done", "b.png": "done", "c.png": "failed", "d.png": "done", "e.png": "done"}
    assert "damaged or truncated" in report.failures[0].reason
    assert "c.png" not in results(pictures)


def test_it_is_told_how_many_of_the_files_are_clips(pictures: Path) -> None:
    (pictures / "f.mp4").write_bytes(b"no clip")
    ear = Ear()
    make(pictures, ear, clips=True).run()
    assert (ear.pending, ear.clips, ear.statuses()["f.mp4"]) == (6, 1, "failed")


@pytest.mark.parametrize("is_dry", [False, True])
@pytest.mark.parametrize(
    ("files", "options", "told"),
    [
        ("", {}, True),
        ("", {"include": ("*.png",)}, False),
        ("", {"exclude": ("b.png",)}, False),
        ("", {"shard": (1, 2)}, False),
        ("a.png", {}, False),
    ],
)
def test_patterns_of_the_settings_that_match_nothing_are_a_warning_unless_the_run_is_a_part(
    pictures: Path,
    caplog: pytest.LogCaptureFixture,
    files: str,
    options: dict[str, Any],
    told: bool,
    is_dry: bool,
) -> None:
    rules = [PictureRule(match=match, changes={"ev": 1.0}) for match in ("A.png", "nigth/*", "/A.png", "x*", "y*")]
    batching = BatchOptions(output=pictures.parent / "out", **options)
    plan = plan_jobs([pictures / files], batching)
    batch = Batch(plan, LocalEngine(FakeModels()), EnhanceOptions(), batching, Ear(), rules)
    batch.dry_run() if is_dry else batch.run()
    warning = 'the settings have [[picture]] for "nigth/*", "/A.png", "x*" and 1 more, which no file matches'
    assert [record.message for record in caplog.records if "[[picture]]" in record.message] == [warning] * told


def test_a_pattern_matches_also_what_is_skipped_or_fails(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(pictures, Ear()).run()
    (pictures / "c.png").write_bytes(b"")
    rules = [PictureRule(match=match, changes={"ev": 1.0}) for match in ("a.png", "c.png")]
    batching = BatchOptions(output=pictures.parent / "out", existing="update")
    Batch(plan_jobs([pictures], batching), LocalEngine(FakeModels()), EnhanceOptions(), batching, Ear(), rules).run()
    assert "[[picture]]" not in caplog.text


def test_a_second_run_does_only_the_rest(pictures: Path) -> None:
    make(pictures, Ear()).run()
    (pictures.parent / "out" / "d.png").unlink()
    ear = Ear()
    make(pictures, ear).run()
    assert ear.pending == 1
    assert [name for name, status in ear.statuses().items() if status == "done"] == ["d.png"]


def test_nothing_left_opens_no_model(pictures: Path) -> None:
    make(pictures, Ear()).run()
    models = FakeModels()
    assert make(pictures, Ear(), models).run().counts["skipped"] == 5
    assert models.opened == {}


def test_the_policy_error_refuses_before_any_work(pictures: Path) -> None:
    make(pictures, Ear()).run()
    with pytest.raises(UsageError, match="5 exist"):
        make(pictures, Ear(), existing="error").run()


def test_dry_run_touches_nothing(pictures: Path) -> None:
    ear, models = Ear(), FakeModels()
    report = make(pictures, ear, models).dry_run()
    assert report.counts["planned"] == 5
    assert not (pictures.parent / "out").exists()
    assert models.opened == {}


def test_fail_fast_stops(pictures: Path) -> None:
    (pictures / "b.png").write_bytes(b"")
    report = make(pictures, Ear(), fail_fast=True).run()
    assert results(pictures) == [".lumen", "a.png"]
    assert (report.counts["done"], report.counts["failed"], report.left) == (1, 1, 3)


def test_a_full_disk_stops_the_missing_comparisons(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(pictures, Ear()).run()

    def write(*_: Any, **options: Any) -> None:
        raise DiskFullError(f"no space left {len(options)}")

    monkeypatch.setattr(destinations, "write_atomically", write)
    ear = Ear()
    with pytest.raises(DiskFullError):
        make(pictures, ear, compare=True).run()
    assert ear.statuses() == {"a.png": "failed"}


def test_failures_of_the_plan_count(pictures: Path) -> None:
    (pictures / ("x" * 251 + ".png")).write_bytes((pictures / "a.png").read_bytes())
    report = make(pictures, Ear(), suffix="-lit").run()
    assert (report.counts["done"], report.counts["failed"]) == (5, 1)


def test_an_internal_error_is_one_files_failure(pictures: Path) -> None:
    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() == 30:
            raise ZeroDivisionError("odd\nsecond line")

    report = make(pictures, Ear(), FakeModels(fault=fault)).run()
    assert report.counts == {"done": 4, "failed": 1, "skipped": 0, "planned": 0}
    assert report.failures[0].reason == "internal error, ZeroDivisionError: odd"


def test_a_full_disk_stops_the_run(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, data: bytes, **options: Any) -> None:
        if path.name == "b.png":
            raise DiskFullError("no space left")
        write_atomically(path, data, **options)

    monkeypatch.setattr(destinations, "write_atomically", write)
    ear = Ear()
    run = make(pictures, ear)
    with pytest.raises(DiskFullError):
        run.run()
    assert ear.statuses()["b.png"] == "failed"
    assert run.report.left >= 1
    assert "e.png" not in results(pictures)
    monkeypatch.undo()
    assert make(pictures, Ear()).run().exit_code == Exit.OK
    assert len(results(pictures)) == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_finishes_what_is_being_written(pictures: Path, error: type[BaseException]) -> None:
    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() == 30:
            raise error

    run = make(pictures, Ear(), FakeModels(fault=fault))
    with pytest.raises(error):
        run.run()
    assert results(pictures) == [".lumen", "a.png", "b.png"]
    assert (run.report.counts["done"], run.report.left) == (2, 3)
    make(pictures, Ear()).run()
    assert len(results(pictures)) == 6


def test_an_interruption_while_waiting_reports_what_was_written(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = threading.Event()

    def interrupted(running: list[Future[Any]], *_: object) -> tuple[set[Future[Any]], set[Future[Any]]]:
        if written.is_set():
            raise KeyboardInterrupt
        return wait(running, return_when=FIRST_COMPLETED)

    def write(path: Path, data: bytes, **options: Any) -> None:
        written.set()
        threading.Event().wait(0.05)
        write_atomically(path, data, **options)

    monkeypatch.setattr(destinations, "write_atomically", write)
    monkeypatch.setattr(stages, "wait", interrupted)
    ear = Ear()
    run = make(pictures, ear)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert "a.png" in results(pictures)
    assert ear.statuses()["a.png"] == "done"
    assert run.report.left >= 2


def test_a_stop_finishes_the_file_in_work(pictures: Path) -> None:
    ear = Ear()

    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() == 20:
            run.stop()

    run = make(pictures, ear, FakeModels(fault=fault))
    report = run.run()
    assert ear.statuses() == {"a.png": "done", "b.png": "done"}
    assert (run.stopped, ear.stops, report.left) == (True, 1, 3)
    assert not any(path.name.endswith(".lumen-tmp") for path in (pictures.parent / "out").iterdir())


def test_a_stop_ends_the_missing_comparisons_too(pictures: Path) -> None:
    make(pictures, Ear()).run()

    class Stopper(Ear):
        def finished(self, outcome: Outcome) -> None:
            super().finished(outcome)
            run.stop()

    ear = Stopper()
    run = make(pictures, ear, compare=True)
    report = run.run()
    assert (ear.pending, report.counts["done"], report.left, run.stopped, ear.stops) == (5, 1, 4, True, 1)
    assert [name for name in results(pictures) if "compare" in name] == ["a.png.compare.jpg"]


def test_a_stop_may_come_in_the_middle_of_a_stop(pictures: Path) -> None:
    """As a second signal does, between any two lines of what the first one is running."""
    run = make(pictures, Ear())

    def trace(_frame: Any, event: str, _: Any) -> Any:
        if event == "line":
            run.stop(at_once=True)
        return trace

    def press() -> None:
        sys.settrace(trace)
        run.stop()

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()


def test_a_stop_before_the_work_does_nothing(pictures: Path) -> None:
    models = FakeModels()
    run = make(pictures, Ear(), models)
    run.stop()
    assert run.run().left == 5
    assert models.opened == {}


def test_memory_that_is_short_beside_others_is_enough_alone(pictures: Path) -> None:
    seen: list[int] = []

    def fault(tiles: NDArray[Any]) -> None:
        seen.append(int(tiles.max()))
        if seen.count(20) == 1 and tiles.max() == 20:
            raise MemoryError

    report = make(pictures, Ear(), FakeModels(fault=fault)).run()
    assert report.counts["done"] == 5
    assert seen.count(20) == 2


def test_memory_that_is_never_enough_fails_that_file_only(pictures: Path) -> None:
    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() in (20, 50):
            raise OutOfMemoryError("not enough memory")

    ear = Ear()
    assert make(pictures, ear, FakeModels(fault=fault)).run().counts["failed"] == 2
    assert [name for name, status in ear.statuses().items() if status == "failed"] == ["b.png", "e.png"]


def test_pictures_share_the_threads_of_one_model(pictures: Path) -> None:
    meeting = Meeting(2)
    report = make(pictures, Ear(), FakeModels(gain=2.0, threads=2, fault=meeting)).run()
    assert report.counts["done"] == 5 and len(meeting.threads) == 2
    made = [read_picture(pictures.parent / "out" / f"{name}.png").pixels for name in "abcde"]
    assert [(int(each.min()), int(each.max())) for each in made] == [(level * 20,) * 2 for level in range(1, 6)]


def test_several_models_work_side_by_side(pictures: Path) -> None:
    both = threading.Barrier(2, timeout=10)
    met: list[int] = []

    def fault(_tiles: NDArray[Any]) -> None:
        if not met or both.n_waiting:
            both.wait()
            met.append(1)

    sets = [FakeModels(gain=2.0, fault=fault), FakeModels(gain=2.0, fault=fault)]
    batching = BatchOptions(output=pictures.parent / "out")
    report = Batch(plan_jobs([pictures], batching), LocalEngine(sets), EnhanceOptions(), batching, Ear()).run()
    assert report.counts["done"] == 5
    assert len(met) >= 2
    assert all(each.opened["uint8"].shapes for each in sets)


def test_a_path_that_gets_too_long_fails_alone(pictures: Path) -> None:
    batching = BatchOptions(output=pictures.parent / "out")
    jobs = planned([pictures], batching).jobs
    jobs[1] = Job(source=jobs[1].source, target=jobs[1].target.with_name("x" * 300 + ".png"))
    jobs[2] = Job(source=jobs[2].source, target=jobs[2].target.with_name("x" * 300) / "c.png")
    todo = Plan(blocks=map(block_of, jobs), home=pictures.parent / "out")
    report = Batch(todo, LocalEngine(FakeModels(gain=2.0)), EnhanceOptions(), batching, Ear()).run()
    assert (report.counts["done"], report.exit_code) == (3, Exit.SOME_FAILED)
    assert ["File name too long" in failure.reason for failure in report.failures] == [True, True]
    assert results(pictures) == [".lumen", "a.png", "d.png", "e.png"]


@pytest.mark.parametrize("odd", ["alpha", "deep"])
def test_a_name_that_lies_about_its_format_costs_nothing(pictures: Path, odd: str) -> None:
    pixels = np.full((20, 30, 3), 5000 if odd == "deep" else 50, np.uint16 if odd == "deep" else np.uint8)
    alpha = None if odd == "deep" else np.full((20, 30), 7, np.uint8)
    write_picture(Picture(pixels=pixels, alpha=alpha, format="png"), pictures / "z.jpg", kind="png")
    ear = Ear()
    assert make(pictures, ear).run().exit_code == Exit.OK
    found = read_picture(pictures.parent / "out" / "z.jpg")
    assert found.format == "png"
    assert np.array_equal(found.pixels, pixels * 2)
    assert odd == "deep" or (found.alpha is not None and found.alpha.max() == 7)
    (warning,) = ear.outcomes[-1].warnings
    assert warning.startswith("the result is a png file like the input, despite its name, and most programs open it: ")


def test_another_run_holds_the_output(pictures: Path) -> None:
    with lock_folder(pictures.parent / "out"), pytest.raises(LockedError):
        make(pictures, Ear()).run()


def test_what_a_killed_run_left_is_removed(pictures: Path) -> None:
    out = pictures.parent / "out"
    out.mkdir()
    (out / ".0123.lumen-tmp").write_bytes(b"half")
    (out / "mine.lumen-tmp").write_bytes(b"not hidden, not ours")
    make(pictures, Ear()).run()
    assert not (out / ".0123.lumen-tmp").exists()
    assert (out / "mine.lumen-tmp").exists()


def test_a_missing_model_is_not_the_files_fault(pictures: Path) -> None:
    class Missing:
        def for_sample(self, _sample: str) -> Any:
            raise ModelError("there is no model")

    ear = Ear()
    with pytest.raises(ModelError):
        make(pictures, ear, Missing()).run()
    assert ear.outcomes == []


def test_at_most_one_picture_is_decoded_ahead(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    ahead: list[int] = []
    lock = threading.Lock()

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        with lock:
            decoded.append(path.name)
        return read_source(path, *arguments, **more)

    def fault(_tiles: NDArray[Any]) -> None:
        threading.Event().wait(0.05)
        with lock:
            ahead.append(len(decoded) - len(ahead))

    monkeypatch.setattr(module, "read_source", read)
    make(pictures, Ear(), FakeModels(fault=fault)).run()
    assert ahead == [2, 2, 2, 2, 1]


def record(folder: Path) -> list[dict[str, Any]]:
    (path,) = (folder / ".lumen" / "runs").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_run_is_recorded(pictures: Path) -> None:
    (pictures / "c.png").write_bytes(b"")
    report = make(pictures, Ear(), exclude=("d*",)).run()
    first, model, *files, last = record(pictures.parent / "out")
    assert first["run"]["inputs"] == [str(pictures)]
    assert first["run"]["batch"]["exclude"] == ["d*"]
    assert first["run"]["enhance"]["ev"] == 0
    assert {"lumen", "python", "numpy"} <= first["versions"].keys()
    assert (model["model"]["name"], model["model"]["weights_sha256"]) == ("fake", "0" * 64)
    assert {Path(file["source"]).name: file["status"] for file in files} == {
        "a.png": "done",
        "b.png": "done",
        "c.png": "failed",
        "e.png": "done",
    }
    assert (last["counts"], last["left"]) == (report.counts, 0)


def test_an_empty_share_is_no_failure(pictures: Path) -> None:
    shares = [make(pictures, Ear(), shard=(index, 50)).run() for index in range(1, 51)]
    assert sum(share.counts["done"] for share in shares) == 5
    assert {share.exit_code for share in shares} == {Exit.OK}


def with_fine(folder: Path) -> None:
    """Add a bright JPEG, which the fake model of gain 1.05 changes by 5 levels, and one it changes by 9."""
    for name, level in (("fine.jpg", 100), ("light.jpg", 180)):
        write_picture(Picture(pixels=np.full((20, 30, 3), level, np.uint8), format="jpeg"), folder / name, quality=60)


FINE = {f"{name}.png": 1 for name in "abcde"} | {"fine.jpg": 1, "light.jpg": 0}  # whose change nobody sees


def run_fine(folder: Path, output: Path | None, enhance: EnhanceOptions, **options: Any) -> tuple[Batch, Ear]:
    ear = Ear()
    batching = BatchOptions(output=output, in_place=output is None, **options)
    batch = Batch(plan_jobs([folder], batching), LocalEngine(FakeModels(gain=1.05)), enhance, batching, ear)
    batch.run()
    return batch, ear


def test_what_is_fine_is_copied_bit_for_bit_with_its_time_and_counted(pictures: Path, tmp_path: Path) -> None:
    with_fine(pictures)
    os.utime(pictures / "fine.jpg", (5, 5))
    batch, ear = run_fine(pictures, tmp_path / "out", EnhanceOptions())
    assert {each.source.name: int(each.is_unchanged) for each in ear.outcomes} == FINE
    for name, is_fine in FINE.items():
        same = (tmp_path / "out" / name).read_bytes() == (pictures / name).read_bytes()
        assert same is bool(is_fine), name
    assert (tmp_path / "out" / "fine.jpg").stat().st_mtime == 5
    assert batch.report.counts["done"] == 7
    assert batch.report.summary().startswith("7 done (6 fine as they were)")
    (record,) = (tmp_path / "out" / ".lumen" / "runs").iterdir()
    *_, light, end = map(json.loads, record.read_text().splitlines())
    assert (light["unchanged"], end["unchanged"]) == (False, 6)


@pytest.mark.parametrize("is_in_place", [False, True])
def test_what_is_fine_can_be_skipped(pictures: Path, tmp_path: Path, is_in_place: bool) -> None:
    with_fine(pictures)
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    output = None if is_in_place else tmp_path / "out"
    batch, ear = run_fine(pictures, output, EnhanceOptions(unchanged="skip"))
    assert batch.report.counts == {"done": 1, "skipped": 6, "failed": 0, "planned": 0}
    assert {each.reason for each in ear.outcomes if each.is_unchanged} == {"it is fine as it is"}
    if output is not None:
        assert [path.name for path in output.glob("[!.]*")] == ["light.jpg"]
    changed = [name for name, data in before.items() if (pictures / name).read_bytes() != data]
    assert changed == (["light.jpg"] if is_in_place else [])
    home = output or pictures
    told = [line for path in (home / ".lumen" / "runs").iterdir() for line in path.read_text().splitlines()]
    assert sum('"unchanged": true' in line for line in told) == 6


def change_facts(path: Path) -> tuple[int, int, int]:
    """Return what changes if a file is written or replaced; reading it changes its time of access."""
    facts = path.stat()
    return facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns


def test_in_place_what_is_fine_is_not_written_and_looked_at_once(pictures: Path) -> None:
    with_fine(pictures)
    facts = change_facts(pictures / "fine.jpg")
    batch, ear = run_fine(pictures, None, EnhanceOptions())
    assert batch.report.counts["done"] == 7
    assert sum(each.is_unchanged for each in ear.outcomes) == 6
    assert change_facts(pictures / "fine.jpg") == facts
    again, ear = run_fine(pictures, None, EnhanceOptions())
    assert again.report.counts["skipped"] == 7
    assert "fine without enhancement" in next(each.reason for each in ear.outcomes if each.source.name == "fine.jpg")
    brighter, _ = run_fine(pictures, None, EnhanceOptions(ev=1), existing="overwrite")
    assert (brighter.report.counts["done"], brighter.report.unchanged) == (7, 1), "only of the darkest nobody sees it"


def test_who_wants_every_picture_encoded_gets_that(pictures: Path, tmp_path: Path) -> None:
    with_fine(pictures)
    batch, _ = run_fine(pictures, tmp_path / "out", EnhanceOptions(unchanged="encode"))
    assert batch.report.unchanged == 0
    assert (tmp_path / "out" / "fine.jpg").read_bytes() != (pictures / "fine.jpg").read_bytes()


def test_a_fine_picture_that_changes_before_it_is_copied_is_encoded(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "content_of", lambda *_: None)
    batch, _ = run_fine(pictures, tmp_path / "out", EnhanceOptions())
    assert (batch.report.counts["done"], batch.report.unchanged) == (5, 0)
    assert read_picture(tmp_path / "out" / "e.png").pixels.max() in (52, 53)


def in_place(folder: Path, **options: Any) -> tuple[Batch, Ear]:
    batching = BatchOptions(in_place=True, **options)
    ear = Ear()
    plan = plan_jobs([folder], batching)
    return Batch(plan, LocalEngine(FakeModels(gain=3.5)), EnhanceOptions(), batching, ear), ear


def test_pictures_are_replaced_once(pictures: Path) -> None:
    before = read_picture(pictures / "a.png").pixels
    (pictures / "a.png").chmod(0o640)
    assert in_place(pictures)[0].run().counts["done"] == 5
    assert np.array_equal(read_picture(pictures / "a.png").pixels, before * 3.5)
    assert (pictures / "a.png").stat().st_mode & 0o777 == 0o640
    second, ear = in_place(pictures)
    assert second.run().counts["skipped"] == 5
    assert all("enhanced in place before" in outcome.reason for outcome in ear.outcomes)
    assert np.array_equal(read_picture(pictures / "a.png").pixels, before * 3.5)
    assert sorted(path.name for path in pictures.iterdir()) == [".lumen", *(f"{name}.png" for name in "abcde")]
    in_place(pictures, existing="overwrite")[0].run()
    assert np.array_equal(read_picture(pictures / "a.png").pixels, np.rint(before * 12.25))
    with pytest.raises(UsageError, match="never enhanced in place"):
        in_place(pictures, existing="error")[0].run()


def test_in_place_an_original_outlives_every_failure(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space left")

    monkeypatch.setattr(destinations, "writing_in", full)
    with pytest.raises(DiskFullError):
        in_place(pictures)[0].run()
    assert {path.name: path.read_bytes() for path in pictures.glob("*.png")} == before
    monkeypatch.undo()
    again, ear = in_place(pictures)
    again.run()  # what was noted but not written is not taken for done
    assert [(each.status, each.reason) for each in ear.outcomes] == [("done", "")] * 5


def test_in_place_a_picture_that_changes_meanwhile_is_left_alone(pictures: Path) -> None:
    mine = Picture(pixels=np.full((20, 30, 3), 99, np.uint8), format="png")

    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() == 30:
            write_picture(mine, pictures / "c.png")

    batch, _ = in_place(pictures)
    batch._engine = LocalEngine(FakeModels(gain=3.5, fault=fault))
    batch.run()
    (failure,) = batch.report.failures
    assert (failure.source.name, failure.reason) == ("c.png", "the file changed while it was worked on; run again")
    assert read_picture(pictures / "c.png").pixels.max() == 99
    assert in_place(pictures)[0].run().counts == {"done": 1, "skipped": 4, "failed": 0, "planned": 0}


def test_in_place_two_runs_at_once_enhance_no_picture_twice(pictures: Path) -> None:
    before = {path.name: read_picture(path).pixels for path in pictures.iterdir()}
    other = in_place(pictures)[0]

    def fault(tiles: NDArray[Any]) -> None:
        if tiles.max() == 10 and not other.report.counts["done"]:
            other.run()

    batch, _ = in_place(pictures)
    batch._engine = LocalEngine(FakeModels(gain=3.5, fault=fault))
    batch.run()
    for name, pixels in before.items():
        assert np.array_equal(read_picture(pictures / name).pixels, pixels * 3.5)
    assert other.report.counts["done"] == 5
    assert batch.report.counts["done"] == 0


def in_folders(pictures: Path) -> None:
    """Move the pictures d and e into sub-folders: then there are three blocks."""
    for name in "de":
        (pictures / name).mkdir()
        (pictures / f"{name}.png").rename(pictures / name / f"{name}.png")


def run_held_back(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, ear: Ear, until: Callable[[Batch], bool], **options: Any
) -> Batch:
    """Return a batch that knows its first block alone for a while."""
    monkeypatch.setattr(ahead, "HEAD_START_S", 0.0)
    batching = BatchOptions(output=pictures.parent / "out", recursive=True, **options)
    plan = plan_jobs([pictures], batching)

    def blocks() -> Iterator[Block]:
        others = iter(plan.blocks)
        yield next(others)
        while not until(batch):
            time.sleep(0.001)
        yield from others

    models = LocalEngine(FakeModels(gain=2.0))
    batch = Batch(dataclasses.replace(plan, blocks=blocks()), models, EnhanceOptions(), batching, ear)
    return batch


def has_begun(batch: Batch) -> bool:
    """Tell whether a picture is done."""
    return batch.report.counts["done"] > 0


def test_the_first_pictures_are_done_before_the_last_ones_are_found(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folders(pictures)
    ear = Ear()
    report = run_held_back(pictures, monkeypatch, ear, has_begun).run()
    assert (ear.begun_with, ear.pending, ear.is_all) == ((3, False), 5, True)
    assert (report.counts["done"], report.total, report.left, report.is_counted) == (5, 5, 0, True)
    (record,) = (pictures.parent / "out" / ".lumen" / "runs").iterdir()
    run, *_, end = map(json.loads, record.read_text().splitlines())
    assert (run["run"]["files"], end["files"]) == (None, 5)


def test_a_collision_that_is_found_later_stops_the_run_before_its_folder_is_touched(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folders(pictures)
    (pictures / "e" / "e.jpg").touch()
    batch = run_held_back(pictures, monkeypatch, Ear(), has_begun, format="png")
    with pytest.raises(UsageError, match=r"e/e\.jpg and .*e/e\.png would both become .*out/e/e\.png"):
        batch.run()
    assert "a.png" in results(pictures)
    assert not (pictures.parent / "out" / "e").exists()
    assert not batch.report.is_counted
    (pictures / "e" / "e.jpg").unlink()
    assert make(pictures, Ear(), recursive=True).run().exit_code == Exit.OK


def test_a_stop_before_all_is_planned_leaves_more_than_was_counted(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folders(pictures)
    ear = Ear()
    batch = run_held_back(pictures, monkeypatch, ear, lambda batch: batch._ahead._is_over.is_set())
    monkeypatch.setattr(ear, "counted", lambda *_, **__: batch.stop())
    report = batch.run()
    assert (batch.stopped, report.is_counted, report.counts["done"]) == (True, False, 0)
    assert report.summary() == "3 or more left"


def test_a_folder_of_results_is_cleaned_once_while_its_results_are_written(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skipping, "PART", 1)
    cleaned: list[Path] = []
    monkeypatch.setattr(destinations, "remove_leftovers", lambda folder, *_, **__: cleaned.append(folder))
    assert make(pictures, Ear()).run().counts["done"] == 5
    assert cleaned == [pictures.parent / "out"]


def test_outcomes_come_folder_by_folder_and_by_name_whatever_becomes_of_them(pictures: Path) -> None:
    make(pictures, Ear()).run()
    in_folders(pictures)
    (pictures.parent / "out" / "b.png").unlink()
    ear = Ear()
    make(pictures, ear, recursive=True).dry_run()
    assert [(each.source.name, each.status) for each in ear.outcomes] == [
        ("a.png", "skipped"),
        ("b.png", "planned"),
        ("c.png", "skipped"),
        ("d.png", "planned"),
        ("e.png", "planned"),
    ]


def test_a_dry_run_can_be_stopped(pictures: Path) -> None:
    in_folders(pictures)

    class Stopper(Ear):
        def finished(self, outcome: Outcome) -> None:
            super().finished(outcome)
            batch.stop()

    ear = Stopper()
    batch = make(pictures, ear, recursive=True)
    assert batch.dry_run().summary() == "3 to do, 1 or more left"
    assert batch.stopped
