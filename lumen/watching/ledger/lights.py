"""The states of the lights of folders, in the ledger: what others may have altered is not believed."""

from __future__ import annotations

import os
import sqlite3

KEEP_LIGHT = (
    "INSERT INTO lights VALUES (?, ?, ?) ON CONFLICT (folder) DO UPDATE SET state = excluded.state, "
    "newest_ns = excluded.newest_ns"
)


def light_of(database: sqlite3.Connection, folder: str) -> tuple[bytes, int] | None:
    """Return the state of a folder, and the time of its newest file in nanoseconds; None if there is none."""
    row = database.execute("SELECT state, newest_ns FROM lights WHERE folder = ?", (os.fsencode(folder),)).fetchone()
    if row is None or not isinstance(row[0], bytes) or not isinstance(row[1], int):
        return None
    return row[0], row[1]
