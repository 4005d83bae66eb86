"""The lines of `lumen watch`, and how it takes the log."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lumen.cli.state import State
from lumen.cli.views.watch import EventLog, event_json, event_line
from lumen.errors import OutputError
from lumen.watching.events import Event, Events

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)


def test_lines_are_quoted_where_they_must_be() -> None:
    facts = {"path": 'a "b"\n.jpg', "empty": "", "plain": "x/y.jpg", "sum": "a=b", "count": 3}
    line = event_line(Event(name="done", level="info", facts=facts), NOW)
    assert line == (
        '2026-01-02T03:04:05.678Z info done path="a \\"b\\"\\\\n.jpg" empty="" plain=x/y.jpg sum="a=b" count=3'
    )
    assert event_line(Event(name="stop", level="info", facts={}), NOW) == "2026-01-02T03:04:05.678Z info stop"


def test_options_in_a_line_can_be_read_back_from_it() -> None:
    for options in ({"ev": 1.0, "tile_px": None, "format": "jpg"}, [{"match": "a b=c"}], {}):
        line = event_line(Event(name="start", level="info", facts={"options": options}), NOW)
        text = line.split(" options=")[1]
        found = json.loads(text)
        assert (json.loads(found) if isinstance(found, str) else found) == options


def test_json_has_the_facts_beside_time_event_and_level() -> None:
    event = Event(name="done", level="info", facts={"path": "a\udcff.jpg", "to": Path("x")})
    found = json.loads(event_json(event, NOW))
    assert found == {
        "time": "2026-01-02T03:04:05.678Z",
        "event": "done",
        "level": "info",
        "path": "a\udcff.jpg",
        "to": "x",
    }


@pytest.mark.parametrize(("verbosity", "names"), [(-1, "cd"), (0, "bcd"), (1, "abcd"), (2, "abcd")])
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
        tell = Events(log.tell).emit
        tell("first")
        path.parent.rename(tmp_path / "away")
        log.reopen()
        tell("lost")
        tell("second")
    assert [line.split()[2] for line in (tmp_path / "away" / "log").read_text().splitlines()][-1] == "second"


def test_a_log_that_cannot_be_written_is_exit_6(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the log"):
        EventLog(State(), tmp_path, as_json=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_log_on_a_full_disk_ends_nothing() -> None:
    with EventLog(State(), Path("/dev/full"), as_json=False) as log:
        Events(log.tell).emit("done")


def test_what_lumen_logs_fails_nobody_when_the_log_cannot_be_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "log"
    path.parent.mkdir()
    with EventLog(State(), path, as_json=False) as log:
        path.parent.rename(tmp_path / "away")
        log.reopen()
        logging.getLogger("lumen.runtime").warning("memory was short")
