"""Options of `lumen watch`, its lines, and how it takes the log."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from lumen.cli import signals
from lumen.cli.commands.watch import parse_on_success, parse_space, parse_span
from lumen.cli.signals import stoppable
from lumen.cli.state import State
from lumen.cli.views.watch import EventLog, as_json, as_line
from lumen.config import WatchOptions
from lumen.errors import Exit, OutputError, UsageError
from lumen.watching.events import Event, Teller

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("2", 2.0), ("500ms", 0.5), ("1.5s", 1.5), ("2 m", 120.0), ("3min", 180.0), ("1H", 3600.0)]
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    assert parse_span(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0", "-1s", "soon", "1d", "1s2m"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a length of time"):
        parse_span(text)


def test_what_becomes_of_inputs() -> None:
    assert parse_on_success("keep") == ("keep", None)
    assert parse_on_success("delete") == ("delete", None)
    assert parse_on_success("move:a:b") == ("move", Path("a:b"))
    for text in ("move", "move:", "keep:x", "remove", ""):
        with pytest.raises(click.BadParameter, match="move:DIR"):
            parse_on_success(text)


def test_space_may_be_none() -> None:
    assert (parse_space("0"), parse_space("1GiB")) == (0, 1 << 30)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"settle_s": 0.0}, "--settle"),
        ({"rescan_s": float("inf")}, "--rescan"),
        ({"incomplete_timeout_s": -1.0}, "--incomplete-timeout"),
        ({"retries": 0}, "--retries"),
        ({"on_success": "move"}, "--on-success"),
        ({"archive": Path("done")}, "--on-success"),
        ({"min_free_bytes": -1}, "--min-free"),
        ({"suffix": "a/b"}, "--suffix"),
        ({"ignore": ("",)}, "--ignore"),
    ],
)
def test_options_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        WatchOptions(output=Path("out"), **options)  # type: ignore[arg-type]


def test_lines_are_quoted_where_they_must_be() -> None:
    facts = {"path": 'a "b"\n.jpg', "empty": "", "plain": "x/y.jpg", "sum": "a=b", "count": 3}
    line = as_line(Event(name="done", level="info", facts=facts), NOW)
    assert line == (
        '2026-01-02T03:04:05.678Z info done path="a \\"b\\"\\\\n.jpg" empty="" plain=x/y.jpg sum="a=b" count=3'
    )
    assert as_line(Event(name="stop", level="info", facts={}), NOW) == "2026-01-02T03:04:05.678Z info stop"


def test_json_has_the_facts_beside_time_event_and_level() -> None:
    event = Event(name="done", level="info", facts={"path": "a\udcff.jpg", "to": Path("x")})
    found = json.loads(as_json(event, NOW))
    assert found == {
        "time": "2026-01-02T03:04:05.678Z",
        "event": "done",
        "level": "info",
        "path": "a\udcff.jpg",
        "to": "x",
    }


@pytest.mark.parametrize(("verbosity", "names"), [(-1, "cd"), (0, "bcd"), (1, "abcd")])
def test_how_much_is_told(capsys: pytest.CaptureFixture[str], verbosity: int, names: str) -> None:
    with EventLog(State(verbosity=verbosity), None, as_json=False) as log:
        log.tell(Event(name="a", level="debug", facts={}))
        log.tell(Event(name="b", level="info", facts={}))
        log.tell(Event(name="c", level="warning", facts={}))
        log.tell(Event(name="d", level="error", facts={}))
    out, err = capsys.readouterr()
    assert (out, [line.split()[2] for line in err.splitlines()]) == ("", list(names))


def test_what_lumen_logs_becomes_events_and_the_log_is_given_back(tmp_path: Path) -> None:
    logger = logging.getLogger("lumen")
    before = list(logger.handlers)
    with EventLog(State(), tmp_path / "log", as_json=True):
        logging.getLogger("lumen.runtime").warning("memory was short")
    assert logger.handlers == before
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["event"] == "log"
    assert json.loads(line)["message"] == "memory was short"


def test_a_log_that_cannot_be_opened_again_goes_on_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with EventLog(State(), path, as_json=False) as log:
        tell = Teller(log.tell)
        tell("first")
        path.parent.rename(tmp_path / "away")
        log.reopen()
        tell("lost")
        tell("second")
    assert [line.split()[2] for line in (tmp_path / "away" / "log").read_text().splitlines()][-1] == "second"


def test_a_log_that_cannot_be_written_is_exit_6(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the log"):
        EventLog(State(), tmp_path, as_json=False)


class FakeService:
    """What signals need of a service."""

    def __init__(self, hangs: bool = False) -> None:
        self.hangs = hangs
        self.stops = 0

    def run(self) -> Exit:
        signal.raise_signal(signal.SIGTERM)
        return Exit.OK

    def stop(self) -> None:
        self.stops += 1


def test_the_first_signal_stops_and_the_second_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Exit] = []
    monkeypatch.setattr(signals, "leave", left.append)
    before = signal.getsignal(signal.SIGTERM)
    service = FakeService()
    with stoppable(lambda: None) as ending:
        assert ending.run(service) is Exit.OK  # type: ignore[arg-type]
        assert (service.stops, left) == (1, [])
        signal.raise_signal(signal.SIGTERM)
        assert left == [Exit.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_before_there_is_a_service_is_kept() -> None:
    service = FakeService()
    service.run = lambda: Exit.OK  # type: ignore[method-assign]
    with stoppable(lambda: None) as ending:
        signal.raise_signal(signal.SIGINT)
        assert ending.run(service) is Exit.SIGINT  # type: ignore[arg-type]
    assert service.stops == 1


def test_threads_that_hang_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[Exit] = []
    monkeypatch.setattr(signals, "leave", left.append)
    with stoppable(lambda: None) as ending:
        ending.run(FakeService(hangs=True))  # type: ignore[arg-type]
    assert left == [Exit.OK]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_sighup_has_the_log_opened_anew() -> None:
    heard: list[int] = []
    with stoppable(lambda: heard.append(1)):
        signal.raise_signal(signal.SIGHUP)
    assert heard == [1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_log_on_a_full_disk_ends_nothing() -> None:
    with EventLog(State(), Path("/dev/full"), as_json=False) as log:
        Teller(log.tell)("done")


def test_what_lumen_logs_fails_nobody_when_the_log_cannot_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with EventLog(State(), path, as_json=False) as log:
        path.parent.rename(tmp_path / "away")
        log.reopen()
        logging.getLogger("lumen.runtime").warning("memory was short")


def test_the_third_signal_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "leave", lambda _code: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(os, "_exit", sys.exit)
    with stoppable(lambda: None) as ending:
        ending.run(FakeService())  # type: ignore[arg-type]
        with pytest.raises(SystemExit) as left:
            signal.raise_signal(signal.SIGINT)
    assert left.value.code == Exit.SIGTERM
