"""`lumen watch` as users run it: its options, what it tells and where, its status, and its signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from lumen.codecs.codec import read_picture
from lumen.files.lock import lock_folder
from tests.support.commands import LINE, command, run, run_here, save, start, tree

QUICK = ("--settle", "100ms", "--min-free", "0")


def watch(models: Path, *arguments: object, model: str = "fast.onnx") -> list[str]:
    return command("watch", *arguments, *QUICK, "-m", models / model)


@contextmanager
def running(line: list[str]) -> Iterator[subprocess.Popen[str]]:
    with start(line) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_once_does_what_is_there_and_ends(photos: Path, models: Path) -> None:
    save(photos / "deep" / "down" / "c.png")
    code, out, err = run(watch(models, "in", "--oneshot"))
    assert (code, out) == (0, "")
    names = ["a.jpg", "a.png", "b.png", "deep/down/c.png"]
    assert tree("in-enhanced") == [".lumen/lock", ".lumen/watch.db", *names]
    assert (read_picture(Path("in-enhanced/a.png")).pixels == read_picture(photos / "a.png").pixels * 2).all()
    lines = err.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert [line.split()[2] for line in lines] == ["start", "scanned", *["done"] * 4, "stop"]
    assert run(watch(models, "in", "--oneshot"))[2].count(" done ") == 0


def test_json_tells_the_same_on_stdout(photos: Path, models: Path) -> None:
    (photos / "b.png").write_bytes(b"\x89PNG")
    code, out, err = run_here(watch(models, "in", "out", "--oneshot", "--json", "--retries", "1"))
    assert (code, err) == (3, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events][:1] == ["start"]
    (failed,) = [event for event in events if event["event"] == "failed"]
    assert (failed["path"], failed["level"], failed["attempts"]) == ("b.png", "error", 1)
    assert {"time", "seconds", "waited_s", "megapixels"} <= next(e for e in events if e["event"] == "done").keys()


def test_the_status_is_for_people_and_for_programs(photos: Path, models: Path) -> None:
    save(photos / "cam1" / "c.png")
    run_here(watch(models, "in", "out", "--oneshot"))
    assert run_here(command("watch", "--status", "out"))[0] == 0
    (photos / "cam1" / "d.png").write_bytes(b"no picture")
    run_here(watch(models, "in", "out", "--oneshot"))
    code, out, _ = run_here(command("watch", "--status", "out"))
    assert code == 3
    assert re.search(r"^state +stopped\nproblem +1 failed or unsupported since the start", out, re.MULTILINE)
    assert re.search(r"^done +4", out, re.MULTILINE)
    assert re.search(r"^cam1 +1 +0 +1 +0 +\d s ago +\d", out, re.MULTILINE)
    assert "last errors" in out and "d.png" in out
    code, out, _ = run_here(command("watch", "--status", "out", "--json"))
    status = json.loads(out)
    assert (code, status["exit_code"]) == (3, 3)
    assert (status["counts"]["done"], status["counts"]["unsupported"], status["oldest"]) == (4, 1, None)
    assert status["errors"][0]["path"] == "cam1/d.png"
    assert [(each["name"], each["done"]) for each in status["folders"]] == [(".", 3), ("cam1", 1)]


@pytest.mark.usefixtures("photos")
def test_the_status_can_be_asked_while_it_runs(models: Path) -> None:
    with running(watch(models, "in", "out")) as process:
        wait(lambda: len(list(Path("out").glob("*.*"))) >= 4, process)  # three results, and .lumen
        wait(lambda: run_here(command("watch", "--status", "out"))[0] == 0, process)
        status = json.loads(run_here(command("watch", "--status", "out", "--json"))[1])
        assert (status["state"], status["facts"]["pid"]) == ("watching", process.pid)
        process.kill()
        process.wait()
        code, out, _ = run_here(command("watch", "--status", "out", "--stale", "1h"))
        assert (code, out.split("\n")[0].split()) == (6, ["state", "gone", "(not", "stopped)"])
    with running(watch(models, "in", "out", "--log", "watch.log")) as process:
        wait(lambda: Path("watch.log").exists() and "scanned" in Path("watch.log").read_text(), process)
        assert end(process)[0] == 0
    code, out, _ = run_here(command("watch", "--status", "out", "--json"))
    assert (code, json.loads(out)["state"]) == (6, "stopped")


@pytest.mark.usefixtures("photos")
def test_the_status_of_nothing_is_exit_4() -> None:
    code, _, err = run_here(command("watch", "--status", "out"))
    assert code == 4
    assert "no ledger" in err
    assert not Path("out").exists()


def test_a_log_that_was_rotated_is_opened_anew(photos: Path, models: Path) -> None:
    log = Path("watch.log")
    with running(watch(models, "in", "out", "--log", log)) as process:
        wait(lambda: log.exists() and log.read_text().count(" done ") == 3, process)
        log.rename("watch.log.1")
        process.send_signal(signal.SIGHUP)
        save(photos / "c.png")
        wait(lambda: log.exists() and " done path=c.png" in log.read_text(), process)
        code, out, err = end(process)
    assert (code, out, err) == (0, "", "")
    assert " stop " in log.read_text()
    assert " stop " not in Path("watch.log.1").read_text()
    assert all(LINE.fullmatch(line) for line in log.read_text().splitlines())


def test_sighup_without_a_log_ends_nothing(photos: Path, models: Path) -> None:
    with running(watch(models, "in", "out")) as process:
        wait(lambda: Path("out/b.png").exists(), process)
        process.send_signal(signal.SIGHUP)
        save(photos / "c.png")
        wait(lambda: Path("out/c.png").exists(), process)
        assert end(process)[0] == 0


@pytest.mark.usefixtures("photos")
def test_ctrl_c_finishes_what_is_in_work_and_shows(models: Path) -> None:
    with running(watch(models, "in", "out")) as process:
        wait(lambda: Path("out/b.png").exists(), process)
        code, _, err = end(process, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].split()[2] == "stop"


def test_quiet_tells_faults_alone_and_verbose_more(photos: Path, models: Path) -> None:
    line = watch(models, "in", "out", "--oneshot")
    quiet = [*line[:3], "-q", *line[3:]]
    (photos / "b.png").write_bytes(b"\x89PNG")
    code, out, err = run_here([*quiet, "--retries", "1"])
    assert (code, out) == (3, "")
    assert [row.split()[1:3] for row in err.splitlines()] == [["error", "failed"]]
    save(photos / "c.png")
    verbose = [*line[:3], "-v", *line[3:]]
    assert " debug settled path=c.png" in run_here(verbose)[2]


def test_results_as_asked_and_inputs_where_asked(photos: Path, models: Path) -> None:
    Image.new("RGB", (8, 8)).save(photos / "ignored.thumb.png")
    (photos / "bad.png").write_bytes(b"\x89PNG")
    options = ("--format", "png", "--suffix", "-e", "--on-success", "move:done", "--failed-dir", "bad")
    more = ("--ignore", "*.thumb.png", "--retries", "1", "--order", "newest", "--backend", "poll", "--rescan", "1m")
    (photos / "a.png").unlink()
    code, _, err = run_here(watch(models, "in", "out", "--oneshot", *options, *more))
    assert code == 3, err
    assert tree("out") == [".lumen/lock", ".lumen/watch.db", "a-e.png", "b-e.png"]
    assert tree("done") == ["a.jpg", "b.png"]
    assert tree("bad") == ["bad.png"]
    assert tree("in") == ["ignored.thumb.png"]


def test_the_backlog_can_be_left_out(photos: Path, models: Path) -> None:
    code, _, err = run_here(watch(models, "in", "out", "--oneshot", "--skip-backlog"))
    assert code == 0
    assert " skipped files=3 " in err
    save(photos / "c.png")
    assert run_here(watch(models, "in", "out", "--oneshot"))[0] == 0
    assert tree("out") == [".lumen/lock", ".lumen/watch.db", "c.png"]


def test_names_with_newlines_spaces_and_no_utf8(photos: Path, models: Path) -> None:
    names = [os.fsdecode(name) for name in (b"new\nline.png", b'a "b" c.png', b"\xff\xfe.png")]
    for name in names:
        save(photos / name)
    code, _, err = run_here(watch(models, "in", "out", "--oneshot"))
    assert code == 0, err
    assert set(names) <= set(tree("out"))
    assert all(LINE.fullmatch(line) for line in err.splitlines()), err
    assert run_here(command("watch", "--status", "out"))[0] == 0


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected a folder to watch, or --status OUT"),
        (("nothing",), "expected a folder to watch, got nothing"),
        (("in", "in"), "elsewhere"),
        (("in", "."), "elsewhere"),
        (("in", "out", "--on-success", "move"), "expected keep, move:DIR or delete"),
        (("in", "out", "--on-success", "move:in"), "elsewhere"),
        (("in", "out", "--settle", "soon"), "expected a length of time"),
        (("in", "out", "--settle", "0s"), "expected a length of time"),
        (("in", "out", "--min-free", "much"), "expected a number"),
        (("in", "out", "--retries", "0"), "retries"),
        (("in", "out", "--stale", "1m"), "--status"),
        (("--status", "out", "--stale", "never"), "expected a length of time"),
    ],
)
def test_wrong_usage_is_exit_2_and_touches_nothing(arguments: tuple[str, ...], said: str) -> None:
    code, _, err = run_here(command("watch", *arguments))
    assert code == 2
    assert said in err
    assert not Path("out").exists()


@pytest.mark.usefixtures("photos")
def test_an_output_that_cannot_be_used_is_exit_6(models: Path) -> None:
    Path("file").touch()
    assert run_here(watch(models, "in", "file/out", "--oneshot"))[0] == 6
    assert run_here(watch(models, "in", "out", "--oneshot", "--log", "file/log"))[0] == 6
    with lock_folder(Path("out")):
        code, _, err = run_here(watch(models, "in", "out", "--oneshot"))
    assert code == 6
    assert "another lumen run works on out" in err


@pytest.mark.usefixtures("photos")
def test_a_missing_model_is_exit_5(models: Path) -> None:
    code, _, err = run_here(watch(models, "in", "out", model="nowhere.onnx"))
    assert code == 5
    assert "there is no model" in err


@pytest.mark.usefixtures("photos")
def test_a_signal_while_it_begins_is_heard(models: Path) -> None:
    log = Path("watch.log")
    with running(watch(models, "in", "out", "--log", log)) as process:
        wait(log.exists, process)  # long before the model is open
        code, _, err = end(process)
    assert (code, err) == (0, "")
    assert run_here(watch(models, "in", "out", "--oneshot"))[0] == 0
    assert len(tree("out")) == 5


@pytest.mark.usefixtures("photos")
def test_the_journal_gets_priorities_and_the_service_manager_is_told(models: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Path("journal").open("w") as journal:
        manager.bind("notify")
        manager.settimeout(60)
        Path("in/b.png").write_bytes(b"no picture")
        facts = os.fstat(journal.fileno())
        environment = {
            **os.environ,
            "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}",
            "NOTIFY_SOCKET": str(Path("notify").absolute()),
            "WATCHDOG_USEC": "300000",
        }
        with subprocess.Popen(watch(models, "in", "out"), stderr=journal, env=environment) as process:
            heard = manager.recv(4096).decode()
            assert heard == "READY=1\nSTATUS=watching"
            while "1 unsupported, 0 waiting\nWATCHDOG=1" not in heard:
                heard = manager.recv(4096).decode()
            process.terminate()
            while "STOPPING=1" not in heard:
                heard = manager.recv(4096).decode()
            assert process.wait(60) == 0
        with subprocess.Popen(watch(models, "nowhere"), stderr=journal, env=environment) as process:
            assert process.wait(60) == 2
    lines = Path("journal").read_text(encoding="utf-8").splitlines()
    assert {line[:3] for line in lines} == {"<3>", "<6>"}
    unsupported, last = [line for line in lines if line.startswith("<3>")]
    assert LINE.fullmatch(unsupported[3:]) and " unsupported path=b.png" in unsupported
    assert last == lines[-1] == "<3>lumen: expected a folder to watch, got nowhere, which is not a folder"
