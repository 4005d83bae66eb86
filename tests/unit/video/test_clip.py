"""A clip through FFmpeg's process and a model, and what happens when one of the two fails."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import EnhanceOptions
from lumen.errors import DecodeError, NotFiniteError, OutOfMemoryError, UnsupportedError
from lumen.video import process
from lumen.video.clip import ClipResult, enhance_clip
from lumen.video.facts import ClipFacts, Storing
from lumen.video.source import frames_of, look_at
from tests.support.clips import FRAMES, contents, frame_times, write_clip
from tests.support.fakes import FakeModels

pytest.importorskip("av")

OPTIONS = EnhanceOptions()


def facts_of(path: Path) -> ClipFacts:
    with path.open("rb") as source:
        return look_at(source, OPTIONS)


def enhance(
    source: Path, target: Path, facts: ClipFacts, *models: FakeModels, options: EnhanceOptions = OPTIONS, **more: Any
) -> ClipResult:
    workers = models or (FakeModels(gain=2.0),)
    progress = more.pop("progress", lambda _: None)
    with source.open("rb") as stream, target.open("w+b") as file:
        return enhance_clip(stream, file, facts, workers, options, Storing(suffix=target.suffix), progress)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mp4")


@pytest.fixture(scope="module")
def facts(clip: Path) -> ClipFacts:
    return facts_of(clip)


def test_frames_are_enhanced_in_order_however_long_each_takes(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    draw = random.Random(0)

    def dawdle(_: object) -> None:
        time.sleep(draw.random() / 50)

    done: list[int] = []
    workers = [FakeModels(gain=2.0, fault=dawdle) for _ in range(3)]
    result = enhance(clip, tmp_path / "b.mp4", facts, *workers, progress=done.append)
    before, after = contents(clip), contents(tmp_path / "b.mp4")
    assert result == ClipResult(frames=FRAMES, warnings=(), damage="", is_unchanged=False)
    assert after["times"] == before["times"]
    assert after["sound"] == before["sound"]
    ratios = [bright / dark for bright, dark in zip(after["levels"], before["levels"], strict=True)]
    assert ratios == pytest.approx([2.0] * FRAMES, abs=0.1)
    assert sum(len(worker.opened) for worker in workers) > 1
    assert done == sorted(done)
    assert done[-1] == FRAMES


def test_a_clip_has_one_path_of_tones(tmp_path: Path) -> None:
    """A model that sees one frame alone takes each to the same level; with steady light the lamp still flickers."""
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", times=frame_times(30, steady=True), swing=0.2, sound=False)
    enhance(source, tmp_path / "b.mkv", facts_of(source), FakeModels(contract=2, tone_size=2))
    before, after = (np.array(contents(path)["levels"]) for path in (source, tmp_path / "b.mkv"))
    factors = after / before
    assert factors.mean() > 3
    assert np.ptp(np.log2(factors)) < 0.05
    assert np.ptp(np.log2(after)) > 0.15


def test_deep_frames_go_through_the_16_bit_model(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt="yuv444p10le", sound=False)
    models = FakeModels(gain=2.0)
    enhance(source, tmp_path / "b.mkv", facts_of(source), models)
    assert set(models.opened) == {"uint16"}
    assert contents(tmp_path / "b.mkv")["pix_fmt"] == "yuv420p10le"


def test_equal_frames_share_runs(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    models = FakeModels(gain=2.0)
    models.for_sample("uint8").fault = lambda _: time.sleep(0.05)  # so that several wait
    enhance(clip, tmp_path / "b.mp4", facts, models)
    counts = [shape[0] for shape in models.opened["uint8"].shapes]
    assert sum(counts) == FRAMES
    assert max(counts) > 1


def test_frames_that_do_not_fit_together_are_enhanced_one_by_one(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    def refuse(tiles: np.ndarray[Any, Any]) -> None:
        time.sleep(0.02)
        if len(tiles) > 1:
            raise OutOfMemoryError("too many")

    assert enhance(clip, tmp_path / "b.mp4", facts, FakeModels(gain=2.0, fault=refuse)).frames == FRAMES
    assert len(contents(tmp_path / "b.mp4")["times"]) == FRAMES


def test_a_clip_that_is_fine_is_known_as_that(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    assert enhance(clip, tmp_path / "b.mp4", facts, FakeModels(gain=1.0)).is_unchanged


def test_a_model_that_fails_ends_the_clip(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    def fail(_: object) -> None:
        raise NotFiniteError("infinity")

    with pytest.raises(NotFiniteError):
        enhance(clip, tmp_path / "b.mp4", facts, FakeModels(fault=fail))


def test_whoever_watches_can_end_it(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(_: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        enhance(clip, tmp_path / "b.mp4", facts, progress=stop)


def test_a_full_disk_is_told(clip: Path, facts: ClipFacts) -> None:
    if not os.access("/dev/full", os.W_OK):
        pytest.skip("there is no /dev/full")
    with clip.open("rb") as source, open("/dev/full", "r+b", buffering=0) as full, pytest.raises(OSError) as caught:  # noqa: PT011, PTH123
        enhance_clip(source, full, facts, [FakeModels()], OPTIONS, Storing(suffix=".mkv"), lambda _: None)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_of_ffmpeg_is_a_fault_of_the_clip(
    end: signal.Signals, clip: Path, facts: ClipFacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[process.FFmpegProcess] = []

    def enter(self: process.FFmpegProcess) -> process.FFmpegProcess:
        started.append(self)
        return self

    monkeypatch.setattr(process.FFmpegProcess, "__enter__", enter)

    def crash(_: object) -> None:
        os.kill(started[0]._process.pid, end)
        time.sleep(0.05)

    with pytest.raises(DecodeError, match=rf"FFmpeg crashed \(by signal {end.value}\)"):
        enhance(clip, tmp_path / "b.mp4", facts, FakeModels(fault=crash))


def test_a_process_that_makes_no_progress_is_ended(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HANG_S", 0.5)
    with clip.open("rb") as source, process.FFmpegProcess(source) as ffmpeg:
        os.kill(ffmpeg._process.pid, signal.SIGSTOP)
        ffmpeg.ask("look", max_pixels=1)
        with pytest.raises(DecodeError, match=r"no progress for 0\.5 s"):
            ffmpeg.receive()
    assert ffmpeg._process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("load", "hangs"), [((1.0, True), False), ((1.0, False), True), ((0.0, False), True)])
def test_a_process_that_waits_for_a_core_does_not_hang(
    load: tuple[float, bool], hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_LOOK_S", 0.01)
    monkeypatch.setattr(process, "HANG_S", 0.1)
    monkeypatch.setattr(process, "_load", lambda _: load)
    with process.FFmpegProcess() as ffmpeg:
        ffmpeg._waiting = 1  # for a process that was asked nothing, and so says nothing
        assert ffmpeg._ended.wait(0.5) is False
        assert (ffmpeg._process.poll() is not None) is hangs


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_the_load_of_a_process() -> None:
    line = "while True: pass"
    with subprocess.Popen([sys.executable, "-c", line]) as busy, subprocess.Popen(["sleep", "100"]) as idle:
        try:
            deadline = time.monotonic() + 60
            while process._load(busy.pid)[0] < 0.1:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert process._load(busy.pid)[1]
            assert not process._load(idle.pid)[1]
        finally:
            busy.kill()
            idle.kill()
    assert process._load(busy.pid) == (0.0, False)


def test_a_process_without_memory_fails_the_clip(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_BASE_BYTES", 64 << 20)
    with pytest.raises((OutOfMemoryError, DecodeError)):
        facts_of(clip)


def test_damage_is_counted_and_said(tmp_path: Path) -> None:
    data = bytearray(
        write_clip(tmp_path / "a.ts", times=frame_times(60), sound=False, options={"g": "10"}).read_bytes()
    )
    middle = len(data) // 188 // 2 * 188
    data[middle + 4 : middle + 188] = bytes(184)
    data[middle + 1] |= 0x80  # transport error indicator
    (tmp_path / "b.ts").write_bytes(data)
    result = enhance(tmp_path / "b.ts", tmp_path / "c.ts", facts_of(tmp_path / "b.ts"))
    assert "damaged" in result.damage
    assert result.warnings[0] == result.damage
    with pytest.raises(DecodeError, match="damaged"):
        result.refuse_damaged()


def test_a_clip_that_is_cut_off_is_done_to_where_it_goes(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mkv", times=frame_times(60), sound=False, options={"g": "4"}).read_bytes()
    (tmp_path / "b.mkv").write_bytes(whole[: len(whole) // 2])
    facts = facts_of(tmp_path / "b.mkv")
    result = enhance(tmp_path / "b.mkv", tmp_path / "c.mkv", facts)
    assert 10 < result.frames < 50
    assert len(contents(tmp_path / "c.mkv")["times"]) == result.frames
    assert "cut off at its end" in result.damage


def test_errors_of_the_process_keep_their_kind(clip: Path, facts: ClipFacts, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="at most"), clip.open("rb") as source:
        look_at(source, EnhanceOptions(max_pixels=100))
    unfit = replace(facts, width=facts.width + 2)  # not that of the frames that come
    with pytest.raises(UnsupportedError, match="changes its size"):
        enhance(clip, tmp_path / "b.mkv", unfit)


def test_the_frames_alone(clip: Path, facts: ClipFacts) -> None:
    with clip.open("rb") as source, process.FFmpegProcess(source) as ffmpeg:
        times, frames = zip(*frames_of(ffmpeg, facts, OPTIONS), strict=True)
    assert list(times) == pytest.approx(contents(clip)["times"])
    assert [frame.pixels.shape for frame in frames] == [(48, 64, 3)] * FRAMES
    assert [frame.pixels.mean() for frame in frames] == pytest.approx(contents(clip)["levels"], abs=1.5)
