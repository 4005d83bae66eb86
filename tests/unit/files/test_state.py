"""The folder that lumen keeps its own files in is real, and so are they."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from lumen.files import state as module
from lumen.files.inputs import NotPlainError, Parent, hold_folder
from lumen.files.state import prepare_database, state_in


def test_it_is_made_where_it_is_missing(tmp_path: Path) -> None:
    with hold_folder(tmp_path) as folder:
        with pytest.raises(FileNotFoundError), state_in(folder, make=False):
            pass
        for _ in range(2):
            with state_in(folder) as state:
                state.open_or_create("lock").close()
    assert (tmp_path / ".lumen" / "lock").is_file()


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".lumen").symlink_to("elsewhere")
    with hold_folder(tmp_path) as folder, pytest.raises(NotPlainError, match="link"), state_in(folder):
        pass
    with pytest.raises(NotPlainError, match="link"):
        prepare_database(tmp_path / ".lumen" / "watch.db")


def test_a_database_is_prepared_below_folders_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out" / ".lumen" / "watch.db"
    prepare_database(path)
    assert list(path.parent.iterdir()) == []
    path.touch()
    prepare_database(path)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe"])
def test_a_database_is_no_link_and_no_pipe(tmp_path: Path, suffix: str, kind: str) -> None:
    (tmp_path / "victim").touch()
    path = tmp_path / ".lumen" / f"watch.db{suffix}"
    path.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("../victim" if kind == "link" else "../new")
    with pytest.raises(NotPlainError, match="it is a"):
        prepare_database(tmp_path / ".lumen" / "watch.db")
    assert (tmp_path / "victim").stat().st_size == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("fresh_is_foreign", [False, True])
def test_an_owner_is_foreign_only_where_fresh_files_have_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fresh_is_foreign: bool
) -> None:
    """As a network disk shows it, on which all files belong to one user, and as it is on others."""
    monkeypatch.setattr(module, "_told", set())
    (tmp_path / ".lumen").mkdir()
    facts = Parent.facts

    def shown(self: Parent, name: str) -> os.stat_result:
        found = list(facts(self, name))
        if name == ".lumen" or fresh_is_foreign:
            found[4] = 12345
        return os.stat_result(found)

    monkeypatch.setattr(Parent, "facts", shown)
    with caplog.at_level(logging.WARNING), hold_folder(tmp_path) as folder:
        for _ in range(2):
            with state_in(folder):
                pass
    warnings = [record.getMessage() for record in caplog.records]
    assert [("belongs to user 12345" in warning) for warning in warnings] == ([] if fresh_is_foreign else [True])
    assert list((tmp_path / ".lumen").iterdir()) == []
