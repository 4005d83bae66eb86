"""Rows that lumen did not write are refused before they are used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumen.watching.ledger.rows import COLUMNS, path_in, row_of
from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.versions import Version

LEDGER = Path("out/.lumen/watch.db")
SOUND: dict[str, Any] = dict(
    zip(COLUMNS.split(", "), (1, b"d/a.jpg", 2, 3, 4, 5, "done", 1, 0, "", 1.5, b"digest"), strict=True)
)


def test_a_sound_row_is_read() -> None:
    row = row_of(LEDGER, list(SOUND.values()))
    assert (row.relative, row.digest) == ("d/a.jpg", b"digest")
    assert (row.version, row.version.ctime_ns) == (Version(2, 3, 4), 5)
    assert row_of(LEDGER, list((SOUND | {"digest": None}).values())).digest is None


@pytest.mark.parametrize(
    "wrong", [{"path": "text"}, {"size": "2"}, {"attempts": 1.5}, {"first_seen": None}, {"digest": "d"}, {"id": None}]
)
def test_values_of_other_types_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DamagedLedgerError, match="a row that lumen did not write"):
        row_of(LEDGER, list((SOUND | wrong).values()))


@pytest.mark.parametrize("path", [b"/etc/a.jpg", b"../a.jpg", b"d/../../a.jpg", b"..", b"", b".", b"a\0b", "a.jpg", 7])
def test_paths_that_lead_out_are_refused(path: object) -> None:
    with pytest.raises(DamagedLedgerError, match="lumen did not write"):
        path_in(LEDGER, path)


@pytest.mark.parametrize("name", [b"a.jpg", b"..a.jpg", b"d/a..jpg", b"new\nline \xff.jpg"])
def test_odd_names_are_names(name: bytes) -> None:
    assert path_in(LEDGER, name) == os.fsdecode(name)
