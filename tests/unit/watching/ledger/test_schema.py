"""The SQLite file: what is no ledger is refused, and queries use the indexes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lumen.errors import OutputError
from lumen.watching.ledger.ledger import NAME, Ledger
from lumen.watching.ledger.schema import SCHEMA, DamagedLedgerError


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


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another output folder"):
        Ledger(tmp_path / "file")


def test_a_ledger_that_grows_takes_no_more_memory(ledger: Ledger) -> None:
    assert ledger._database.execute("PRAGMA cache_size").fetchone() == (-256,)


def test_large_ledgers_are_asked_by_their_indexes(ledger: Ledger) -> None:
    queries = {
        "status": "SELECT status FROM versions WHERE path = ? AND size = ? AND mtime_ns = ? AND inode = ?",
        "next": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns ASC, id LIMIT 5",
        "newest": "SELECT id FROM versions WHERE finished_at IS NULL AND status = 'ready' AND shy = 0 "
        "ORDER BY mtime_ns DESC, id LIMIT 5",
        "replace": "DELETE FROM versions WHERE path = ? AND finished_at IS NULL AND status <> 'working' "
        "AND (size, mtime_ns, inode) <> (?, ?, ?)",
        "counts": "SELECT status, COUNT(*) FROM versions WHERE finished_at IS NOT NULL GROUP BY status",
        "retire": "SELECT id FROM versions WHERE retire = 1 AND id > 0 ORDER BY id LIMIT 5",
    }
    for name, query in queries.items():
        plan = ledger._database.execute(f"EXPLAIN QUERY PLAN {query}", [b"x"] * query.count("?")).fetchall()
        steps = [step[3] for step in plan]
        assert all("USING" in step and "INDEX" in step for step in steps if "SCAN" in step or "SEARCH" in step), (
            name,
            steps,
        )
