"""How files arrive: in slices, under other names first, in new folders, by thousands, again and again."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from benchmarks.watching.harness import (
    Facts,
    Place,
    Watch,
    is_result,
    pixels,
    require,
    results,
    run_once,
    save,
    statuses,
    stopped,
)

SECONDS_AFTER_SETTLING = 2.0


def slices(place: Place, *, full: bool) -> Facts:
    """Upload one picture in slices, with a stall that is longer than the settling: one job, after the last slice."""
    count, pause_s, stall_s, settle_s = (20, 0.5, 10.0, 2.0) if full else (8, 0.1, 1.5, 0.3)
    data = save(place.outside / "x.png", 1, 320, 240).read_bytes()
    size = -(-len(data) // count)
    with Watch(place, settle_s=settle_s) as watch:
        watch.wait_watching()
        with (place.watched / "x.png").open("wb") as file:
            for index in range(count):
                file.write(data[index * size : (index + 1) * size])
                file.flush()
                time.sleep(stall_s if index == count // 2 else pause_s)
            before = len(watch.named("done"))
        closed = time.monotonic()
        watch.wait_done(["x.png"])
        took = time.monotonic() - closed
        require(watch.stop() == 0, "exit 0")
    require(before == 0, "a part of the file was taken for the whole")
    require(len(watch.named("done")) == 1 and not watch.named("failed"), "there was more than one job")
    require(statuses(place.out) == {"x.png": ["done"]}, f"the ledger says {statuses(place.out)}")
    require(is_result(place.out / "x.png", 1, 320, 240), "the result is not that of the whole file")
    return {"slices": count, "retries while it stood still": len(watch.named("retry")), "s after close": round(took, 2)}


def names(place: Place, *, full: bool) -> Facts:
    """Bring files in by renames, links and moved trees: each final name once and soon, no other name ever."""
    settle_s = 2.0 if full else 0.3
    watched, outside = place.watched, place.outside
    took: dict[str, float] = {}
    (watched / "sub").mkdir()

    def rename_in(name: str) -> None:
        save(outside / name, 1).rename(watched / name)

    def rsync(name: str) -> None:
        hidden = save(outside / f".{name}.AbC123.png", 2).rename(watched / f".{name}.AbC123")
        time.sleep(settle_s + 0.3)
        hidden.rename(watched / name)

    def winscp(name: str) -> None:
        part = save(outside / "part.png", 3).rename(watched / f"{name}.filepart")
        time.sleep(settle_s + 0.3)
        part.rename(watched / name)

    def hard_link(name: str) -> None:
        os.link(save(outside / "linked.png", 4), watched / name)

    def tree_in(name: str) -> None:
        save(outside / "tree" / "deep" / Path(name).name, 5)
        (outside / "tree").rename(watched / "tree")

    def rename_inside(name: str) -> None:
        save(watched / "sub" / "old.png", 6)
        watch.wait_done(["sub/old.png"])
        (watched / "sub" / "old.png").rename(watched / name)

    def tree_inside(name: str) -> None:
        (watched / "tree").rename(watched / name.split("/")[0])

    ways = {
        "renamed.png": rename_in,
        "rsync.png": rsync,
        "winscp.png": winscp,
        "link.png": hard_link,
        "tree/deep/t.png": tree_in,
        "new.png": rename_inside,
        "moved/deep/t.png": tree_inside,
    }
    with Watch(place, settle_s=settle_s) as watch:
        watch.wait_watching()
        (watched / "symlink.png").symlink_to(save(outside / "secret.png", 7))
        (watched / "linked-folder").symlink_to(outside)
        for name, bring in ways.items():
            bring(name)
            took[name] = watch.wait(lambda name=name: name in watch.done(), name)  # type: ignore[misc]
        require(watch.stop() == 0, "exit 0")
    run_once(place, settle_s=settle_s)  # finds nothing else
    expected = {*ways, "sub/old.png"}
    require(statuses(place.out) == {name: ["done"] for name in expected}, f"the ledger says {statuses(place.out)}")
    require(set(results(place.out)) == expected, f"there are {sorted(results(place.out))}")
    slowest = max(took, key=lambda name: took[name])
    if full:
        limit = settle_s + SECONDS_AFTER_SETTLING
        require(took[slowest] <= limit, f"{slowest} took {took[slowest]:.1f} s, allowed are {limit:.1f}")
    return {"names": len(expected), "slowest": f"{slowest} ({took[slowest]:.2f} s, settling {settle_s} s)"}


def folders(place: Place, *, full: bool) -> Facts:
    """Make folders and fill them at once, so that events of the files are lost: all are found."""
    count = 200 if full else 40
    picture = save(place.outside / "f.png", 1)
    with Watch(place, "--rescan", "1h") as watch:  # which would find them in the end, whatever else fails
        watch.wait_watching()
        wanted = set()
        for index in range(count):
            folder = place.watched / f"d{index}" / "e"
            folder.mkdir(parents=True)
            shutil.copy(picture, folder / "f.png")
            wanted.add(f"d{index}/e/f.png")
        started = time.monotonic()
        watch.wait_done(wanted, patience_s=180)
        took = time.monotonic() - started
        scans = len(watch.named("scanned"))
        require(watch.stop() == 0, "exit 0")
    require(statuses(place.out) == {name: ["done"] for name in wanted}, "each once")
    return {"folders": count, "found": len(watch.done()), "s after the last": round(took, 1), "scans": scans}


def burst(place: Place, *, full: bool) -> Facts:
    """Copy thousands of files at once, while it runs and while it stands still and the system loses events."""
    count, noise = (10_000, 0) if full else (200, 20_000)
    facts: Facts = {}
    with Watch(place, "--rescan", "1h") as watch:
        watch.wait_watching()
        first = {"live/first.png", "stopped/first.png"}
        for name in first:  # their folders are watched from now on
            save(place.watched / name, 0)
        watch.wait_done(first)
        _copy_many(place, "live", count)
        watch.wait_done((f"live/{index}.png" for index in range(count)), patience_s=3600)
        facts["live"] = f"{len(watch.done() - first)} of {count}"
        before = watch.resident_mib()
        with stopped(watch.process):
            _copy_many(place, "stopped", count)
            _be_noisy(place, noise)
        watch.wait_done((f"stopped/{index}.png" for index in range(count)), patience_s=3600)
        facts["while stopped"] = f"{len(watch.done() - first) - count} of {count}"
        after = watch.resident_mib()
        require(watch.stop() == 0, "exit 0")
    lines = len(watch.named("overflow"))
    require(lines == 1, f"expected one line about the overflow, got {lines}")
    require(set(map(tuple, statuses(place.out).values())) == {("done",)}, "each once")
    require(len(statuses(place.out)) == 2 * count + 2, "nothing else")
    require(after < before * 1.1 + 10, f"memory went from {before:.0f} to {after:.0f} MiB")
    return facts | {"overflow lines": lines, "MiB after the first": round(before), "MiB after the second": round(after)}


def overwritten(place: Place, *, full: bool) -> Facts:
    """Write one name anew time after time: what stands there is never torn, and the last version is done."""
    count, pause_s, settle_s = (60, 2.0, 0.5) if full else (8, 0.5, 0.15)
    torn = seen = 0
    with Watch(place, settle_s=settle_s) as watch:
        watch.wait_watching()
        for index in range(count):
            save(place.watched / "x.png", index)
            until = time.monotonic() + pause_s
            while time.monotonic() < until:
                if (place.out / "x.png").exists():
                    seen += 1
                    whole = pixels(place.out / "x.png")
                    torn += whole.shape != (48, 64, 3)
                time.sleep(0.02)
        watch.wait(
            lambda: (place.out / "x.png").exists() and is_result(place.out / "x.png", count - 1), "the last version"
        )
        require(watch.stop() == 0, "exit 0")
    found = statuses(place.out)["x.png"]
    require(torn == 0, f"{torn} of {seen} looks saw a torn file")
    require(set(found) == {"done"} and 1 < len(found) <= count, f"the ledger says {found}")
    return {"versions": count, "done": len(found), "looks at the result": seen, "torn": torn}


def _copy_many(place: Place, name: str, count: int) -> None:
    data = save(place.outside / "many.png", 1).read_bytes()
    folder = place.watched / name
    for index in range(count):
        (folder / f"{index}.png").write_bytes(data)


def _be_noisy(place: Place, events: int) -> None:
    """Fill the queue of the system with events of files that are not meant; equal ones would count as one."""
    for index in range(events):
        with (place.watched / f"{index % 2}.txt").open("a"):
            pass
