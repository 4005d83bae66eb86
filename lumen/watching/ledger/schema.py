"""The SQLite file of the ledger: its tables, how it is opened, and what its errors mean.

What is no ledger is refused before anything is written. A ledger of an earlier format is brought forward when it is
opened: format 2 knows ctimes, format 3 counts per folder, format 4 keeps their steady light.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lumen.errors import DiskFullError, OutputError
from lumen.files.state import prepare_database
from lumen.watching.ledger.folders import COUNTED, add_functions

SCHEMA = 4
APPLICATION = int.from_bytes(b"lumn", "big")  # in the file's header, from format 2 on
BUSY_S = 1.0  # wait for others that lock it; short, as stopping must not take long
CACHE_KIB = 256  # SQLite's page cache, which grows to 2 MiB by default
LOG_PAGES = 256  # of the write-ahead log, 1 MiB: the disk may be small

_TABLES = """
CREATE TABLE IF NOT EXISTS versions (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL DEFAULT 0,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    interruptions INTEGER NOT NULL DEFAULT 0,
    shy INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    first_seen REAL NOT NULL,
    due REAL NOT NULL DEFAULT 0,
    finished_at REAL,
    seconds REAL NOT NULL DEFAULT 0,
    megapixels REAL NOT NULL DEFAULT 0,
    digest BLOB,
    retire INTEGER NOT NULL DEFAULT 0,
    UNIQUE (path, size, mtime_ns, inode, ctime_ns)
);
CREATE INDEX IF NOT EXISTS waiting ON versions (status, shy, mtime_ns) WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS unfinished ON versions (path) WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS finished ON versions (status, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS retiring ON versions (id) WHERE retire = 1;
CREATE TABLE IF NOT EXISTS results (target BLOB PRIMARY KEY, path BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (
    name BLOB PRIMARY KEY,
    done INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    unsupported INTEGER NOT NULL,
    arrived REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lights (folder BLOB PRIMARY KEY, state BLOB NOT NULL, newest_ns INTEGER NOT NULL);
"""
_COLUMNS = {  # of format 1
    "versions": "id path size mtime_ns inode status attempts interruptions shy reason first_seen due finished_at "
    "seconds megapixels digest retire",
    "results": "target path",
    "facts": "name value",
}
_MORE_COLUMNS = {
    2: {"versions": "ctime_ns"},
    3: {"folders": "name done failed unsupported arrived"},
    4: {"lights": "folder state newest_ns"},
}
# SQLite cannot change what is unique in a table.
_FROM_1 = f"""
ALTER TABLE versions RENAME TO earlier;
DROP INDEX waiting; DROP INDEX unfinished; DROP INDEX finished; DROP INDEX retiring;
{_TABLES}
INSERT INTO versions ({", ".join(_COLUMNS["versions"].split())}) SELECT * FROM earlier;
DROP TABLE earlier;
"""
_FROM = {
    0: _TABLES,
    1: f"{_FROM_1} INSERT INTO folders {COUNTED};",
    2: f"{_TABLES} INSERT INTO folders {COUNTED};",
    3: _TABLES,
}
_FULL = {sqlite3.SQLITE_FULL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class DamagedLedgerError(OutputError):
    """The ledger cannot be used as it is; a person must decide."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a ledger, or make one; transactions are up to the caller.

    Raises:
        DamagedLedgerError: The file is not a ledger, or was written by a newer lumen.
        OutputError: It cannot be written (`DiskFullError` if the disk is full).
    """
    with faults(path):
        prepare_database(path)
        database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            _prepare(database, path)
        except BaseException:
            database.close()
            raise
    return database


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into those that the watcher distinguishes."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            raise DamagedLedgerError(
                f"{path} is damaged ({error}); move it away and start again, with --skip-backlog if the files that "
                "are there were enhanced before"
            ) from error
        if code in _FULL:
            raise DiskFullError(f"no space left in {path.parent} for {path.name!r} ({error}); free some") from error
        raise OutputError(f"cannot write {str(path)!r}: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}; choose another output folder") from error


def schema_of(database: sqlite3.Connection, path: Path) -> int:
    """Return the format of a ledger, 0 for an empty file; nothing is written.

    Raises:
        DamagedLedgerError: It is no ledger, or was written by a newer lumen.
        sqlite3.Error: It cannot be read.
    """
    (schema,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    things = set(database.execute("SELECT type, name FROM sqlite_master WHERE type <> 'index'"))
    if not things and not application and not schema:
        return 0
    if application == APPLICATION and schema > SCHEMA:
        raise DamagedLedgerError(f"{path} was written by a newer lumen (format {schema}); use that one")
    known = {(0, 1), *((APPLICATION, each) for each in range(2, SCHEMA + 1))}
    if (application, schema) not in known or not _has_columns(database, things, schema):
        raise DamagedLedgerError(
            f"{path} is a database of another program, or was altered; move it away, or choose another output folder"
        )
    return int(schema)


def _has_columns(database: sqlite3.Connection, things: set[tuple[str, str]], schema: int) -> bool:
    """Tell whether there are the tables of a ledger and nothing else: triggers would act whenever it is written."""
    wanted = {table: set(columns.split()) for table, columns in _COLUMNS.items()}
    for since, more in _MORE_COLUMNS.items():
        for table, columns in more.items() if since <= schema else ():
            wanted.setdefault(table, set()).update(columns.split())
    if any(kind != "table" or (name not in wanted and not name.startswith("sqlite_")) for kind, name in things):
        return False
    return all(
        {row[1] for row in database.execute(f"PRAGMA table_info({table})")} == columns
        for table, columns in wanted.items()
    )


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    schema = schema_of(database, path)
    add_functions(database)
    try:
        database.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_IOERR:
            raise
        database.execute("PRAGMA journal_mode = DELETE")  # some network file systems have no shared memory
    # A killed process loses nothing. A power cut may lose the last transactions: files whose results are on the disk
    # are then enhanced again.
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    database.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
    if schema < SCHEMA:
        marks = f"PRAGMA user_version = {SCHEMA}; PRAGMA application_id = {APPLICATION};"
        database.executescript(f"BEGIN IMMEDIATE; {_FROM[schema]} {marks} COMMIT")
