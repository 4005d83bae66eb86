"""What may go wrong around a watcher: full and read-only disks, limits of the system, folders that go and come."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.watching.harness import (
    Facts,
    Place,
    Watch,
    in_namespace,
    is_result,
    leftovers,
    on_small_disk,
    require,
    results,
    run_once,
    save,
    statuses,
)


def limit(place: Place, *, full: bool) -> Facts:
    """Let the system watch fewer folders than there are: it is named, and polling finds everything."""
    count = 100 if full else 15
    for index in range(count):
        save(place.watched / f"d{index}" / "before.png", index)
    shell = 'echo "$0" > /proc/sys/user/max_inotify_watches && exec "$@"'
    prefix = [*in_namespace("-Ur"), "sh", "-c", shell, "6"]
    with Watch(place, "--rescan", "1h", prefix=prefix) as watch:
        watch.wait_done((f"d{index}/before.png" for index in range(count)), patience_s=120)
        watch.wait_for("backend")
        for index in range(count):
            save(place.watched / f"d{index}" / "after.png", index)
        watch.wait_done((f"d{index}/after.png" for index in range(count)), patience_s=120)
        require(watch.stop() == 0, "exit 0")
    (line,) = watch.named("backend")
    require("fs.inotify.max_user_watches" in line["message"] and line["kind"] == "poll", line["message"])
    require(len(watch.done()) == 2 * count, "complete")
    return {"folders": count, "files": f"{len(watch.done())} of {2 * count}", "told": line["message"]}


def full_disk(place: Place, *, full: bool) -> Facts:
    """Fill the output's disk: it pauses, nothing fails, and when there is room again it goes on by itself."""
    return on_small_disk(fill_disk, place, 28 if full else 12)


def fill_disk(place: Place, count: int) -> Facts:
    """Do so; the output has a small disk of its own."""
    names = [f"{index}.png" for index in range(count)]
    with Watch(place, "--min-free", "0") as watch:
        watch.wait_watching()
        filler = place.out / "filler.bin"
        fill(filler, leave_kb=400)
        for index, name in enumerate(names):
            save(place.watched / name, index, 320, 240)  # 230 kB each
        watch.wait_for("paused", patience_s=120)
        time.sleep(2.0)
        at_pause = len(watch.done())
        require(at_pause < count and not watch.named("failed"), "nothing is failed")
        require(all(is_result(place.out / n, int(n[:-4]), 320, 240) for n in watch.done()), "nothing is torn")
        cpu = watch.cpu_s()
        time.sleep(3.0)
        cpu = (watch.cpu_s() - cpu) / 3.0
        filler.unlink()
        watch.wait_done(names, patience_s=120)
        watch.wait_for("resumed")
        require(watch.stop() == 0, "exit 0")
    require(not watch.named("failed") and not watch.named("retry"), "nothing was counted against a file")
    require(all(is_result(place.out / n, int(n[:-4]), 320, 240) for n in names), "all are whole")
    require(statuses(place.out) == {name: ["done"] for name in names}, "each once")
    fill(filler, leave_kb=0)
    shutil.rmtree(place.out / ".lumen")
    fill(place.out / "more.bin", leave_kb=0)
    at_start = run_once(place)
    require(at_start.process.returncode == 6, f"full at the start: exit {at_start.process.returncode}")
    return {
        "done when it paused": f"{at_pause} of {count}",
        "pauses": len(watch.named("paused")),
        "CPU while paused": f"{cpu:.1%}",
        "done in the end": f"{len(watch.done())} of {count}",
        "full at the start": "exit 6",
    }


def read_only(place: Place, *, full: bool) -> Facts:
    """Make the output read-only: exit 6 at the start, and a pause while it runs."""
    prefix = _without_root()
    place.out.mkdir()
    place.out.chmod(0o555)
    at_start = run_once(place, prefix=prefix)
    require(at_start.process.returncode == 6, f"at the start: exit {at_start.process.returncode}")
    place.out.chmod(0o777)
    _open_to_all(place)
    with Watch(place, prefix=prefix) as watch:
        save(place.watched / "before.png", 1)
        watch.wait_done(["before.png"])
        place.out.chmod(0o555)
        save(place.watched / "meanwhile.png", 2)
        watch.wait_for("paused")
        save(place.watched / "later.png", 3)
        time.sleep(2.0 if full else 0.5)
        require(watch.done() == {"before.png"} and not watch.named("failed"), "nothing is failed")
        place.out.chmod(0o777)
        watch.wait_done(["meanwhile.png", "later.png"])
        watch.wait_for("resumed")
        require(watch.stop() == 0, "exit 0")
    require(not watch.named("failed") and len(results(place.out)) == 3, "all are done in the end")
    require(not leftovers(place.out), f"left behind: {leftovers(place.out)}")
    return {"at the start": "exit 6", "while it runs": f"{len(watch.named('paused'))} pause, then all done"}


def folder_gone(place: Place, *, full: bool) -> Facts:
    """Take the watched folder away and bring it back, and put another one in its place: nothing is done again."""
    away_s = 3.0 if full else 1.2
    faults: dict[str, Callable[[Place, str], str]] = {
        "gone and back": partial(_go_and_come, away_s=away_s),
        "replaced": _replace,
    }
    cases = [(name, backend) for backend in ("inotify", "poll") for name in faults]

    def facts_of(name: str, backend: str) -> str:
        own = Place.make(place.folder / f"{name}, {backend}")
        for index in range(5):
            save(own.watched / f"{index}.png", index)
        return faults[name](own, backend)

    with ThreadPoolExecutor() as pool:  # they mostly wait
        found = list(pool.map(lambda case: facts_of(*case), cases))
    return {", ".join(case): facts for case, facts in zip(cases, found, strict=True)}


def _go_and_come(place: Place, backend: str, *, away_s: float) -> str:
    elsewhere = place.folder / "elsewhere"
    with Watch(place, "--backend", backend, "--rescan", "1h") as watch:
        watch.wait_done(f"{index}.png" for index in range(5))
        place.watched.rename(elsewhere)
        watch.wait_for("paused")
        time.sleep(away_s)
        elsewhere.rename(place.watched)
        watch.wait_for("resumed")
        save(place.watched / "new.png", 9)
        watch.wait_done(["new.png"])
        time.sleep(0.5)
        require(watch.stop() == 0, "exit 0")
    require(len(watch.named("done")) == 6 and not watch.named("gone"), "nothing is done again")
    return "5 known, 1 new, none again"


def _replace(place: Place, backend: str) -> str:
    elsewhere = place.folder / "old"
    with Watch(place, "--backend", backend, "--rescan", "1h") as watch:
        watch.wait_done(f"{index}.png" for index in range(5))
        place.watched.rename(elsewhere)
        shutil.copytree(elsewhere, place.watched)  # as a backup brings it back: other inodes, the same times
        save(place.watched / "new.png", 9)
        watch.wait_done(["new.png"])
        watch.wait_for("input")
        save(place.watched / "newer.png", 10)
        watch.wait_done(["newer.png"])
        time.sleep(0.5)
        require(watch.stop() == 0, "exit 0")
    require(len(watch.named("done")) == 7, f"done: {[event['path'] for event in watch.named('done')]}")
    require(set(map(tuple, statuses(place.out).values())) == {("done",)}, "each once")
    return "5 known, 2 new, none again"


def fill(path: Path, *, leave_kb: int) -> None:
    """Write a file until the disk has no more room than that."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while shutil.disk_usage(path.parent).free > leave_kb * 1024:
            file.write(bytes(4096))
        while leave_kb == 0:
            file.write(bytes(64))


def _without_root() -> list[str]:
    """Return what takes the right from root to write where permissions forbid it."""
    if os.geteuid() != 0:
        return []
    return in_namespace("-U")


def _open_to_all(place: Place) -> None:
    place.watched.chmod(0o777)
