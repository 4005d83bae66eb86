from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from lumen.batch.report import Outcome, Status
from lumen.cli.views.throughput import Throughput
from tests.support.fakes import Clock

TICK_S = 0.2


def outcome(name: str, megapixels: float, status: Status = "done") -> Outcome:
    return Outcome(source=Path(name), target=Path(name), status=status, megapixels=megapixels)


def left_s(run: Throughput) -> float | None:
    return run._last.left_s


def run_of(sizes: list[float], *, mp_per_s: float = 1.0, writing_s: float = 0.0) -> list[tuple[float, float, float]]:
    """Return the time, the share and the time left in seconds, at each tick of a run that does pictures one by one."""
    clock = Clock()
    run, seen = Throughput(clock), list[tuple[float, float, float]]()
    run.start(len(sizes))
    for index, size in enumerate(sizes):
        steps = round(size / mp_per_s / TICK_S)
        for step in range(1, steps + 1):
            clock.now += TICK_S
            run.progress(str(index), int(step / steps * 4) / 4, size)  # in four windows
            seen.append((run.seconds, run.share, left_s(run) or -1.0))
        clock.now += writing_s
        run.finish(outcome(str(index), size))
        seen.append((run.seconds, run.share, left_s(run) or -1.0))
    return seen


def test_parts_of_several_files_count_by_their_pixels() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(10)
    clock.now += 20
    run.progress("a", 0.5, 2.0)
    run.progress("b", 0.5, 2.0)
    assert (run.share, run.left, run.speed) == (0.1, "3 min left", "0.10 MP/s")
    run.finish(outcome("a", 2.0))
    assert run.share == pytest.approx(0.15)
    assert run.line() == "1 of 10 files (15% of the pixels), 0.15 MP/s, 2 min left"


def test_a_large_picture_is_more_of_the_work_than_a_small_one() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(2)
    clock.now += 1
    run.progress("large", 0.0, 99.0)
    run.progress("small", 0.0, 1.0)
    run.finish(outcome("small", 1.0))
    assert run.share == pytest.approx(0.01)


def test_the_share_never_falls_and_ends_at_one() -> None:
    seen = run_of([1, 1, 30, 1, 12, 1])
    shares = [share for _, share, _ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize("sizes", [[4.0] * 40, [1.0, 8.0] * 20, [12.0, 2.0, 0.4, 24.0, 2.0, 12.0, 6.0, 1.0] * 5])
@pytest.mark.parametrize("writing_s", [0.0, 0.5])
def test_the_time_left_does_not_jump_and_becomes_right(sizes: list[float], writing_s: float) -> None:
    seen = [each for each in run_of(sizes, writing_s=writing_s) if each[2] >= 0]
    for (before, _, was), (now, _, left) in pairwise(each for each in seen if each[0] > 10):  # before, little is known
        counted = was - (now - before)
        assert abs(left - counted) <= 0.06 * max(was, 20), f"{was:.0f} s became {left:.0f} s at {now:.1f} s"
    end = seen[-1][0]
    for now, _, left in seen[len(seen) // 3 :]:
        assert left == pytest.approx(end - now, rel=0.35, abs=12)


def test_the_speed_counts_what_is_done_of_pictures_in_work() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(2)
    run.progress("small", 0.0, 1.0)
    clock.now += 1
    run.finish(outcome("small", 1.0))
    for step in range(1, 10):
        clock.now += 1
        run.progress("large", step / 10, 10.0)
        assert run.speed == "1.00 MP/s"


def test_near_the_end_the_time_left_is_soon_what_the_speed_says() -> None:
    """The speed of a run that starts with small, fast pictures promises too much for the large one that follows."""
    clock = Clock()
    run = Throughput(clock)
    run.start(5)
    for name in ("a", "b", "c", "d"):
        clock.now += 0.2
        run.finish(outcome(name, 0.5))
    seen = []
    for step in range(10):
        run.progress("large", step / 10, 10.0)
        seen.append(left_s(run))
        clock.now += 1
    assert seen[6:] == pytest.approx([4, 3, 2, 1], rel=0.5)


def test_a_slow_start_is_soon_forgotten() -> None:
    """The first frame of a clip waits until the model is open, and 299 more of that kind would take ten minutes."""
    clock = Clock()
    run = Throughput(clock)
    run.start(1)
    clock.now += 2
    for frame in range(1, 200):
        run.progress("clip", frame / 300, 22.0, 300)
        clock.now += 0.1
    assert left_s(run) == pytest.approx(10, rel=1.2)


def test_a_disk_that_gets_slow_shows_after_a_while() -> None:
    seen = run_of([4.0] * 20) + [(now + 80, share, left) for now, share, left in run_of([4.0] * 20, mp_per_s=0.25)]
    assert seen[-2][2] < 60


def test_between_two_looks_the_time_left_counts_down() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(2)
    clock.now += 10
    run.progress("a", 0.5, 2.0)
    assert run.left == "30 s left"
    clock.now += 7
    assert run.left == "23 s left"
    clock.now += 100
    assert run.left == "0 s left"


def test_runs_of_which_no_size_is_known_count_files() -> None:
    run = Throughput(Clock())
    assert run.share == 1, "nothing to do"
    run.start(2)
    run.finish(outcome("a", 0.0, "failed"))
    assert (run.share, run.left, run.failures) == (0.5, "", "1 failed")


def test_until_all_files_are_known_there_is_a_count_and_neither_a_share_nor_a_time_left() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(1200)
    run.count(1200, is_all=False)
    clock.now += 1
    run.finish(outcome("a", 2.0))
    assert run.line() == "1 of 1,200+ files, 2.00 MP/s"
    assert (run.share, run.percent, run.left) == (0.0, "", "")
    run.count(4, is_all=True)
    clock.now += 1
    run.finish(outcome("b", 2.0))
    assert (run.share, run.of) == (0.5, "4")
    assert run.line().startswith("2 of 4 files (50% of the pixels), 2.00 MP/s")


def test_a_file_that_cannot_be_tried_is_no_part_of_the_work() -> None:
    run = Throughput(Clock())
    run.start(2)
    run.finish(Outcome(source=Path("a"), target=None, status="failed"))
    assert (run.files, run.failures) == (0, "")


CLIP_MP, FRAMES = 2.4, 24  # of 0.1 megapixels


def run_of_clips(clips: int, pictures: int, start_s: float = 3.0, mp_per_s: float = 1.0) -> list[tuple[float, float]]:
    """Return times and times left in seconds, of short clips that take long to start, and pictures like frames."""
    clock = Clock()
    run, seen = Throughput(clock), list[tuple[float, float]]()
    run.start(clips + pictures)
    run.count(clips + pictures, is_all=True, clips=clips)
    for number in range(clips):
        name = f"{number}.mp4"
        for _ in range(round(start_s / TICK_S)):
            run.progress(name, 0.0, CLIP_MP, FRAMES)
            clock.now += TICK_S
        steps = round(CLIP_MP / mp_per_s / TICK_S)
        for step in range(1, steps + 1):
            run.progress(name, round(FRAMES * step / steps) / FRAMES, CLIP_MP, FRAMES)
            clock.now += TICK_S
            seen.append((run.seconds, left_s(run) or -1.0))
        run.finish(Outcome(source=Path(name), target=Path(name), status="done", megapixels=CLIP_MP, frames=FRAMES))
    for number in range(pictures):
        clock.now += 0.1 / mp_per_s
        run.finish(outcome(f"{number}.jpg", 0.1))
        seen.append((run.seconds, left_s(run) or -1.0))
    return seen


@pytest.mark.parametrize(("clips", "pictures"), [(10, 0), (4, 100), (1, 300)])
def test_the_time_left_of_short_clips_is_not_far_off(clips: int, pictures: int) -> None:
    seen = [each for each in run_of_clips(clips, pictures) if each[1] >= 0]
    end = seen[-1][0]
    assert len(seen) > clips
    for now, left in seen:
        assert left == pytest.approx(end - now, rel=0.6, abs=12)


def test_pictures_beside_clips_are_not_taken_for_clips() -> None:
    clock = Clock()
    run = Throughput(clock)
    run.start(12)
    run.count(12, is_all=True, clips=2)
    clock.now += 10
    run.progress("a.mp4", 1.0, 90.0, 90)
    assert run.share == pytest.approx(90 / (2 * 90 + 10 * 1))
    run.finish(Outcome(source=Path("a.mp4"), target=Path("a.mp4"), status="done", megapixels=90, frames=90))
    run.finish(outcome("a.jpg", 0.5))
    assert run.share == pytest.approx(90.5 / (2 * 90 + 10 * 0.5))
