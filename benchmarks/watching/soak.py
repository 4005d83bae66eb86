"""Hours at work: memory and open files stay what they are, and every file ends."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.watching.harness import Facts, Place, Repeated, Watch, ledger, require, save

PER_SECOND = 5
SLOPE_MIB_PER_HOUR = 12.0
BACKLOG = (
    400  # of all sizes at once: whatever batches they make, the runtime's memory for them is taken before it counts
)


def soak(place: Place, *, full: bool) -> Facts:
    """Bring five files a second, one in fifty damaged: memory and descriptors level, in = done + failed."""
    seconds = 20 * 60 if full else 6
    pictures = [save(place.outside / f"{index}.png", index, 160 + 8 * index, 120).read_bytes() for index in range(8)]
    facts: list[tuple[float, float, int]] = []
    options = ("--on-success", "delete", "--incomplete-timeout", "5s", "--rescan", "10s")
    with Watch(place, *options) as watch:
        watch.wait_watching()
        count = _bring_backlog(place, pictures) if full else 0
        watch.wait(lambda: _ended(place) >= count, "the backlog", patience_s=300)
        backlog, started = count, time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            data = pictures[count % len(pictures)]
            name = place.watched / f"cam{count % 3}" / f"{count}.png"
            name.parent.mkdir(exist_ok=True)
            name.write_bytes(data[: len(data) // 3] if count % 50 == 49 else data)
            count += 1
            if count % (PER_SECOND * 5) == 0:
                facts.append((now, watch.resident_mib(), watch.descriptors()))
                _forget_results(place.out)
            time.sleep(max(0.0, (count - backlog) / PER_SECOND - (time.monotonic() - started)))
        watch.wait(lambda: _ended(place) >= count, "the last files", patience_s=300)
        facts.append((time.monotonic() - started, watch.resident_mib(), watch.descriptors()))
        require(watch.stop() == 0, "exit 0")
    counts = dict(ledger(place.out, "SELECT status, COUNT(*) FROM versions GROUP BY status"))
    require(sum(counts.values()) == count and set(counts) <= {"done", "failed"}, f"in {count}, but {counts}")
    require(counts.get("failed", 0) == count // 50 - backlog // 50, f"{counts}")
    late = facts[len(facts) // 4 :]
    slope, _ = statistics.linear_regression([at for at, _, _ in late], [mib for _, mib, _ in late]) if full else (0, 0)
    files = {number for _, _, number in late}
    if full:
        require(abs(slope) * 3600 < SLOPE_MIB_PER_HOUR, f"memory grows by {slope * 3600:.1f} MiB an hour")
        require(max(files) - min(files) <= 4, f"open files: {sorted(files)}")
    require(not list(place.watched.rglob("*.png")) or counts.get("failed"), "done inputs are removed")
    return {
        "seconds": round(facts[-1][0]),
        "in": count,
        **counts,
        "MiB": f"{late[0][1]:.1f} to {late[-1][1]:.1f}",
        "MiB an hour": round(slope * 3600, 2),
        "open files": f"{min(files)} to {max(files)}",
    }


def latency(place: Place, *, full: bool) -> Facts:
    """Measure the bundled model on frames of 640x480: from close to the finished result, and many in a row."""
    count, backlog = (60, 150) if full else (3, 6)
    settle_s = 0.2
    waits = Repeated()
    (place.folder / "frames").mkdir()
    frames = [_frame(place.folder / "frames" / f"{index}.jpg", index) for index in range(4)]
    with Watch(place, "--rescan", "1h", model="lumen-s", settle_s=settle_s) as watch:
        watch.wait_watching()
        for index in range(count):
            target = place.watched / f"{index}.jpg"
            shutil.copyfile(frames[index % len(frames)], target)
            closed = time.monotonic()
            watch.wait(lambda index=index: (place.out / f"{index}.jpg").exists(), f"frame {index}")  # type: ignore[misc]
            waits.seconds.append(time.monotonic() - closed)
        watch.wait_for("done", count)
        before = len(watch.events)
        names = [f"many{index}.jpg" for index in range(backlog)]
        for index, name in enumerate(names):
            shutil.copyfile(frames[index % len(frames)], place.watched / name)
        watch.wait(lambda: len(watch.read()) > before, "the first of many")
        started, first = time.monotonic(), len(watch.named("done"))
        watch.wait_done(names, patience_s=600)
        per_second = (len(watch.named("done")) - first) / (time.monotonic() - started)
        together = max(event.get("together", 1) for event in watch.named("done"))
        require(watch.stop() == 0, "exit 0")
    return {
        "frames": count,
        "settling s": settle_s,
        "p50 s": round(waits.quantile(0.5), 3),
        "p95 s": round(waits.quantile(0.95), 3),
        "frames per second": round(per_second, 2),
        "together in a run": together,
    }


def _frame(path: Path, seed: int) -> Path:
    """Write a dark JPEG of 640x480 with shapes and noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 60, (12, 16, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path, quality=90)
    return path


def _bring_backlog(place: Place, pictures: list[bytes]) -> int:
    """Write many sound files at once, and return their number."""
    for count in range(BACKLOG):
        (place.watched / f"backlog{count}.png").write_bytes(pictures[count % len(pictures)])
    return BACKLOG


def _ended(place: Place) -> int:
    query = "SELECT COUNT(*) FROM versions WHERE finished_at IS NOT NULL"
    return int(ledger(place.out, query)[0][0])


def _forget_results(out: Path) -> None:
    """Remove results that are some seconds old, as an operator would."""
    for path in out.rglob("*.png"):
        if time.time() - path.stat().st_ctime > 5:
            path.unlink(missing_ok=True)
