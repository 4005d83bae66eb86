"""The states of the lights of folders in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lumen.watching.ledger.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path)) as ledger:
        yield ledger


def test_the_last_state_of_each_folder_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.light("cam1") is None
    ledger.keep_light("cam1", b"first", 1)
    ledger.keep_light("cam1", b"second", 2)
    ledger.keep_light("", b"other", 3)
    ledger.close()
    with closing(Ledger(tmp_path)) as again:
        assert again.light("cam1") == (b"second", 2)
        assert again.light("") == (b"other", 3)


@pytest.mark.parametrize("row", ["('cam1', 'text', 1)", "(CAST('cam1' AS BLOB), 'text', 1)"])
def test_what_lumen_did_not_write_is_not_believed(ledger: Ledger, row: str) -> None:
    ledger._database.execute(f"INSERT INTO lights VALUES {row}")
    assert ledger.light("cam1") is None
