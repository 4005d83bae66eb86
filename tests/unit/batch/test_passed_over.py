"""What is in folders and not taken, and is told of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lumen.batch import discovery
from lumen.batch.passed_over import PassedOver
from lumen.config import BatchOptions
from lumen.errors import NothingToDoError
from tests.support.batches import plan, planned, touch

pytestmark = pytest.mark.usefixtures("folder")


def found(*inputs: str, **options: object) -> PassedOver:
    chosen = BatchOptions(**{"output": Path("out"), **options})  # type: ignore[arg-type]
    return planned([Path(name) for name in inputs], chosen).plan.passed_over


def test_pictures_in_sub_folders_are_counted_as_r_would_take_them() -> None:
    touch("in/sub/deep/e.png", "in/sub/deep/notes.txt", "in/sub/.x.png", "in/sub/a.jpg.compare.jpg", "in/out/a.jpg")
    assert found("in", output=Path("in/out")).below == 2
    assert len(plan("in", recursive=True, out="in/out").jobs) - len(plan("in", out="in/out").jobs) == 2
    assert found("in", output=Path("in/out"), recursive=True).below == 0
    assert found("in", output=Path("in/out"), exclude=("deep",)).below == 1
    assert found("in", "in/sub", output=Path("in/out")).below == 1, "what another input brings is taken"
    assert found("in/a.jpg").below == 0, "nobody asked for the folder"
    Path("alias").symlink_to("in")
    assert found("alias", "alias/sub", output=None, in_place=True).below == 2, "by whatever way it is found"


def test_what_is_passed_over_is_counted_by_kind() -> None:
    touch(
        "in/m.PSD",
        "in/n.psd",
        "in/Thumbs.db",
        "in/a.xmp",
        "in/README",
        "in/a.jpg.compare.jpg",
        "in/.DS_Store",
    )
    Path("in/link.jpg").symlink_to("a.jpg")
    passed = found("in", follow_links=False)
    assert passed.others == Counter({".psd": 2, ".txt": 1, "": 1})
    assert (passed.hidden, passed.links, passed.comparisons) == (1, 1, 1)
    assert passed.lines() == [
        (
            "passed over: 4 files of other kinds (.psd, no suffix, .txt), 1 hidden file, 1 hidden folder, 1 link, "
            "1 comparison (*.compare.jpg)"
        ),
        "1 picture in sub-folders not taken; add -r",
    ]
    assert found("in", include=("*.jpg",)).others == {}, "it was not asked for"


def test_clips_are_counted_by_themselves_unless_they_are_taken() -> None:
    touch("in/n.mov", "in/o.MP4")
    passed = found("in")
    assert passed.clips == 2
    assert "2 clips not taken; add --clips" in passed.lines()
    assert found("in", clips=True).clips == 0


def test_a_search_that_takes_too_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "LOOK_S", -1.0)
    assert found("in").lines()[-1] == "the sub-folders were not searched; add -r"
    assert PassedOver(below=3, is_all=False).lines() == ["more than 3 pictures in sub-folders not taken; add -r"]


def test_nothing_to_tell_is_no_line() -> None:
    assert PassedOver().lines() == []


def test_where_nothing_is_found_the_kinds_of_files_are_named() -> None:
    touch("films/a.psd")
    with pytest.raises(NothingToDoError, match=r"passed over: 1 file of other kinds \(\.psd\)"):
        found("films")


def test_hidden_folders_are_counted_but_for_those_of_lumen_and_what_is_excluded() -> None:
    touch("in/.lumen/lock", "in/.Trash/a.jpg", "in/sub/.cache/b.jpg")
    assert found("in").hidden_folders == 2
    assert found("in", recursive=True).hidden_folders == 3
    assert found("in", exclude=(".Trash",)).hidden_folders == 1
