from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lumen import batch as module
from lumen.batch import Batch
from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import DiskFullError, Exit, LockedError, ModelError, UsageError
from lumen.imaging.codec import Picture, read_picture, write_picture
from lumen.locking import lock_folder
from lumen.report import Outcome
from lumen.sources import Job, Plan, plan_jobs
from tests.fakes import FakeModels


class Ear:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.pending = 0
        self.outcomes: list[Outcome] = []
        self.fractions: list[float] = []

    def started(self, pending: int) -> None:
        self.pending = pending

    def progressed(self, _job: Job, fraction: float) -> None:
        self.fractions.append(fraction)

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

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
    return Batch(plan, models or FakeModels(gain=2.0), EnhanceOptions(), batching, ear)


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
    def write(picture: Picture, _source: Path, target: Path, *, quality: int) -> tuple[str, ...]:
        if target.name == "b.png":
            raise DiskFullError("no space left")
        return write_picture(picture, target, quality=quality)

    monkeypatch.setattr(module, "write_result", write)
    ear = Ear()
    run = make(pictures, ear)
    with pytest.raises(DiskFullError):
        run.run()
    assert ear.statuses()["b.png"] == "failed"
    assert run.report.left >= 2
    assert "e.png" not in results(pictures)


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
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", interrupted)
    ear = Ear()
    run = make(pictures, ear)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert results(pictures) == [".lumen", "a.png"]
    assert ear.statuses() == {"a.png": "done"}
    assert run.report.left == 4


def test_a_path_that_gets_too_long_fails_alone(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make(pictures, Ear())
    jobs = list(plan_jobs([pictures], BatchOptions(output=pictures.parent / "out")).jobs)
    jobs[1] = Job(source=jobs[1].source, target=jobs[1].target.with_name("x" * 300 + ".png"))
    jobs[2] = Job(source=jobs[2].source, target=jobs[2].target.with_name("x" * 300) / "c.png")
    monkeypatch.setattr(batch, "_plan", Plan(jobs=tuple(jobs)))
    report = batch.run()
    assert (report.counts["done"], report.exit_code) == (3, Exit.SOME_FAILED)
    assert ["File name too long" in failure.reason for failure in report.failures] == [True, True]
    assert results(pictures) == [".lumen", "a.png", "d.png", "e.png"]


@pytest.mark.parametrize("odd", ["alpha", "deep"])
def test_a_name_that_lies_about_its_format_costs_nothing(pictures: Path, odd: str) -> None:
    pixels = np.full((20, 30, 3), 50, np.uint16 if odd == "deep" else np.uint8)
    alpha = None if odd == "deep" else np.full((20, 30), 7, np.uint8)
    write_picture(Picture(pixels=pixels, alpha=alpha, format="png"), pictures / "z.jpg", kind="png")
    ear = Ear()
    assert make(pictures, ear).run().exit_code == Exit.OK
    found = read_picture(pictures.parent / "out" / "z.jpg")
    assert found.format == "png"
    assert np.array_equal(found.pixels, pixels * 2)
    assert odd == "deep" or (found.alpha is not None and found.alpha.max() == 7)
    (warning,) = ear.outcomes[-1].warnings
    assert warning.startswith("the result is a png file, as the input is whatever its name says: ")


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

    def read(path: Path, *, max_pixels: int) -> Picture:
        with lock:
            decoded.append(path.name)
        return read_picture(path, max_pixels=max_pixels)

    def fault(tiles: NDArray[Any]) -> None:
        threading.Event().wait(0.05)
        with lock:
            ahead.append(len(decoded) - len(ahead))

    monkeypatch.setattr(module, "read_picture", read)
    make(pictures, Ear(), FakeModels(fault=fault)).run()
    assert ahead == [2, 2, 2, 2, 1]
