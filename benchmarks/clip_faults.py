"""Clips under faults: run `python -m benchmarks.clip_faults`, or with the names of some checks; takes many minutes.

- `memory`: a clip of 3,000 frames; memory after frame 2,900 is at most 1.05 of that after frame 100.
- `kills`: `lumen enhance` is killed at 30 random moments; no half result has a final name, FFmpeg's processes end too,
  and the clip is complete in the end.
- `mutants`: 500 damaged copies of five clips; lumen ends each with a result or a reason, none hangs for longer than the
  limit, and no process outlives its run.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from lumen.config import EnhanceOptions
from lumen.errors import LumenError
from lumen.runtime.memory import return_freed_memory
from lumen.video.clip import enhance_clip
from lumen.video.facts import Storing
from lumen.video.process import HANG_S
from lumen.video.source import look_at
from tests.support.clips import contents, frame_times, write_clip
from tests.support.fakes import FakeModels, write_fake_onnx

FRAMES, EARLY, LATE = 3000, 100, 2900
KILLS = 30
MUTANTS = 500
SPARE_S = 5.0  # for starting and ending a process on a busy machine
CHILD = "lumen.video.child"


def memory(folder: Path) -> str:
    """Enhance a long clip, and compare the memory of this process and of FFmpeg's early and late."""
    clip = write_clip(folder / "long.mp4", times=frame_times(FRAMES), size=(160, 120), options={"preset": "ultrafast"})
    seen: dict[int, tuple[int, int]] = {}

    def look(done: int) -> None:
        mark = EARLY if done < LATE else LATE
        if done >= mark and mark not in seen:
            seen[mark] = resident(os.getpid()), sum(map(resident, children(os.getpid())))

    return_freed_memory()  # as the commands do
    models = FakeModels(contract=2, tone_size=2)
    options = EnhanceOptions(tile_px=192)  # of one frame: how many share a run, and its memory, depends on the load
    with clip.open("rb") as source, (folder / "out.mp4").open("w+b") as target:
        facts = look_at(source, options)
        result = enhance_clip(source, target, facts, [models], options, Storing(suffix=".mp4"), look)
    assert result.frames == FRAMES
    (early, ffmpeg_early), (late, ffmpeg_late) = seen[EARLY], seen[LATE]
    assert late <= 1.05 * early, (early, late)
    return (
        f"lumen {early / 2**20:.1f} MiB after frame {EARLY}, {late / 2**20:.1f} after {LATE} ({late / early:.3f}); "
        f"FFmpeg's processes {ffmpeg_early / 2**20:.1f} and {ffmpeg_late / 2**20:.1f} MiB"
    )


def kills(folder: Path) -> str:
    """Kill runs at random moments until one ends."""
    clip = write_clip(folder / "clip.mkv", times=frame_times(200), size=(320, 240))
    model, out = write_fake_onnx(folder / "fake.onnx", gain=2.0, radius=0), folder / "out"
    line = [sys.executable, "-m", "lumen", "enhance", str(clip), "-o", str(out), "--model", str(model)]
    started = time.monotonic()
    subprocess.run([*line, "--existing", "overwrite"], check=True, capture_output=True)
    takes_s = time.monotonic() - started
    (out / "clip.mkv").unlink()
    draw, killed, ended = random.Random(0), 0, 0
    while killed < KILLS:
        run = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            run.wait(draw.uniform(0.1, takes_s))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
            killed += 1
        else:
            ended += 1
        run.wait()
        result = out / "clip.mkv"
        if result.exists():
            assert len(contents(result)["times"]) == 200, "a half result has a final name"
            result.unlink()
    time.sleep(2)
    orphans = [pid for pid in _processes() if CHILD.encode() in _read(pid, "cmdline") and str(clip) in _files(pid)]
    assert not orphans, orphans
    subprocess.run(line, check=True, capture_output=True)
    names = sorted(path.name for path in out.iterdir())
    assert names == [".lumen", "clip.mkv"], names
    assert len(contents(out / "clip.mkv")["times"]) == 200
    return f"{killed} kills, {ended} runs that ended before; complete in the end, nothing left behind"


def mutants(folder: Path) -> str:
    """Enhance damaged copies of clips."""
    kinds = [("a.mp4", {}), ("b.mkv", {}), ("c.ts", {}), ("d.avi", {"options": {"bf": "0"}}), ("e.mov", {})]
    clips = [write_clip(folder / name, times=frame_times(20, steady=True), **more) for name, more in kinds]  # type: ignore[arg-type]
    draw, ends, longest, most = random.Random(0), Counter[str](), 0.0, 0.0
    for number in range(MUTANTS):
        clip = clips[number % len(clips)]
        mutant = folder / f"mutant{clip.suffix}"
        mutant.write_bytes(damaged(clip.read_bytes(), draw))
        started = time.monotonic()
        try:
            with mutant.open("rb") as source, (folder / "out").open("w+b") as target:
                facts = look_at(source, EnhanceOptions(max_pixels=50_000_000))
                storing = Storing(suffix=clip.suffix)
                result = enhance_clip(source, target, facts, [FakeModels()], EnhanceOptions(), storing, lambda _: None)
            ends["damage told" if result.damage else "done"] += 1
        except (LumenError, OSError) as error:
            ends[type(error).__name__] += 1
            if "no progress" in str(error) or "crashed" in str(error):
                ends[str(error)[:50]] += 1
        longest = max(longest, time.monotonic() - started)
        most = max(most, resident(os.getpid()))
    assert longest < 2 * (HANG_S + SPARE_S), longest
    assert not children(os.getpid())
    told = ", ".join(f"{count} {what}" for what, count in ends.most_common())
    return f"{MUTANTS} mutants: {told}; the longest took {longest:.1f} s, lumen had at most {most / 2**20:.0f} MiB"


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Return a copy with bytes changed, cut out, repeated or cut off."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 3, 20))):
        at, length = draw.randrange(len(found)), draw.choice((1, 4, 100))
        match draw.randrange(4):
            case 0:
                found[at : at + length] = draw.randbytes(length)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case _:
                if draw.random() < 0.1:
                    del found[at:]
        if len(found) < 16:
            break
    return bytes(found)


def resident(pid: int) -> int:
    """Return the memory of a process, in bytes."""
    return int((_read(pid, "statm").split() or [b"0", b"0"])[1]) * os.sysconf("SC_PAGE_SIZE")


def children(parent: int) -> list[int]:
    """Return the processes that another one has started."""
    return [pid for pid in _processes() if _read(pid, "stat").rpartition(b")")[2].split()[1:2] == [b"%d" % parent]]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:  # it has ended
        return b""


def _files(pid: int) -> set[str]:
    try:
        return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


CHECKS: dict[str, Callable[[Path], str]] = {"memory": memory, "kills": kills, "mutants": mutants}


def main() -> None:
    """Run the checks that are named, or all."""
    for name in sys.argv[1:] or CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {CHECKS[name](Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
