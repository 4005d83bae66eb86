"""Files that cannot be enhanced, and faults of the program itself: the watcher lives, and says why a file failed."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

import lumen.watching.worker
from benchmarks.watching.harness import Facts, Place, Watch, is_result, ledger, require, save, statuses
from lumen.config import EnhanceOptions, WatchOptions
from lumen.enhance.file_io import read_source
from lumen.imaging.picture import Picture
from lumen.watching.events import Event
from lumen.watching.service import Service
from tests.support.fakes import FakeModels

ATTEMPTS = 5
IDLE_SHARE = 0.02


def corrupt(place: Place, *, full: bool) -> Facts:
    """Bring 20 damaged files among good ones: the others are unaffected; one that is replaced by a good one is done."""
    bad, good = (20, 10) if full else (5, 3)
    timeout_s, idle_s = (120, 30.0) if full else (2, 2.0)
    whole = save(place.outside / "whole.png", 1, 320, 240).read_bytes()
    kinds = (b"", whole[: len(whole) // 2], b"\x89PNG", whole[:100] + bytes(1000) + whole[1100:])
    with Watch(place, "--incomplete-timeout", f"{timeout_s}s") as watch:
        watch.wait_watching()
        for index in range(bad):
            (place.watched / f"bad{index}.png").write_bytes(kinds[index % len(kinds)])
            if index < good:
                save(place.watched / f"good{index}.png", index)
        watch.wait_done(f"good{index}.png" for index in range(good))
        others = len(watch.named("failed"))
        watch.wait_for("failed", bad, patience_s=timeout_s + 120)
        cpu = watch.cpu_s()
        time.sleep(idle_s)
        share = (watch.cpu_s() - cpu) / idle_s
        save(place.watched / "bad3.png", 99)
        watch.wait_done(["bad3.png"])
        require(watch.stop() == 0, "exit 0")
    lines = [sum(event.get("path") == f"bad{index}.png" for event in watch.events) for index in range(bad)]
    attempts = ledger(place.out, "SELECT MAX(attempts) FROM versions")[0][0]
    require(others == 0 or not full, "good files had to wait for damaged ones")
    require(max(lines) <= ATTEMPTS + 1, f"{max(lines)} lines about one file")  # one of them about its good version
    require(max(line for index, line in enumerate(lines) if index != 3) <= ATTEMPTS, f"{max(lines)} lines")
    require(attempts <= ATTEMPTS, f"{attempts} attempts")
    require(statuses(place.out)["bad3.png"] == ["failed", "done"], "the good version is done")
    require(is_result(place.out / "bad3.png", 99), "and whole")
    if full:
        require(share < IDLE_SHARE, f"it takes {share:.1%} of a CPU when there is nothing to do")
    return {
        "damaged": f"{len(watch.named('failed'))} of {bad} failed",
        "attempts": attempts,
        "lines": max(lines),
        "CPU retirement": f"{share:.2%}",
        "good ones": f"{good} of {good} before the first failed",
    }


def injected(place: Place, *, full: bool) -> Facts:
    """Raise exceptions in decoding, in the model and in who listens: the file fails with a reason, others do not."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if event.facts.get("path") == "listener.png":
            raise RuntimeError("injected in the listener")

    def read(path: Path, *arguments: Any, **more: Any) -> Picture:
        if path.name == "decode.png":
            raise RuntimeError("injected in decoding")
        return read_source(path, *arguments, **more)

    def fault(tiles: np.ndarray[Any, Any]) -> None:
        if (tiles == 201).any():
            raise RuntimeError("injected in the model")

    names = ("decode.png", "model.png", "listener.png", *(f"{index}.png" for index in range(4)))
    for index, name in enumerate(names):
        save(place.watched / name, index)
    Image.new("RGB", (64, 48), (201, 0, 0)).save(place.watched / "model.png")
    options = WatchOptions(output=place.out, settle_s=0.1, retries=ATTEMPTS if full else 2, min_free_bytes=0)
    service = Service(place.watched, [FakeModels(gain=2.0, fault=fault)], EnhanceOptions(), options, listen)
    with mock.patch.object(lumen.watching.worker, "read_source", read):
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            _wait(lambda: {event.facts.get("path") for event in events if event.name == "failed"} >= set(names[:2]))
            save(place.watched / "after.png", 9)
            _wait(lambda: any(event.name == "done" and event.facts["path"] == "after.png" for event in events))
        finally:
            service.stop()
            thread.join(30)
    found = {path: (status, reason) for path, status, _, reason in ledger(place.out)}
    for name, where in (("decode.png", "decoding"), ("model.png", "the model")):
        status, reason = found.pop(name)
        require(status == "failed" and f"injected in {where}" in reason, f"{name} is {status}: {reason}")
    require({status for status, _ in found.values()} == {"done"}, f"the others are {found}")
    return {"decode, model": "failed with the reason", "listener": "done", "others": f"{len(found) - 1} done"}


def _wait(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        require(time.monotonic() < until, "waited in vain")
        time.sleep(0.01)
