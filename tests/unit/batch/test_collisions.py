"""Results that would overwrite inputs or each other are refused before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumen.batch import collisions
from lumen.batch import listed as listed_files
from lumen.batch.listed import PathList
from lumen.batch.plan import plan_jobs
from lumen.config import BatchOptions
from lumen.errors import UsageError
from tests.support.batches import pairs, plan, planned, touch

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("out", ["in", "in/", "./in", "in/sub/..", "link"])
def test_output_equal_to_the_input_is_refused(out: str) -> None:
    Path("link").symlink_to("in")
    with pytest.raises(UsageError, match="is the input folder"):
        plan("in", out=out)


def test_a_result_never_overwrites_an_input() -> None:
    with pytest.raises(UsageError, match="overwrite"):
        plan("in/a.jpg", out="in")
    Path("out").mkdir()
    Path("out/a.jpg").symlink_to(Path("in/a.jpg").absolute())
    with pytest.raises(UsageError, match="overwrite"):
        plan("out/a.jpg")
    Path("out/sub").symlink_to(Path("in/sub").absolute())
    with pytest.raises(UsageError, match="overwrite"):
        plan("in", recursive=True)


def test_results_among_the_inputs_are_refused() -> None:
    touch("in/in/x.jpg")
    with pytest.raises(UsageError, match="among the inputs"):
        plan("in", out=".", recursive=True)


def test_two_inputs_for_one_result_are_refused_by_name() -> None:
    touch("other/a.jpg")
    with pytest.raises(UsageError, match=r"in/a\.jpg and other/a\.jpg would both become out/a\.jpg"):
        plan("in", "other")


def test_missing_inputs_and_odd_outputs_are_refused() -> None:
    for name in ("nowhere", "x" * 300):
        with pytest.raises(UsageError, match=f"no file or folder {name}"):
            plan(name)
    with pytest.raises(UsageError, match="got the file in/a"):
        plan("in", out="in/a.jpg")
    with pytest.raises(UsageError, match="names a picture"):
        plan("in/a.jpg", out="b.jpg")


def test_another_format_that_makes_two_results_one_is_refused() -> None:
    options = BatchOptions(output=Path("out"), format="png")
    with pytest.raises(UsageError, match=r"in/a\.jpg and in/a\.png would both become out/a\.png"):
        planned([Path("in")], options)


def test_names_that_differ_in_case_collide_where_the_disk_ignores_case(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("in/b.jpg")
    assert len(plan("in").jobs) == 4
    monkeypatch.setattr(collisions, "_ignores_case", lambda _: True)
    with pytest.raises(UsageError, match="would both become"):
        plan("in")


def test_an_input_is_known_where_the_disk_ignores_case(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("other/b.jpg", "in/B-lit.JPG")
    assert len(plan("other/b.jpg", "in/B-lit.JPG", out="in", suffix="-lit").jobs) == 2
    monkeypatch.setattr(collisions, "_ignores_case", lambda _: True)
    with pytest.raises(UsageError, match=r"would overwrite the input in/B-lit\.JPG"):
        plan("other/b.jpg", "in/B-lit.JPG", out="in", suffix="-lit")


def test_an_input_is_known_by_every_way_to_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("mounted/a.jpg")
    assert len(plan("in/a.jpg", out="mounted").jobs) == 1
    facts, real = Path("in").stat(), Path.stat

    def stat(path: Path, **options: Any) -> os.stat_result:
        return facts if path.name == "mounted" else real(path, **options)

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(UsageError, match=r"would overwrite the input in/a\.jpg"):
        plan("in/a.jpg", out="mounted")
    assert len(plan("in/a.jpg", out="mounted", suffix="-lit").jobs) == 1


def test_this_disk_tells_cases_apart() -> None:
    for output in ("out", "in", "in/sub/deep/er"):
        assert collisions._ignores_case(Path(output)) is Path("IN").exists()


def test_every_shard_sees_the_faults_of_the_whole() -> None:
    touch("other/a.jpg")
    for index in (1, 2):
        with pytest.raises(UsageError, match="would both become"):
            planned([Path("in"), Path("other")], BatchOptions(output=Path("out"), shard=(index, 2)))


def test_a_name_that_the_shell_split_is_told() -> None:
    touch("Day 1/a.jpg")
    with pytest.raises(UsageError, match="no file or folder Day; names with spaces need quotes: 'Day 1'"):
        plan("in", "Day", "1")
    with pytest.raises(UsageError, match=r"no file or folder Day$"):
        plan("in", "Day", "2")


@pytest.mark.parametrize(
    ("listed", "options", "message"),
    [
        (["in/a.jpg", "in/sub/c.webp", "in/a.png"], {"format": "png"}, "in/a.jpg and in/a.png would both become"),
        (["in/a.jpg", "in/sub/c.webp", "photos/x.jpg"], {}, "overwrite the input"),  # photos is out/in
        (["in/a.jpg", "in/sub/c.webp", "link.jpg"], {}, "overwrite the input"),  # to photos/x.jpg
        (["in/sub/c.webp", *(f"many/{number}.jpg" for number in range(50)), "many/link.jpg"], {}, "overwrite"),
        (["in/sub/c.webp", *(f"many/{number}.jpg" for number in range(50)), "many/7.png"], {"format": "png"}, "both"),
        (["in/a.jpg", "in/a.jpg", "in/a.png"], {"format": "png"}, "both"),
    ],
)
def test_of_a_list_nothing_is_begun_before_all_results_are_known_to_be_apart(
    tmp_path: Path, listed: list[str], options: dict[str, Any], message: str
) -> None:
    touch("photos/x.jpg", "in/x.jpg", *(f"many/{number}.jpg" for number in range(50)), "many/7.png")
    Path("out").mkdir()
    Path("out/in").symlink_to(tmp_path / "photos")
    Path("link.jpg").symlink_to("photos/x.jpg")
    Path("many/link.jpg").symlink_to("../photos/x.jpg")
    lines = PathList(data="\n".join([*listed, "in/x.jpg"]).encode())
    blocks = iter(plan_jobs([], BatchOptions(output=Path("out"), **options), listed=lines).blocks)
    with pytest.raises(UsageError, match=message):
        next(blocks)


def test_a_file_that_a_list_names_again_is_no_second_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_files, "GATHERED", 2)
    lines = PathList(data=b"in/a.jpg\nin/B.JPG\n./in/a.jpg\nin/sub/c.webp\nin/../in/a.jpg\n")
    assert pairs(planned([], BatchOptions(output=Path("out")), lines)) == [
        ("in/a.jpg", "out/in/a.jpg"),
        ("in/B.JPG", "out/in/B.JPG"),
        ("in/sub/c.webp", "out/in/sub/c.webp"),
    ]
