"""The output folder: held by one, probed, short of space, gone and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from lumen.errors import LockedError, OutputError
from lumen.files.atomic import TEMP_SUFFIX
from lumen.watching.ledger.schema import DamagedLedgerError
from lumen.watching.output import HeldOutput
from lumen.watching.versions import Candidate, Version


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_it_is_held_by_one_at_a_time_and_left_clean(tmp_path: Path) -> None:
    with HeldOutput(tmp_path / "out", None):
        with pytest.raises(LockedError), HeldOutput(tmp_path / "out", None):
            pass
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lumen"]
    with HeldOutput(tmp_path / "out", None):
        pass


def test_what_a_killed_process_left_is_removed_where_it_was_at_work(tmp_path: Path) -> None:
    with HeldOutput(tmp_path, None) as output:
        output.ledger.add({"d/a.jpg": Candidate(version=Version(1, 1, 1), since=0.0, first_seen=0.0)})
        (row,) = output.ledger.next(1, 0.0, newest=False, longest_wait_s=1.0)
        output.ledger.begin({row.key: ("d/a.jpg", "d/a.jpg")})
    for name in ("d", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f".0123{TEMP_SUFFIX}").touch()
    with HeldOutput(tmp_path, None) as output:
        output.clean()
        assert output.ledger.status_of("d/a.jpg", Version(1, 1, 1)) == "ready"
    assert [path.parent.name for path in tmp_path.rglob(f".0*{TEMP_SUFFIX}")] == ["other"]


@pytest.mark.parametrize(
    ("total", "free", "asked", "short"),
    [
        (100 << 30, 2 << 30, None, False),
        (100 << 30, (1 << 30) - 1, None, True),
        (8 << 20, 1 << 20, None, False),  # a tenth of a small disk is enough
        (8 << 20, 1 << 19, None, True),
        (8 << 20, 1 << 19, 0, False),
        (100 << 30, 2 << 30, 3 << 30, True),
    ],
)
def test_a_short_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, total: int, free: int, asked: int | None, short: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    shortage = HeldOutput(tmp_path, asked).shortage()
    assert (shortage is not None) == short
    assert shortage is None or "--min-free" in shortage


def test_work_does_not_stop_and_go_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = HeldOutput(tmp_path, 1000)
    said = []
    for free in (1001, 999, 1001, 1040, 1060, 1001):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(10**6, 0, free))
        said.append(output.shortage() is not None)
    assert said == [False, True, True, True, False, False]


def test_a_folder_that_goes_is_noticed_and_taken_up_again_when_it_is_back(tmp_path: Path) -> None:
    out, away = tmp_path / "out", tmp_path / "away"
    with HeldOutput(out, None) as output:
        assert not output.is_other()
        out.rename(away)
        assert output.is_other()
        with pytest.raises(OutputError, match="its ledger has gone"):
            output.mend()
        out.mkdir()  # as the bare place of a mount
        with pytest.raises(OutputError, match="its ledger has gone"):
            output.mend()
        out.rmdir()
        shutil.copytree(away, out)  # the same disk, mounted anew
        output.mend()
        assert not output.is_other()
        with pytest.raises(LockedError), HeldOutput(out, None):
            pass
        output.ledger.write_facts(state="watching")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with HeldOutput(tmp_path / "out", None) as output:
        output.probe()
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").touch()
        with pytest.raises(OutputError):
            output.probe()
        (tmp_path / "out").unlink()


def test_what_a_killed_process_left_is_known_until_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = Candidate(version=Version(1, 1, 1), since=0.0, first_seen=0.0)
    with HeldOutput(tmp_path / "out", None) as output:
        output.ledger.add({"d/a.jpg": candidate})
        output.ledger.begin({1: ("d/a.jpg", "d/a.jpg")})
    left = tmp_path / "out" / "d" / f".half{TEMP_SUFFIX}"
    left.parent.mkdir()
    left.touch()
    with (
        HeldOutput(tmp_path / "out", None) as output,
        monkeypatch.context() as patch,
    ):  # killed in the middle of cleaning
        patch.setattr(
            "lumen.watching.output.remove_leftovers", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            output.clean()
    with HeldOutput(tmp_path / "out", None) as output:
        output.clean()
        assert not left.exists()
        assert output.ledger.begun() == []


def test_another_ledger_is_not_written_into(tmp_path: Path) -> None:
    out, backup = tmp_path / "out", tmp_path / "backup"
    with HeldOutput(out, None) as output:
        output.ledger.write_facts(state="watching")
        shutil.copytree(out, backup)
        output.ledger.write_facts(state="watching")  # and so on, for days
        out.rename(tmp_path / "away")
        shutil.copytree(backup, out)
        with pytest.raises(DamagedLedgerError, match="was replaced by another ledger"):
            output.mend()


def test_nothing_is_written_or_removed_through_a_link(tmp_path: Path) -> None:
    out, victim, private = tmp_path / "out", tmp_path / "victim", tmp_path / "private"
    victim.write_bytes(b"precious")
    private.mkdir()
    (private / f".0123{TEMP_SUFFIX}").touch()
    with HeldOutput(out, None) as output:
        output.ledger.add({"cam/a.jpg": Candidate(version=Version(1, 1, 1), since=0.0, first_seen=0.0)})
        output.ledger.begin({1: ("cam/a.jpg", "cam/a.jpg")})
        (out / f".probe{TEMP_SUFFIX}").symlink_to(victim)  # the name that it had once
        (out / "cam").symlink_to(private)
        output.probe()
        output.clean()
        assert sorted(path.name for path in out.iterdir()) == [".lumen", "cam"]
    assert victim.read_bytes() == b"precious"
    assert len(list(private.iterdir())) == 1
