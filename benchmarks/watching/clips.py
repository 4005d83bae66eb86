"""Clips in a watched folder whose originals are deleted: uploaded slowly, killed at any moment, on a full disk."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.watching.ends import seconds_to_start
from benchmarks.watching.harness import (
    CannotError,
    Facts,
    Place,
    Watch,
    leftovers,
    on_small_disk,
    require,
    results,
    run_once,
    statuses,
)
from benchmarks.watching.surroundings import fill
from tests.support.clips import contents, frame_times, write_clip

OPTIONS = ("--clips", "--on-success", "delete", "--video-codec", "h264")
SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".ts")


def clip_slices(place: Place, *, full: bool) -> Facts:
    """Upload clips in slices, with a stall longer than the settling: each once and whole, none deleted early."""
    _require_package()
    count, pause_s, stall_s = (20, 0.5, 8.0) if full else (4, 0.05, 1.5)
    frames = 60 if full else 20
    clips = {f"{suffix[1:]}{suffix}": _write(place.outside / f"{suffix[1:]}{suffix}", frames) for suffix in SUFFIXES}
    data = {name: path.read_bytes() for name, path in clips.items()}
    with Watch(place, *OPTIONS, "--min-free", "0", settle_s=0.3) as watch:
        watch.wait_watching()
        for index in range(count):
            for name, whole in data.items():
                size = -(-len(whole) // count)
                path = place.watched / name
                require(index == 0 or path.exists(), f"{name} was deleted before it was whole")
                with path.open("ab") as file:
                    file.write(whole[index * size : (index + 1) * size])
            time.sleep(stall_s if index == count // 2 else pause_s)
        watch.wait_done(data)
        watch.wait(lambda: not results(place.watched), "the originals to go")
        require(watch.stop() == 0, "exit 0")
    require(not watch.named("failed"), f"failed: {watch.named('failed')}")
    done = [event["path"] for event in watch.named("done")]
    require(sorted(done) == sorted(data), f"done: {done}")
    _require_whole(place, dict.fromkeys(data, frames))
    return {"clips": len(data), "slices": count, "retries while they stood still": len(watch.named("retry"))}


def clip_kills(place: Place, *, full: bool) -> Facts:
    """`kill -9` at random moments while clips arrive: each is an original or a whole result at any moment."""
    _require_package()
    count, frames = (30, 300) if full else (2, 60)
    names = [f"{index}{suffix}" for index, suffix in enumerate((".mp4", ".mkv", ".ts", ".mp4", ".mkv", ".mov"))]
    names = names if full else names[:1]
    wanted = dict.fromkeys(names, frames)
    started, moments, begun = seconds_to_start(place), random.Random(0), 0
    waiting = [_write(place.outside / name, frames, seed=index) for index, name in enumerate(names)]
    arrived: list[str] = []
    for kill in range(count):
        if kill * len(names) // count >= len(arrived) and waiting:
            clip = waiting.pop(0)
            arrived.append(clip.rename(place.watched / clip.name).name)
        with Watch(place, *OPTIONS, model=place.slow_model, settle_s=0.1) as watch:
            if kill % 2 and arrived[-1] in results(place.watched):
                watch.wait(lambda: leftovers(place.out), "a clip in work")
                time.sleep(moments.uniform(0.0, 1.0))
            else:
                time.sleep(moments.uniform(0.0, started + 1.0))
            require(watch.process.poll() is None, "it ended by itself")
            watch.process.kill()
            watch.process.wait()
        begun += bool(leftovers(place.out))
        for name in arrived:
            original, result = (place.watched / name).exists(), (place.out / name).exists()
            require(original or result, f"{name} is gone")
            if result:
                require(len(contents(place.out / name)["times"]) == frames, f"{name} is half a clip")
    last = run_once(place, *OPTIONS, settle_s=0.1)
    require(last.process.returncode == 0, f"exit {last.process.returncode}")
    require(statuses(place.out) == {name: ["done"] for name in names}, f"the ledger says {statuses(place.out)}")
    _require_whole(place, wanted)
    require(not results(place.watched), f"not deleted: {sorted(results(place.watched))}")
    return {"kills": count, "clips": len(names), "killed while a clip was in work": begun, "complete": len(names)}


def clip_full_disk(place: Place, *, full: bool) -> Facts:
    """Fill the output's disk while clips are written: it pauses, nothing fails or is deleted, and it goes on."""
    _require_package()
    return on_small_disk(fill_disk, place, 5 if full else 2)


def fill_disk(place: Place, count: int) -> Facts:
    """Do so; the output has a small disk of its own."""
    frames = 40
    wanted = {f"{index}.mp4": frames for index in range(count)}
    with Watch(place, *OPTIONS, "--min-free", "0") as watch:
        watch.wait_watching()
        filler = place.out / "filler.bin"
        fill(filler, leave_kb=300)
        for index, name in enumerate(wanted):
            _write(place.outside / name, frames, seed=index).rename(place.watched / name)
        watch.wait_for("paused", patience_s=120)
        time.sleep(2.0)
        at_pause = watch.done()
        require(len(at_pause) < count and not watch.named("failed"), "nothing is failed")
        held = set(results(place.watched))
        require(held == set(wanted) - at_pause, f"there are {sorted(held)}, done are {sorted(at_pause)}")
        require(set(results(place.out)) == at_pause | {filler.name}, "a half clip has a final name")
        filler.unlink()
        watch.wait_done(wanted, patience_s=120)
        watch.wait_for("resumed")
        watch.wait(lambda: not results(place.watched), "the originals to go")
        require(watch.stop() == 0, "exit 0")
    require(not watch.named("failed") and not watch.named("retry"), "nothing was counted against a file")
    _require_whole(place, wanted)
    return {
        "done when it paused": f"{len(at_pause)} of {count}",
        "pauses": len(watch.named("paused")),
        "done in the end": f"{len(watch.done())} of {count}",
    }


def _require_package() -> None:
    if importlib.util.find_spec("av") is None:
        raise CannotError("clips need the extra [video]")


def _write(path: Path, frames: int, seed: int = 0) -> Path:
    """Write a clip that is like no other by its level."""
    options = {"bf": "0"} if path.suffix == ".avi" else {}
    times = frame_times(frames, steady=True)
    return write_clip(path, times=times, size=(160, 120), level=20 + seed, options={**options, "g": "10"})


def _require_whole(place: Place, wanted: Mapping[str, int]) -> None:
    """Require that the results are those clips with all their frames, and nothing else is there."""
    require(set(results(place.out)) == set(wanted), f"there are {sorted(results(place.out))}")
    for name, frames in wanted.items():
        found = len(contents(place.out / name)["times"])
        require(found == frames, f"{name} has {found} of {frames} frames")
    require(not leftovers(place.out, place.watched), f"left behind: {leftovers(place.out, place.watched)}")
