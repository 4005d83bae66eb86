"""What records of earlier runs tell, whoever wrote them."""

from __future__ import annotations

import json
import logging
from pathlib import Path, PurePath
from typing import Any

import pytest

from lumen.batch.block import Block
from lumen.batch.history import EarlierResults, History, differences, places_of, settings_of
from lumen.config import EnhanceOptions

OUT = Path("out")
FIRST = "out/0.jpg, made from /in/0.jpg"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an output folder."""
    monkeypatch.chdir(tmp_path)
    Path("out/Day 1").mkdir(parents=True)
    return tmp_path


def record(*lines: object, name: str = "1", out: Path = OUT, **run: Any) -> None:
    """Write a record; lines are results as (source, target), or anything else as it is."""
    runs = out / ".lumen" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    asked = {"batch": {"output": str(out), "in_place": False}, "enhance": {}, "cwd": str(Path.cwd()), **run}
    results = [
        {"source": line[0], "target": line[1], "status": "done"} if isinstance(line, tuple) else line for line in lines
    ]
    text = "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in [{"run": asked}, *results])
    (runs / f"{name}.jsonl").write_text(text)


def look(*folders: tuple[str, ...]) -> EarlierResults:
    """Look at pictures, given by their folder and their names."""
    found = EarlierResults()
    for folder, *names in folders:
        found.look(Block(source=Path(folder), target=Path("new"), names=names, results=names))
    return found


def test_the_newest_record_of_a_result_holds() -> None:
    record(("in/a.jpg", "out/a.jpg"), ("in/b.jpg", "out/b.jpg"), name="1", enhance={"ev": 1.0}, model="m")
    record(("in/a.jpg", "out/a.jpg"), name="2", enhance={"ev": 2.0}, model="m")
    found = History(OUT).results_made(["a.jpg", "b.jpg", "c.jpg"])
    assert {name: made.settings["ev"] for name, made in found.items()} == {"a.jpg": 2.0, "b.jpg": 1.0}
    assert found["a.jpg"].source == Path("in/a.jpg").absolute()


def test_settings_of_single_pictures_count_and_what_changes_nothing_does_not() -> None:
    picture = {"source": "in/a.jpg", "target": "out/a.jpg", "status": "done", "options": {"strength": 0.5}}
    record(picture, enhance={"ev": 1.0, "tile_px": 512, "unknown": 1})
    (made,) = History(OUT).results_made(["a.jpg"]).values()
    now = settings_of({"ev": 1.0, "strength": 0.5, "tile_px": 64, "quality": 80}, "other")
    assert differences(made.settings, now) == "--quality keep, now 80", "the model of that run is not known"
    assert differences(settings_of({}, "lumen-s"), settings_of({}, "mine.onnx")) == "--model lumen-s, now mine.onnx"
    assert set(settings_of({}, None)) - {"steady", "exposure_from"} < set(vars(EnhanceOptions()))


def test_a_run_in_another_folder_is_understood() -> None:
    record(
        ("photos/a.jpg", "../out/a.jpg"), batch={"output": "../out", "in_place": False}, cwd=str(Path("x").absolute())
    )
    (made,) = History(OUT).results_made(["a.jpg"]).values()
    assert made.source == Path("x/photos/a.jpg").absolute()


def test_a_picture_has_the_place_of_its_last_result_that_is_still_there() -> None:
    source = Path("holiday/P.jpg")
    assert places_of(OUT, [source]) == {}
    record(("holiday/P.jpg", "out/Day 1/P.jpg"), ("other/P.jpg", "out/P.jpg"))
    assert places_of(OUT, [source, Path("new/P.jpg")]) == {source: PurePath("Day 1")}
    record(("holiday/P.jpg", "out/gone/P.jpg"), name="2")
    assert places_of(OUT, [source]) == {}


@pytest.mark.parametrize(
    "target", ["out/../elsewhere/P.jpg", "/P.jpg", "out/link/P.jpg", "out/.lumen/P.jpg", "out/\0/P.jpg"]
)
def test_no_record_leads_out_of_the_output_folder(target: str) -> None:
    Path("elsewhere").mkdir()
    Path("out/link").symlink_to(Path("elsewhere").absolute())
    record(("holiday/P.jpg", target))
    assert places_of(OUT, [Path("holiday/P.jpg")]) == {}


def test_what_lumen_did_not_write_is_passed_over() -> None:
    odd = [
        "",
        "[]",
        "1",
        "{",
        '{"status": "done"}',
        '{"run": 3}',
        '{"target": 3, "status": "done", "source": 3}',
        "[" * 9999,
    ]
    record(*odd, ("in/a.jpg", "out/a.jpg"), name="2")
    record(("in/a.jpg", "out/a.jpg"), *odd, name="1")
    Path("out/.lumen/runs/3.jsonl").symlink_to("/dev/zero")
    assert list(History(OUT).results_made(["a.jpg"])) == ["a.jpg"]
    Path("out/.lumen/runs").rename("runs")
    Path("out/.lumen/runs").symlink_to(Path("runs").absolute())
    assert History(OUT).results_made(["a.jpg"]) == {}


def test_results_among_the_inputs_are_known_in_whatever_folder_they_lie() -> None:
    record(("in/a.jpg", "out/Day 1/a.jpg"))
    found = look(("in", "a.jpg"), ("out/Day 1", "a.jpg", "own.jpg"))
    assert found.count == 1
    assert found.first is not None
    assert (found.first[0], found.first[1].source) == (Path("out/Day 1/a.jpg"), Path("in/a.jpg").absolute())


def test_pictures_enhanced_in_place_are_no_results_of_others() -> None:
    record(("out/a.jpg", "out/a.jpg"), batch={"output": None, "in_place": True})
    assert look(("out", "a.jpg")).count == 0


@pytest.mark.parametrize(
    ("count", "is_all", "said"),
    [
        (0, True, []),
        (
            1,
            True,
            ["an input is itself a result of lumen: out/0.jpg, made from /in/0.jpg; enhance that picture instead"],
        ),
        (1, False, [f"1 or more inputs are themselves results of lumen, such as {FIRST}; enhance the originals"]),
        (2, True, [f"2 inputs are themselves results of lumen, such as {FIRST}; enhance the originals"]),
    ],
)
def test_results_among_the_inputs_are_a_warning_once(
    caplog: pytest.LogCaptureFixture, count: int, is_all: bool, said: list[str]
) -> None:
    record(*((f"/in/{n}.jpg", f"out/{n}.jpg") for n in range(count)))
    found = look(("out", *(f"{n}.jpg" for n in range(5))))
    with caplog.at_level(logging.WARNING):
        found.warn(is_all=is_all)
        found.warn(is_all=True)
    assert [each.getMessage() for each in caplog.records] == said
