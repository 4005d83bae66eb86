"""Models that are meant badly: no file is failed, moved or half written for them, and no loop holds a command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import read_picture
from lumen.errors import Exit
from tests.support import wrong_models as wrong
from tests.support.commands import command, run, run_here, save, start, tree
from tests.support.corpus import ADOBE
from tests.support.fakes import write_fake_onnx
from tests.support.files import saved

SHOWN_LATER = [wrong.later_lower, wrong.later_grey, wrong.later_nan]
FROM_THE_START = [wrong.grey, wrong.lower, wrong.floats, wrong.text, wrong.nan, wrong.renamed, wrong.another_input]
FROM_THE_START += [wrong.failing]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory holds `in` with two small pictures and a larger one."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a.png", 40), ("b.png", 100), ("c.png", 24)):
        save(tmp_path / "in" / name, size=(rows, 60))
    return tmp_path


def only_line(err: str) -> str:
    """Return the last line, which says what is wrong."""
    assert "Traceback" not in err and "internal error" not in err
    return err.strip().splitlines()[-1]


@pytest.mark.parametrize("change", [*FROM_THE_START, *SHOWN_LATER], ids=lambda change: change.__name__)
def test_watch_fails_and_moves_no_file(place: Path, change: wrong.Change) -> None:
    wrong.write_wrong_onnx(place / "m.onnx", change)
    line = command("watch", "in", "out", "--oneshot", "--settle", "0.2", "--failed-dir", "failed", "--json")
    code, out, err = run_here([*line, "--model", "m.onnx", "--device", "cpu"])
    assert code == Exit.UNAVAILABLE, err
    assert "contract" in only_line(err) or "cannot be loaded" in only_line(err)
    assert tree("in") == ["a.png", "b.png", "c.png"]
    assert not (place / "failed").exists() or tree("failed") == []
    events = [json.loads(each)["event"] for each in out.splitlines()]
    assert not {"failed", "unsupported", "retry"} & set(events)
    # With a sound model all of them are done: nothing was written down against them.
    write_fake_onnx(place / "m.onnx", radius=0)
    assert run_here([*line, "--model", "m.onnx", "--device", "cpu"])[0] == 0
    assert [name for name in tree("out") if name.endswith(".png")] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("change", [*FROM_THE_START, *SHOWN_LATER], ids=lambda change: change.__name__)
def test_enhance_ends_and_writes_nothing_wrong(place: Path, change: wrong.Change) -> None:
    model = wrong.write_wrong_onnx(place / "m.onnx", change)
    for arguments in (["in", "-o", "out"], ["in/b.png", "-o", "-"]):
        code, out, err = run(command("enhance", *arguments, "--device", "cpu", model=model))
        assert code == Exit.UNAVAILABLE, err
        assert "contract" in only_line(err)
        assert out == ""
    assert not (place / "out" / "b.png").exists()


@pytest.mark.parametrize("change", SHOWN_LATER, ids=lambda change: change.__name__)
def test_in_place_keeps_what_it_had(place: Path, change: wrong.Change) -> None:
    model = wrong.write_wrong_onnx(place / "m.onnx", change)
    before = (place / "in" / "b.png").read_bytes()
    assert run_here(command("enhance", "in/b.png", "--in-place", "--device", "cpu", model=model))[0] == Exit.UNAVAILABLE
    assert (place / "in" / "b.png").read_bytes() == before


@pytest.mark.parametrize("change", SHOWN_LATER, ids=lambda change: change.__name__)
def test_eval_ends(place: Path, change: wrong.Change) -> None:
    model = wrong.write_wrong_onnx(place / "m.onnx", change)
    code, _, err = run_here(command("eval", "--gt", "in", "in", "--device", "cpu", model=model))
    assert code == Exit.UNAVAILABLE
    assert "broke its contract" in only_line(err)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("align", "1000000000"),
        ("halo_px", "1000000000"),
        ("edge_px", "1000000000"),
        ("thumbnail_px", "1000000000"),
        ("parameters", "9" * 10_000),
        ("hyperparameters", "[" * 200_000 + "]" * 200_000),
        ("training", "[" * 200_000 + "]" * 200_000),
    ],
    ids=lambda value: value[:20],
)
def test_hostile_metadata_is_refused(place: Path, name: str, value: str) -> None:
    import onnx

    path = write_fake_onnx(place / "m.onnx")
    model = onnx.load(path)
    for entry in model.metadata_props:
        if entry.key == f"lumen.{name}":
            entry.value = value
    onnx.save(model, path)
    code, _, err = run_here(command("enhance", "in", "-o", "out", model=path))
    assert code == Exit.UNAVAILABLE
    assert "m.onnx" in only_line(err) and len(only_line(err)) < 400


def test_a_missing_16_bit_file_lets_those_pictures_wait(place: Path) -> None:
    write_fake_onnx(place / "m.onnx", radius=0)
    save(place / "in" / "deep.png", "uint16")
    line = command("watch", "in", "out", "--oneshot", "--settle", "0.2", "--failed-dir", "failed", "--json")
    code, out, _ = run_here([*line, "--model", "m.onnx", "--device", "cpu"])
    assert code == Exit.SOME_FAILED
    assert "deep.png" in tree("in")
    events = [json.loads(each) for each in out.splitlines()]
    assert [each["path"] for each in events if each["event"] == "deferred"] == ["deep.png"]
    assert sum(each["event"] == "done" for each in events) == 3


@pytest.mark.parametrize("kind", ["16 bits", "colours"])
def test_a_damaged_16_bit_file_ends_the_run_and_nothing_is_done_without_it(place: Path, kind: str) -> None:
    model = write_fake_onnx(place / "m.onnx", radius=0)
    twin = write_fake_onnx(place / "m.u16.onnx", "uint16", radius=0)
    twin.write_bytes(twin.read_bytes()[:-1000])  # within the graph
    if kind == "16 bits":
        save(place / "in" / "b.png", "uint16")
    else:
        (place / "in" / "b.png").write_bytes(saved(Image.new("RGB", (60, 40), "navy"), "PNG", icc_profile=ADOBE))
    for arguments in (["in", "-o", "out"], ["in/b.png", "-o", "-"]):
        code, out, err = run(command("enhance", *arguments, "--device", "cpu", model=model))
        assert (code, out) == (Exit.UNAVAILABLE, "")
        assert "m.u16.onnx cannot be loaded" in only_line(err)
    assert "b.png" not in tree("out")


# Loops without end


@pytest.fixture
def endless(place: Path) -> Path:
    """A model with a loop that ends for small tiles only."""
    return wrong.write_wrong_onnx(place / "m.onnx", wrong.later_endless)


def is_running(process: subprocess.Popen[str], seconds: float = 3.0) -> None:
    """Wait until a command is in the loop."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = _cpu_seconds(process.pid)
        time.sleep(0.5)
        seconds -= 0.5 if _cpu_seconds(process.pid) - before > 0.1 else 0.0
        if seconds <= 0:
            return
    raise AssertionError("it does nothing")


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


ENDS = {
    "enhance": (["enhance", "in/b.png", "-o", "out"], 2, 130),
    "enhance, SIGTERM": (["enhance", "in/b.png", "-o", "out"], 1, 143),
    "stdout": (["enhance", "in/b.png", "-o", "-"], 1, 130),
    "stdout, SIGTERM": (["enhance", "in/b.png", "-o", "-"], 1, 143),
    "eval": (["eval", "--gt", "in", "in"], 1, 130),
    "eval, SIGTERM": (["eval", "--gt", "in", "in"], 1, 143),
    "watch": (["watch", "in", "out", "--settle", "0.1"], 2, 130),
    "watch, SIGTERM": (["watch", "in", "out", "--settle", "0.1"], 2, 143),
}


@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc of Linux")
@pytest.mark.parametrize("name", ENDS)
def test_an_endless_loop_is_ended_by_signals(endless: Path, name: str) -> None:
    arguments, signals, expected = ENDS[name]
    number = signal.SIGTERM if "SIGTERM" in name else signal.SIGINT
    with start(command(*arguments, "--device", "cpu", model=endless)) as process:
        try:
            is_running(process)
            for _ in range(signals):
                process.send_signal(number)
                time.sleep(0.5)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == expected, err
    assert "Traceback" not in err


def test_a_sound_model_is_the_control(place: Path) -> None:
    """The conditions that the others add to the graph change no result."""
    model = wrong.write_wrong_onnx(place / "m.onnx")
    assert run_here(command("enhance", "in", "-o", "out", "--device", "cpu", model=model))[0] == 0
    before, after = (read_picture(place / folder / "b.png").pixels for folder in ("in", "out"))
    assert np.array_equal(after, np.minimum(before.astype(int) * 2, 255))
