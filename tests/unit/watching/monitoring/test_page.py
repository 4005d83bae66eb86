"""The page of a watcher: what stands on it, that names are text, and that it grows no larger than promised."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.ledger.status import FailedVersion, WaitingVersion
from lumen.watching.monitoring.frames import MOST_FRAMES, ROOM, LastFrames
from lumen.watching.monitoring.last_day import PARTS, Part
from lumen.watching.monitoring.page import MOST_FOLDERS, page_values, watch_page
from lumen.watching.monitoring.snapshot import Snapshot
from tests.support.ledger import NOW
from tests.support.monitoring import COUNTS, frame_of, sign_of, snapshot_of, status_of
from tests.support.pages import Elements

NASTY = '<script>alert("1")</script>'
NOT_UTF_8 = os.fsdecode(b"caf\xe9")


def page(seen: Snapshot, frames: LastFrames | None = None) -> str:
    frames = frames or LastFrames()
    return watch_page(page_values(seen, frames.shown()), frames.kept("/srv/enhanced"), seen.now)


@pytest.mark.parametrize(
    ("said", "facts", "title", "tone"),
    [
        (sign_of("watching"), {}, "Watching", "good"),
        (sign_of("watching"), {"failed_since_start": 2}, "Watching", "warn"),
        (sign_of("watching"), {"stale": 1}, "Watching", "warn"),
        (sign_of("paused", space="too full"), {}, "Paused", "bad"),
        (sign_of("watching", NOW - 99), {}, "No sign of life", "bad"),
        (sign_of("stopping"), {}, "Stopping", "warn"),
        (sign_of("stopped"), {}, "Stopped", "bad"),
        (sign_of("stopped"), {"facts": {"oneshot": True}}, "Finished", "good"),
    ],
)
def test_the_state_comes_first(said: Any, facts: dict[str, Any], title: str, tone: str) -> None:
    text = page(snapshot_of(status_of(**facts), sign=said))
    assert re.findall(r'<p class="state (\w+)" id="state"><strong>([^<]+)', text) == [(tone, title)]


def test_what_is_wrong_is_said_with_its_reason() -> None:
    status = status_of(failed_since_start=1, stale=2)
    paused = sign_of("paused", output="the disk is full", input="IN has gone")
    values = page_values(snapshot_of(status, sign=paused, is_current=False), ())
    assert values["reasons"] == ["the disk is full", "IN has gone"]
    words = ["ledger", "1 file failed", "2 files waited"]
    assert [word for note in values["notes"] for word in words if word in note] == words
    values = page_values(snapshot_of(), ())
    assert values["notes"] == values["reasons"] == []


def test_numbers_stand_there() -> None:
    oldest = WaitingVersion(path="cam1/a.png", status="retry", reason="truncated", seconds=60.0)
    day = [(float(n * 900), Part(done=n % 2, failed=1, delay_s=4.0, longest_delay_s=5000.0)) for n in range(PARTS)]
    seen = snapshot_of(status_of(oldest=oldest), day=day)
    tiles = {name: (value, hint) for name, value, hint, _ in page_values(seen, ())["tiles"]}
    assert tiles["Waiting"] == ("6", "oldest: cam1/a.png; truncated; seen")
    assert page_values(seen, ())["tiles"][0][3] == "2001-09-09 01:45:40 UTC"
    assert tiles["Done in all"] == ("7", "2 failed, 1 unsupported")
    assert tiles["Delay"] == ("4.0 s", "at most 83 min in the last day")
    assert tiles["Free for results"] == ("25.0 GB", "of 100.0 GB (25%)")
    text = page(seen)
    assert text.count("<title>") == 1 + 2 * PARTS  # of the page, and of each bar
    assert f"{PARTS // 2} done, {PARTS} failed or unsupported in all" in text


def test_a_camera_that_falls_silent_is_pointed_out() -> None:
    arrivals = {".": NOW - 3000, "gate": NOW - 10, "yard": NOW - 4000}
    folders = tuple(FolderNumbers(name=name, last_arrival=at) for name, at in arrivals.items())
    values = page_values(snapshot_of(status_of(folders=folders)), ())
    assert [(name, is_quiet) for name, _, is_quiet, _ in values["folders"]] == [
        ("directly in cameras", False),
        ("gate", False),
        ("yard", True),
    ]
    alone = page_values(snapshot_of(status_of(folders=folders[2:])), ())  # a quiet night is nobody's fault
    assert not alone["folders"][0][2]


def test_the_numbers_of_the_folders_add_up_to_those_above() -> None:
    gate = FolderNumbers(name="gate", last_arrival=NOW, done=7, failed=2, unsupported=1, waiting=4)
    seen = snapshot_of(status_of(folders=(gate,)))
    assert page_values(seen, ())["folders"][0][3][:4] == ("7", "2", "1", "4")
    text = page(seen)
    row = ["folder", "last arrival", "done", "failed", "unsupported", "waiting"]
    assert re.findall(r'<th scope="col">([^<]+)', text)[: len(row)] == row


def test_pictures_stand_in_a_row_for_each_folder() -> None:
    frames = LastFrames()
    for path in ("gate/a.png", "yard/a.png", "gate/b.png", "c.png"):
        frames.add(frame_of(path))
    values = page_values(snapshot_of(), frames.shown())
    shown = [(title, [below for _, below, *_ in own]) for title, own in values["frames"]]
    assert shown == [("directly in cameras", ["c.png"]), ("gate", ["b.png", "a.png"]), ("yard", ["a.png"])]


def test_names_are_text_and_the_policy_is_strict() -> None:
    frames = LastFrames()
    for path in (f"{NASTY}/a.png", f"{NOT_UTF_8}/b\n.png"):
        frames.add(frame_of(path))
    status = status_of(
        folders=tuple(FolderNumbers(name=name, last_arrival=NOW) for name in (NASTY, NOT_UTF_8)),
        errors=(FailedVersion(path=NASTY, status="failed", reason=NASTY, attempts=1, at=NOW),),
        oldest=WaitingVersion(path=NASTY, status="ready", reason=NASTY, seconds=1.0),
    )
    text = page(snapshot_of(status, sign=sign_of("paused", input=NASTY)), frames)
    elements = Elements(text)
    assert elements.open == []
    scripts = elements.attributes("script")
    assert [each.get("type") for each in scripts] == ["application/json", None, None]
    assert NASTY not in text
    assert r"caf\udce9/b\n.png" in text
    policy = next(each["content"] for each in elements.attributes("meta") if "http-equiv" in each) or ""
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "unsafe" not in policy
    assert not any(
        {"style", "onclick", "onload", "src", "href"} & attributes.keys()
        for name, attributes in elements.found
        if name not in ("link", "a")
    )
    text.encode("utf-8")


def test_a_page_of_many_cameras_stays_small() -> None:
    frames = LastFrames()
    folders = tuple(FolderNumbers(name=f"cam{n:04}", last_arrival=NOW + n) for n in range(2000))
    for number in range(2000):
        frames.add(frame_of(f"cam{number:04}/a.png", NOW + number))
    values = page_values(snapshot_of(status_of(folders=folders)), frames.shown())
    assert len(values["folders"]) == MOST_FOLDERS and values["more_folders"] == 2000 - MOST_FOLDERS
    assert values["folders"][-1][0] == "cam1999"
    assert sum(len(own) for _, own in values["frames"]) == MOST_FRAMES
    without_pictures = len(watch_page(values, {"frames": []}, NOW))
    assert without_pictures + MOST_FRAMES * 2 * ROOM * 4 / 3 < 1.2e6


def test_a_later_page_of_the_same_is_equal_but_for_its_time() -> None:
    oldest = {"path": "a", "status": "ready", "reason": ""}
    first = snapshot_of(status_of(oldest=WaitingVersion(**oldest, seconds=5.0)))
    later = snapshot_of(
        status_of(oldest=WaitingVersion(**oldest, seconds=15.0)), now=NOW + 10, sign=sign_of(at=NOW + 10)
    )
    assert page_values(first, ()) == page_values(later, ())
    changed = snapshot_of(status_of(counts=COUNTS | {"done": 8}))
    assert page_values(first, ()) != page_values(changed, ())


def test_numbers_that_lumen_did_not_write_are_no_crash() -> None:
    status = status_of(facts={"started_at": "never"}, folders=(FolderNumbers(name=".", last_arrival=1e300),))
    assert "Watching" in page(snapshot_of(status, day=[(0.0, Part(done=1, delay_s=1e9, longest_delay_s=1e12))] * PARTS))
