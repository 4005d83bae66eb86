"""Steady light of watched folders: one sequence each, in order, through restarts."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.config import EnhanceOptions, WatchOptions
from lumen.errors import Exit, OutputError, UsageError
from lumen.imaging.picture import Picture
from lumen.stages import LeftError
from lumen.watching import folder_lights
from lumen.watching.events import Event
from lumen.watching.folder_lights import FolderLights
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.service import Service
from tests.support.fakes import FakeModels

S = 10**9


def models() -> FakeModels:
    return FakeModels(contract=2, tone_size=2)


def picture(level: int) -> Picture:
    return Picture(pixels=np.full((32, 32, 3), level, np.uint8), format="png")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path)) as ledger:
        yield ledger


def factor(lights: FolderLights, name: str, level: int, second: int) -> float:
    turn = lights.enter(name, second * S)
    tone = turn.tone(picture(level), EnhanceOptions())
    turn.end()
    return float(np.exp(tone[0]))


def test_each_folder_is_a_sequence(ledger: Ledger) -> None:
    lights = FolderLights(models(), ledger)
    first = factor(lights, "a/1.png", 20, 1)
    assert first == pytest.approx(5.1, rel=0.01)
    assert factor(lights, "a/2.png", 22, 2) == pytest.approx(first, rel=0.01)
    assert factor(lights, "b/2.png", 22, 2) == pytest.approx(0.4 * 255 / 22, rel=0.01)
    assert factor(lights, "a/b/2.png", 24, 2) == pytest.approx(0.4 * 255 / 24, rel=0.01)


def test_a_restart_goes_on(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        lights = FolderLights(models(), ledger)
        first = factor(lights, "a/1.png", 20, 1)
        lights.keep(at_once=True)
    with closing(Ledger(tmp_path)) as ledger:
        assert factor(FolderLights(models(), ledger), "a/2.png", 24, 2) == pytest.approx(first, rel=0.01)


def test_states_are_recorded_now_and_then(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    lights = FolderLights(models(), ledger)
    factor(lights, "a/1.png", 20, 1)
    lights.keep()
    assert ledger.light("a") is None
    monkeypatch.setattr(folder_lights, "KEEP_S", 0.0)
    lights.keep()
    assert ledger.light("a") is not None
    writes: list[str] = []
    monkeypatch.setattr(ledger, "keep_light", lambda name, *_: writes.append(name))
    lights.keep(at_once=True)
    assert writes == []  # nothing has changed
    factor(lights, "a/2.png", 20, 2)
    lights.keep()
    assert writes == ["a"]


def test_what_cannot_be_recorded_now_is_later(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    lights = FolderLights(models(), ledger)
    factor(lights, "a/1.png", 20, 1)

    def full(*_: Any) -> None:
        raise OutputError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "keep_light", full)
        lights.keep(at_once=True)
    lights.keep(at_once=True)
    assert ledger.light("a") is not None


def test_only_so_many_folders_are_in_memory_and_none_is_lost(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_lights, "MOST_FOLDERS", 3)
    lights = FolderLights(models(), ledger)
    for each in range(8):
        factor(lights, f"{each}/1.png", 20, 1)
    assert len(lights._folders) == 3
    assert factor(lights, "0/2.png", 24, 2) == pytest.approx(5.1, rel=0.02)


def test_files_have_their_turns_in_order_whichever_is_read_first(ledger: Ledger) -> None:
    lights, order = FolderLights(models(), ledger), list[int]()
    turns = [lights.enter(f"a/{each}.png", each * S) for each in range(4)]

    def read(number: int) -> None:
        turns[number].tone(picture(20), EnhanceOptions())
        order.append(number)
        turns[number].end()

    threads = [threading.Thread(target=read, args=(number,)) for number in (3, 2, 1)]
    for thread in threads:
        thread.start()
    wait(lambda: all(turn.is_waiting for turn in turns[1:]))
    assert order == []
    turns[0].end()  # it cannot be read
    for thread in threads:
        thread.join(30)
    assert order == [1, 2, 3]


def test_a_turn_that_is_over_has_no_tone(ledger: Ledger) -> None:
    turn = FolderLights(models(), ledger).enter("a/1.png", S)
    turn.end()
    turn.end()
    with pytest.raises(LeftError):
        turn.tone(picture(20), EnhanceOptions())


def test_a_late_file_gets_the_light_of_now_and_changes_nothing(ledger: Ledger) -> None:
    lights = FolderLights(models(), ledger)
    first = factor(lights, "a/2.png", 20, 60)
    late = lights.enter("a/1.png", 50 * S)
    assert np.exp(late.tone(picture(24), EnhanceOptions())[0]) == pytest.approx(first)
    late.end()
    assert late.late_s == 10
    other = lights.enter("a/0.png", 40 * S)
    assert np.exp(other.tone(picture(80), EnhanceOptions())[0]) == pytest.approx(0.4 * 255 / 80, rel=0.01)
    other.end()
    assert factor(lights, "a/3.png", 20, 70) == pytest.approx(first)


def test_a_clock_that_was_set_back_makes_nothing_late(ledger: Ledger) -> None:
    lights = FolderLights(models(), ledger)
    factor(lights, "a/1.png", 20, 100_000)
    turn = lights.enter("a/2.png", 10 * S)
    turn.tone(picture(20), EnhanceOptions())
    turn.end()
    assert turn.late_s == 0
    assert lights.enter("a/3.png", 20 * S)._folder.newest_ns == 10 * S


# The whole service


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def watch(folder: Path, **options: Any) -> tuple[Exit, list[Event]]:
    events: list[Event] = []
    quick: dict[str, Any] = {"settle_s": 0.05, "min_free_bytes": 0, "rescan_s": 0.5, "oneshot": True, "steady": True}
    watching = WatchOptions(**({"output": folder / "out"} | quick | options))
    enhance = EnhanceOptions(unchanged="encode")
    return Service(folder / "in", [models()], enhance, watching, events.append).run(), events


def frames(folder: Path, levels: dict[str, int], first: int = 0) -> None:
    for second, (name, level) in enumerate(levels.items(), first):
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 40), (level,) * 3).save(path)
        os.utime(path, (1e9 + second, 1e9 + second))


def factors(folder: Path, levels: dict[str, int]) -> list[float]:
    return [np.asarray(Image.open(folder / "out" / name)).mean() / level for name, level in levels.items()]


def test_a_watched_folder_has_a_steady_light_through_restarts(tmp_path: Path) -> None:
    before = {f"cam/{each}.png": level for each, level in enumerate((20, 22, 19, 21))}
    after = {f"cam/{each}.png": level for each, level in enumerate((24, 20, 23), 4)}
    late = {"cam/late.png": 22}
    frames(tmp_path, before)
    assert watch(tmp_path)[0] is Exit.OK
    frames(tmp_path, after, first=10)
    assert watch(tmp_path)[0] is Exit.OK
    frames(tmp_path, late, first=5)
    code, events = watch(tmp_path)
    assert code is Exit.OK
    assert [dict(event.facts)["behind_s"] for event in events if event.name == "late"] == [7.0]
    found = factors(tmp_path, before | after | late)
    assert found == pytest.approx([found[0]] * len(found), rel=0.05)


def test_a_file_that_cannot_be_read_holds_nobody_up(tmp_path: Path) -> None:
    levels = {"0.png": 20, "2.png": 22}
    frames(tmp_path, {"0.png": 20, "1.png": 20, "2.png": 22})
    (tmp_path / "in" / "1.png").write_bytes(b"no picture")
    os.utime(tmp_path / "in" / "1.png", (1e9 + 1, 1e9 + 1))
    code, events = watch(tmp_path, incomplete_timeout_s=0.5)
    assert code is Exit.SOME_FAILED
    assert [event.name for event in events].count("done") == 2
    found = factors(tmp_path, levels)
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_a_model_without_tones_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watching = WatchOptions(output=tmp_path / "out", steady=True)
    with pytest.raises(UsageError, match="no tone stage"):
        Service(tmp_path / "in", [FakeModels()], EnhanceOptions(), watching, lambda _: None).run()


def test_the_newest_first_is_no_order_of_time(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--steady cannot be combined with --order newest"):
        WatchOptions(output=tmp_path, steady=True, order="newest")


def scene(folder: Path, name: str, level: float, second: int) -> None:
    """Write a frame of a mean level, by two shades of grey side by side."""
    share = np.random.default_rng(second).random((40, 60)) < level % 1
    path = folder / "in" / "cam" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((int(level) + share).astype(np.uint8)).convert("RGB").save(path)
    os.utime(path, (1e9 + second, 1e9 + second))


def shown(folder: Path, name: str) -> float:
    return float(np.asarray(Image.open(folder / "out" / "cam" / name)).mean())


def test_a_slow_dawn_is_followed_and_never_gets_darker_also_through_a_restart(tmp_path: Path) -> None:
    names = [f"{99 - each}.png" for each in range(80)]  # the newest first by name, which is no order of time
    levels = [30 * 1.01**each for each in range(80)]
    for first, last in ((0, 40), (40, 80)):
        for second in range(first, last):
            scene(tmp_path, names[second], levels[second], second)
        code, events = watch(tmp_path, settle_s=0.5)
        assert code is Exit.OK
        assert not [event for event in events if event.name == "late"]
    found = [shown(tmp_path, name) for name in names]
    steps = np.diff(np.log2(found))
    assert steps.min() > -0.005  # of rounding
    assert steps.max() < 0.03
    assert 0.1 < np.log2(found[-1] / found[0]) < 0.8 * np.log2(levels[-1] / levels[0])


def test_a_camera_in_the_dark_that_a_lamp_lights_for_a_while(tmp_path: Path) -> None:
    levels = [20] * 8 + [90] * 8 + [20] * 8
    for second, level in enumerate(levels):
        scene(tmp_path, f"{second:02}.png", level, second)
    assert watch(tmp_path)[0] is Exit.OK
    factors = [shown(tmp_path, f"{second:02}.png") / level for second, level in enumerate(levels)]
    own = [5.1] * 8 + [0.4 * 255 / 90] * 8 + [5.1] * 8
    assert factors == pytest.approx(own, rel=0.03)
