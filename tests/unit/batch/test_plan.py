"""Which pictures are enhanced, where each result goes, and which share takes it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from lumen.batch.plan import plan_jobs, shard_of
from lumen.config import BatchOptions
from lumen.errors import NothingToDoError
from tests.support.batches import Planned, pairs, plan, planned, touch

LAST = "in/sub/sub/last.jpg"

pytestmark = pytest.mark.usefixtures("folder")


def test_a_folder_is_searched_by_suffix_and_not_deeper() -> None:
    assert pairs(plan("in")) == [("in/B.JPG", "out/B.JPG"), ("in/a.jpg", "out/a.jpg"), ("in/a.png", "out/a.png")]


def test_recursion_mirrors_the_tree() -> None:
    assert pairs(plan("in", recursive=True))[-1] == ("in/sub/c.webp", "out/sub/c.webp")


def test_single_files_go_directly_into_the_output_whatever_their_name() -> None:
    assert pairs(plan("in/sub/c.webp", "in/notes.txt")) == [
        ("in/sub/c.webp", "out/c.webp"),
        ("in/notes.txt", "out/notes.txt"),
    ]


def test_suffix_stands_before_the_extension() -> None:
    assert pairs(plan("in/a.jpg", suffix="-lit")) == [("in/a.jpg", "out/a-lit.jpg")]
    assert pairs(plan("in/a.jpg", out="in", suffix="-lit")) == [("in/a.jpg", "in/a-lit.jpg")]


def test_a_file_found_twice_is_taken_once() -> None:
    assert pairs(plan("in/a.jpg", "./in/a.jpg", "in/sub/../a.jpg", "in"))[0] == ("in/a.jpg", "out/a.jpg")
    assert len(plan("in/a.jpg", "./in/a.jpg", "in/sub/../a.jpg", "in").jobs) == 3


def test_output_inside_the_input_is_not_fed_back() -> None:
    touch("in/out/a.jpg", "in/out/deeper/a.jpg")
    sources = [source for source, _ in pairs(plan("in", out="in/out", recursive=True))]
    assert sources == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/sub/c.webp"]


def test_nothing_found_says_what_was_looked_for() -> None:
    touch("empty/deep/a.jpg")
    with pytest.raises(NothingToDoError, match=r"\.jpg.*in empty; 1 picture in sub-folders not taken; add -r"):
        plan("empty")


def test_links_to_a_parent_do_not_loop() -> None:
    Path("in/sub/up").symlink_to(Path("in").absolute())
    Path("elsewhere").mkdir()
    touch("elsewhere/e.jpg")
    Path("in/sub/there").symlink_to(Path("elsewhere").absolute())
    targets = [target for _, target in pairs(plan("in", recursive=True))]
    assert targets == ["out/B.JPG", "out/a.jpg", "out/a.png", "out/sub/c.webp", "out/sub/there/e.jpg"]


def test_a_link_changes_no_place_of_what_is_really_there() -> None:
    touch("elsewhere/d.jpg", "in/.store/e.jpg")
    before = pairs(plan("in", recursive=True))
    Path("in/a-link").symlink_to("sub")  # comes before `sub` by name
    assert pairs(plan("in", recursive=True)) == before
    Path("in/away").symlink_to(Path("elsewhere").resolve())
    Path("in/again").symlink_to(Path("elsewhere").resolve())
    Path("in/shown").symlink_to(".store")
    assert pairs(plan("in", recursive=True))[len(before) :] == [
        ("in/again/d.jpg", "out/again/d.jpg"),
        ("in/shown/e.jpg", "out/shown/e.jpg"),
    ]
    assert pairs(plan("in")) == before[:-1]


def test_pipes_are_left_out_and_broken_links_are_not() -> None:
    os.mkfifo("in/pipe.jpg")
    Path("in/broken.jpg").symlink_to("nowhere.jpg")
    sources = [source for source, _ in pairs(plan("in"))]
    assert "in/pipe.jpg" not in sources
    assert "in/broken.jpg" in sources


def test_names_with_newlines_or_no_utf8_work() -> None:
    names = [b"new\nline.jpg", b"\xff\xfe.jpg"]
    for name in names:
        Path("odd", os.fsdecode(name)).parent.mkdir(exist_ok=True)
        Path("odd", os.fsdecode(name)).touch()
    assert sorted(os.fsencode(job.target.name) for job in plan("odd").jobs) == sorted(names)


def test_a_name_that_gets_too_long_fails_alone() -> None:
    longest = "x" * 251 + ".jpg"
    touch(f"in/{longest}")
    assert any(job.target.name == longest for job in plan("in").jobs)
    found = plan("in", suffix="-lit")
    assert len(found.jobs) == 3
    (failure,) = found.failures
    assert (failure.source.name, failure.status) == (longest, "failed")
    assert "259 bytes" in failure.reason


def test_folders_that_cannot_be_listed_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (failure,) = plan("in", recursive=True).failures
    assert (str(failure.source), failure.reason) == ("in/sub", "cannot list: Permission denied")


def shard(index: int, count: int) -> list[tuple[str, str]]:
    options = BatchOptions(output=Path("out"), recursive=True, shard=(index, count))
    return pairs(planned([Path("in")], options))


def test_shards_are_disjoint_and_complete() -> None:
    touch(*(f"in/many/{index}.jpg" for index in range(100)))
    everything = pairs(plan("in", recursive=True))
    for count in (1, 2, 7):
        shares = [shard(index, count) for index in range(1, count + 1)]
        assert sorted(pair for share in shares for pair in share) == sorted(everything)
        assert all(len(share) > 100 / count / 2 for share in shares)


def test_shards_are_the_same_on_every_machine() -> None:
    # Values that must never change: machines with different versions share one run.
    assert [shard_of(Path(name), 8) for name in ("a.jpg", "sub/a.jpg", "b.jpg", "caf\u00e9.jpg")] == [3, 7, 3, 1]
    assert shard_of(Path("cafe\u0301.jpg"), 8) == shard_of(Path("caf\u00e9.jpg"), 8)
    assert shard_of(Path(os.fsdecode(b"\xff.jpg")), 8) in range(1, 9)


def test_a_failure_of_the_plan_belongs_to_one_shard() -> None:
    touch(f"in/{'x' * 251}.jpg")
    plans = [
        planned([Path("in")], BatchOptions(output=Path("out"), suffix="-lit", shard=(index, 3))) for index in (1, 2, 3)
    ]
    assert sum(len(each.failures) for each in plans) == 1
    assert sum(len(each.jobs) for each in plans) == 3


def test_a_listed_file_that_is_not_there_fails_alone() -> None:
    listed = [Path("in/a.jpg"), Path("in/lost.jpg"), Path("x" * 300)]
    found = planned([], BatchOptions(output=Path("out")), listed=listed)
    assert pairs(found) == [("in/a.jpg", "out/in/a.jpg")]
    assert [(str(each.source), each.reason) for each in found.failures] == [
        ("in/lost.jpg", "there is no such file"),
        ("x" * 300, "there is no such file"),
    ]


def test_an_empty_list_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDoError, match="in an empty list"):
        planned([], BatchOptions(output=Path("out")))
    with pytest.raises(NothingToDoError, match=r"^no pictures that --include and --exclude let through"):
        planned([Path("in")], BatchOptions(output=Path("out"), include=("*.webp",)))


def in_place(*inputs: str) -> Planned:
    return planned([Path(name) for name in inputs], BatchOptions(in_place=True, recursive=True))


def test_in_place_a_file_is_its_own_result() -> None:
    found = in_place("in", "in/sub")
    assert [str(job.source) for job in found.jobs] == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/sub/c.webp"]
    assert all(job.target == job.source for job in found.jobs)
    assert found.plan.home == Path("in").resolve()


def test_in_place_a_link_that_is_named_leads_to_its_file_once() -> None:
    Path("link.jpg").symlink_to("in/a.jpg")
    (job,) = in_place("link.jpg", "in/a.jpg").jobs
    assert job.target == Path("in/a.jpg").resolve()


def test_in_place_read_only_files_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "a.jpg" and real(path, mode))
    (failure,) = in_place("in").failures
    assert (str(failure.source), failure.reason) == ("in/a.jpg", "the file is read-only")


def test_in_place_the_pictures_of_read_only_folders_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "sub" and real(path, mode))
    found = in_place("in")
    assert [(str(each.source), each.reason) for each in found.failures] == [
        ("in/sub/c.webp", "its folder is read-only")
    ]
    assert len(found.jobs) == 3


def test_the_longest_names_get_their_place() -> None:
    longest = "ä" * 125 + "x.jpg"  # 255 bytes
    touch(f"in/{longest}")
    (job,) = (job for job in plan("in").jobs if job.source.name == longest)
    assert job.target.name == longest
    found = planned([Path("in", longest)], BatchOptions(output=Path("out"), format="avif"))
    assert ["256 bytes" in failure.reason for failure in found.failures] == [True]


def test_a_link_to_itself_fails_by_name_and_folders_of_links_end() -> None:
    Path("in/self.jpg").symlink_to("self.jpg")
    Path("in/sub/one").symlink_to("two")
    Path("in/sub/two").symlink_to("one")
    Path("in/sub/here").symlink_to(".")
    sources_found = [source for source, _ in pairs(plan("in", recursive=True))]
    assert sources_found == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/self.jpg", "in/sub/c.webp"]


@pytest.mark.parametrize(
    ("inputs", "listed", "options", "is_stream"),
    [
        (["in"], [], {"output": Path("out")}, True),
        (["in", "in/sub"], [], {"output": Path("out")}, False),
        (["in/a.jpg", LAST], [], {"output": Path("out")}, False),
        ([], ["in/a.jpg", "in/sub/c.webp", LAST], {"output": Path("out")}, True),
        ([], ["in/a.jpg", "in/sub"], {"output": Path("out")}, False),
        (["in/a.jpg"], ["in/sub/c.webp", LAST], {"output": Path("out")}, False),
        (["in"], [], {"in_place": True, "backup": Path("kept")}, True),
        (["in", "in/sub"], [], {"in_place": True, "backup": Path("kept")}, False),
        ([], ["in/a.jpg", "in/sub/c.webp", LAST], {"in_place": True, "backup": Path("kept")}, False),
        (["in", "in/sub"], ["in"], {"in_place": True}, True),
    ],
)
def test_work_begins_early_where_it_is_known_that_no_results_meet(
    inputs: list[str], listed: list[str], options: dict[str, Any], is_stream: bool
) -> None:
    touch(LAST)
    choice = BatchOptions(recursive=True, **options)
    blocks = iter(plan_jobs(list(map(Path, inputs)), choice, listed=list(map(Path, listed))).blocks)
    assert LAST not in [str(job.source) for job in next(blocks).jobs()]
    Path(LAST).unlink()
    assert (LAST not in [str(job.source) for block in blocks for job in block.jobs()]) is is_stream


def test_a_plan_can_be_gone_through_again() -> None:
    plan = plan_jobs([Path("in"), Path("in/sub")], BatchOptions(output=Path("out")))
    first = [list(block.jobs()) for block in plan.blocks]
    passed_over = dataclasses.replace(plan.passed_over)
    assert [list(block.jobs()) for block in plan.blocks] == first
    assert plan.passed_over == passed_over
