"""The SQLite file: what is no ledger is refused, and queries use the indexes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lumen.errors import OutputError
from lumen.watching.ledger import schema
from lumen.watching.ledger.folders import _RECENT, _WAITING
from lumen.watching.ledger.ledger import _CLOSE, _EXACT, NAME, Ledger
from lumen.watching.ledger.schema import APPLICATION, SCHEMA, DamagedLedgerError
from lumen.watching.ledger.status import read_status
from tests.conftest import ROOT
from tests.support.ledger import NOW, add, turns, version
from tests.support.watching import outcome


def test_what_is_no_ledger_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / ".lumen" / NAME
    path.parent.mkdir()
    path.write_bytes(b"this is no database, and a long text at that " * 100)
    with pytest.raises(DamagedLedgerError, match="move it away"):
        Ledger(tmp_path)
    assert path.read_bytes().startswith(b"this is no database")


def test_the_ledger_of_a_newer_lumen_is_refused(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    database = sqlite3.connect(tmp_path / ".lumen" / NAME)
    database.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    database.close()
    with pytest.raises(DamagedLedgerError, match="newer"):
        Ledger(tmp_path)


def make(folder: Path, script: str) -> Path:
    path = folder / ".lumen" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
    return path


OF_1 = (ROOT / "tests" / "data" / "before" / "watch.sql").read_text(encoding="utf-8")
FOREIGN = {
    "another program": "CREATE TABLE mails (id INTEGER); PRAGMA user_version = 1",
    "an application": "PRAGMA application_id = 7",
    "a format alone": "PRAGMA user_version = 2",
    "a future one without mark": f"{OF_1}; PRAGMA user_version = 3",
    "more tables": f"{OF_1}; CREATE TABLE mails (id INTEGER)",
    "a trigger": f"{OF_1}; CREATE TRIGGER t AFTER INSERT ON facts BEGIN DELETE FROM versions; END",
    "a view": "CREATE VIEW versions AS SELECT 1 AS id",
    "other columns": f"{OF_1}; ALTER TABLE versions ADD COLUMN more TEXT",
    "columns of format 2": f"{OF_1}; ALTER TABLE versions ADD COLUMN ctime_ns INTEGER",
    "a table of format 3": f"{OF_1}; CREATE TABLE folders (name, done, failed, unsupported, arrived)",
}


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_databases_of_others_are_refused_and_kept(tmp_path: Path, script: str) -> None:
    path = make(tmp_path, script)
    before = path.read_bytes()
    with pytest.raises(DamagedLedgerError, match="another program, or was altered; move it away"):
        Ledger(tmp_path)
    with pytest.raises(OutputError, match="another program, or was altered"):
        read_status(tmp_path, 0.0)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [NAME]


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    make(tmp_path, "")
    Ledger(tmp_path).close()
    ledger = Ledger(tmp_path)
    assert ledger._database.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
    assert ledger._database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    ledger.close()


def test_a_ledger_of_format_1_is_brought_forward_as_a_whole(tmp_path: Path) -> None:
    make(tmp_path, OF_1)
    columns = "id, path, size, mtime_ns, inode, status, attempts, reason, first_seen, finished_at, digest, retire"
    queries = [f"SELECT {columns} FROM versions", "SELECT * FROM results", "SELECT * FROM facts"]
    with closing(sqlite3.connect(tmp_path / ".lumen" / NAME)) as database:
        before = [database.execute(query).fetchall() for query in queries]
    (tmp_path / "new").mkdir()
    new, ledger = Ledger(tmp_path / "new"), Ledger(tmp_path)
    assert [ledger._database.execute(query).fetchall() for query in queries] == before
    assert len(before[0]) == 3
    layout = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    assert ledger._database.execute(layout).fetchall() == new._database.execute(layout).fetchall()
    for each in (new, ledger):
        each.close()
    Ledger(tmp_path).close()  # and is opened as such


def test_a_ledger_of_format_2_is_counted_per_folder_as_a_whole(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        add(ledger, **{"cam1/a": version(), "cam1/b/c": version(mtime=2), "cam2/a": version(mtime=3), "d": version(4)})
        for row, status in zip(turns(ledger), ("done", "failed", "unsupported"), strict=False):
            ledger.finish(outcome(row.key, status, NOW))  # type: ignore[arg-type]
        counted = ledger.folders(NOW)
        ledger._database.executescript("DROP TABLE folders; DROP TABLE lights; PRAGMA user_version = 2")
    assert list(read_status(tmp_path, NOW).folders) == counted  # nobody has brought it forward yet
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger.folders(NOW) == counted
        assert ledger._database.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_a_ledger_of_format_3_keeps_lights_from_now_on(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        add(ledger, a=version())
        ledger._database.executescript("DROP TABLE lights; PRAGMA user_version = 3")
    with closing(Ledger(tmp_path)) as ledger:
        ledger.keep_light("cam1", b"state", 5)
        assert ledger.light("cam1") == (b"state", 5)
        assert len(turns(ledger)) == 1


def test_a_step_forward_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, OF_1)
    with monkeypatch.context() as patch:
        patch.setitem(schema._FROM, 1, f"{schema._FROM[1]} SELECT no_such_function();")
        with pytest.raises(OutputError):
            Ledger(tmp_path)
    ledger = Ledger(tmp_path)
    assert ledger._database.execute("SELECT COUNT(*) FROM versions").fetchone() == (3,)
    ledger.close()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another output folder"):
        Ledger(tmp_path / "file")


def test_a_ledger_that_grows_takes_no_more_memory(ledger: Ledger) -> None:
    assert ledger._database.execute("PRAGMA cache_size").fetchone() == (-256,)


def test_large_ledgers_are_asked_by_their_indexes(ledger: Ledger) -> None:
    queries = {
        "exact": _EXACT,
        "close": _CLOSE,
        "known": "SELECT size, mtime_ns, digest FROM versions WHERE path = ? AND finished_at IS NOT NULL "
        "ORDER BY id DESC LIMIT 1",
        "last": "SELECT id FROM versions WHERE finished_at IS NOT NULL AND status = 'done' "
        "ORDER BY finished_at DESC LIMIT 5",
        "next": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns ASC, id LIMIT 5",
        "newest": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns DESC, id LIMIT 5",
        "replace": "DELETE FROM versions WHERE path = ? AND finished_at IS NULL AND status <> 'working' "
        "AND (size, mtime_ns, inode) <> (?, ?, ?)",
        "counts": "SELECT status, COUNT(*) FROM versions WHERE finished_at IS NOT NULL GROUP BY status",
        "recent": _RECENT,
        "waiting": _WAITING,
        "failed": "SELECT COUNT(*) FROM versions WHERE finished_at IS NOT NULL AND status IN ('failed', 'unsupported') "
        "AND finished_at >= ?",
        "stale": "SELECT COUNT(*) FROM versions WHERE finished_at IS NULL AND first_seen < ?",
        "retire": "SELECT id FROM versions WHERE retire = 1 AND id > 0 ORDER BY id LIMIT 5",
    }
    for name, query in queries.items():
        plan = ledger._database.execute(f"EXPLAIN QUERY PLAN {query}", [b"x"] * query.count("?")).fetchall()
        steps = [step[3] for step in plan]
        assert all("USING" in step and "INDEX" in step for step in steps if "SCAN" in step or "SEARCH" in step), (
            name,
            steps,
        )
