"""What `lumen watch` does when things go wrong: run `python benchmarks/watch_faults.py`, or `--only kills,burst`.

Each fault is made with the real file system, the real libraries and the real command, with a tiny model that doubles
every sample; `latency` takes the bundled one. A table says what was found, and the exit code is 1 where something does
not hold. `--short` takes the sizes of the tests. In full it takes about three quarters of an hour.

kills       `kill -9` at 200 random moments while 50 files arrive.
slices      An upload in 20 slices with a stall of 10 s.
names       Renames, rsync's and WinSCP's names, hard links, moved trees, links out of the tree.
folders     200 times a new folder in a new folder, and a file in it.
burst       10,000 files at once, while it runs and while it stands still.
overwritten One name written anew every 2 s.
limit       Fewer watches than folders (needs `unshare`).
full_disk   A disk of 8 MB that is full, and has room again later (needs `unshare`).
read_only   An output that cannot be written, at the start and later.
folder_gone The watched folder goes and comes back, or is replaced; with both backends.
corrupt     20 damaged files, one of which is replaced by a good one.
injected    Exceptions in decoding, in the model, and in who listens.
restart     500 new files, and one that is half there.
signals     SIGTERM once and twice, and a second watcher.
clip_slices Clips of five containers in 20 slices with a stall of 8 s, whose originals are deleted (needs `[video]`).
clip_kills  `kill -9` at 30 random moments while clips arrive, whose originals are deleted.
clip_full_disk A disk of 8 MB that fills while clips are written (needs `unshare`).
soak        20 minutes at five files a second.
latency     Frames of 640x480 with the bundled model: from close to result, and frames per second.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.watching import arrivals, clips, ends, failures, soak, surroundings
from benchmarks.watching.harness import CannotError, Facts, FailedError, Place

Fault = Callable[..., Facts]

FAULTS: dict[str, Fault] = {
    "kills": ends.kills,
    "slices": arrivals.slices,
    "names": arrivals.names,
    "folders": arrivals.folders,
    "burst": arrivals.burst,
    "overwritten": arrivals.overwritten,
    "limit": surroundings.limit,
    "full_disk": surroundings.full_disk,
    "read_only": surroundings.read_only,
    "folder_gone": surroundings.folder_gone,
    "corrupt": failures.corrupt,
    "injected": failures.injected,
    "restart": ends.restart,
    "signals": ends.signals,
    "clip_slices": clips.clip_slices,
    "clip_kills": clips.clip_kills,
    "clip_full_disk": clips.clip_full_disk,
    "soak": soak.soak,
    "latency": soak.latency,
}


def check(name: str, *, full: bool) -> Facts:
    """Make one fault and return what was found; `holds` is true, false, or None where it cannot be made."""
    started = time.monotonic()
    holds: bool | None = True
    with tempfile.TemporaryDirectory(prefix=f"lumen-{name}-") as folder:
        try:
            facts = FAULTS[name](Place.make(Path(folder)), full=full)
        except FailedError as error:
            holds, facts = False, {"fault": str(error)}
        except CannotError as error:
            holds, facts = None, {"not here": str(error)}
    return {"check": name, "holds": holds, "seconds": round(time.monotonic() - started, 1), **facts}


def show(found: Facts) -> str:
    """Return one line of the table."""
    verdict = {True: "holds", False: "FAILS", None: "not here"}[found["holds"]]
    facts = "; ".join(f"{key}: {value}" for key, value in found.items() if key not in ("check", "holds", "seconds"))
    return f"| {found['check']} | {verdict} | {found['seconds']:.0f} | {facts} |"


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="NAME,...", help="some of them")
    parser.add_argument("--short", action="store_true", help="as the tests do it")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = [name for name in args.only.split(",") if name] or list(FAULTS)
    if unknown := set(names) - set(FAULTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(FAULTS)}")
    if not args.json:
        print("| fault | holds | s | found |\n|---|---|---|---|", flush=True)
    failed = False
    for name in names:
        found = check(name, full=not args.short)
        failed |= found["holds"] is False
        print(json.dumps(found, default=str) if args.json else show(found), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
