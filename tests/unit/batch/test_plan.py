from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumen.batch import collisions
from lumen.batch.destinations import refuse_existing, skip_reason
from lumen.batch.job import Job
from lumen.batch.plan import Plan, plan_jobs, shard_of
from lumen.config import BatchOptions, Existing
from lumen.errors import NothingToDoError, UsageError

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with pictures (by name only) in `in`."""
    monkeypatch.chdir(tmp_path)
    touch("in/a.jpg", "in/a.png", "in/B.JPG", "in/notes.txt", "in/.hidden.jpg", "in/sub/c.webp", "in/.git/d.jpg")
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*inputs: str, out: str = "out", recursive: bool = False, suffix: str = "") -> Plan:
    options = BatchOptions(output=Path(out), recursive=recursive, suffix=suffix)
    return plan_jobs([Path(name) for name in inputs], options)


def pairs(found: Plan) -> list[tuple[str, str]]:
    return [(str(job.source), str(job.target)) for job in found.jobs]


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


def test_nothing_found_says_what_was_looked_for() -> None:
    touch("empty/deep/a.jpg")
    with pytest.raises(NothingToDoError, match=r"\.jpg.*in empty; use -r"):
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


def test_files_that_cannot_be_looked_at_are_kept_to_fail_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.stat

    def closed(path: Path, **options: bool) -> os.stat_result:
        if path.name == "a.jpg":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", closed)
    found = plan("in")
    assert ("in/a.jpg", "out/a.jpg") in pairs(found)
    policies: list[Existing] = ["skip", "update"]
    assert [skip_reason(found.jobs[1], existing) for existing in policies] == [None, None]
    refuse_existing(found.jobs)


def test_a_lost_input_is_left_to_the_reader() -> None:
    touch("out/a.jpg")
    assert skip_reason(Job(source=Path("in/lost.jpg"), target=Path("out/a.jpg")), "update") is None


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


@pytest.mark.parametrize(
    ("existing", "newer", "expected"),
    [
        ("skip", False, "the result exists"),
        ("skip", True, "the result exists"),
        ("update", False, "the result is newer than the input"),
        ("update", True, None),
        ("overwrite", False, None),
    ],
)
def test_existing_results(existing: Existing, newer: bool, expected: str | None) -> None:
    touch("out/a.jpg")
    os.utime("out/a.jpg", (1000, 1000))
    os.utime("in/a.jpg", (2000, 2000) if newer else (500, 500))
    job = Job(source=Path("in/a.jpg"), target=Path("out/a.jpg"))
    assert skip_reason(job, existing) == expected
    assert skip_reason(Job(source=job.source, target=Path("out/b.jpg")), existing) is None


def test_the_policy_error_names_a_result() -> None:
    touch("out/a.png")
    with pytest.raises(UsageError, match=r"1 exist, such as out/a\.png"):
        refuse_existing(plan("in").jobs)


def test_another_format_that_makes_two_results_one_is_refused() -> None:
    options = BatchOptions(output=Path("out"), format="png")
    with pytest.raises(UsageError, match=r"in/a\.jpg and in/a\.png would both become out/a\.png"):
        plan_jobs([Path("in")], options)


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


def shard(index: int, count: int) -> list[tuple[str, str]]:
    options = BatchOptions(output=Path("out"), recursive=True, shard=(index, count))
    return pairs(plan_jobs([Path("in")], options))


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


def test_every_shard_sees_the_faults_of_the_whole() -> None:
    touch("other/a.jpg")
    for index in (1, 2):
        with pytest.raises(UsageError, match="would both become"):
            plan_jobs([Path("in"), Path("other")], BatchOptions(output=Path("out"), shard=(index, 2)))


def test_a_failure_of_the_plan_belongs_to_one_shard() -> None:
    touch(f"in/{'x' * 251}.jpg")
    plans = [
        plan_jobs([Path("in")], BatchOptions(output=Path("out"), suffix="-lit", shard=(index, 3)))
        for index in (1, 2, 3)
    ]
    assert sum(len(each.failures) for each in plans) == 1
    assert sum(len(each.jobs) for each in plans) == 3


def test_a_listed_file_that_is_not_there_fails_alone() -> None:
    listed = [Path("in/a.jpg"), Path("in/lost.jpg"), Path("x" * 300)]
    found = plan_jobs([], BatchOptions(output=Path("out")), listed=listed)
    assert pairs(found) == [("in/a.jpg", "out/in/a.jpg")]
    assert [(str(each.source), each.reason) for each in found.failures] == [
        ("in/lost.jpg", "there is no such file"),
        ("x" * 300, "there is no such file"),
    ]


def test_an_empty_list_is_nothing_to_do() -> None:
    with pytest.raises(NothingToDoError, match="in an empty list"):
        plan_jobs([], BatchOptions(output=Path("out")))
    with pytest.raises(NothingToDoError, match="that --include and --exclude let through"):
        plan_jobs([Path("in")], BatchOptions(output=Path("out"), include=("*.webp",)))


def in_place(*inputs: str) -> Plan:
    return plan_jobs([Path(name) for name in inputs], BatchOptions(in_place=True, recursive=True))


def test_in_place_a_file_is_its_own_result() -> None:
    found = in_place("in", "in/sub")
    assert [str(job.source) for job in found.jobs] == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/sub/c.webp"]
    assert all(job.target == job.source for job in found.jobs)
    assert found.home == Path("in").resolve()


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "expected --out DIR for the results, or --in-place"),
        ({"output": Path("out"), "in_place": True}, "expected --out or --in-place, got both"),
        ({"in_place": True, "suffix": "-lit"}, "combined with --suffix or --format"),
        ({"in_place": True, "format": "png"}, "combined with --suffix or --format"),
        ({"output": Path("out"), "shard": (0, 2)}, "I from 1 to N, got 0/2"),
        ({"output": Path("out"), "shard": (3, 2)}, "I from 1 to N, got 3/2"),
        ({"output": Path("out"), "include": ("",)}, "a pattern after --include"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BatchOptions(**options)


def test_the_longest_names_get_their_place() -> None:
    longest = "ä" * 125 + "x.jpg"  # 255 bytes
    touch(f"in/{longest}")
    (job,) = (job for job in plan("in").jobs if job.source.name == longest)
    assert job.target.name == longest
    found = plan_jobs([Path("in", longest)], BatchOptions(output=Path("out"), format="avif"))
    assert ["256 bytes" in failure.reason for failure in found.failures] == [True]


def test_a_link_to_itself_fails_by_name_and_folders_of_links_end() -> None:
    Path("in/self.jpg").symlink_to("self.jpg")
    Path("in/sub/one").symlink_to("two")
    Path("in/sub/two").symlink_to("one")
    Path("in/sub/here").symlink_to(".")
    sources_found = [source for source, _ in pairs(plan("in", recursive=True))]
    assert sources_found == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/self.jpg", "in/sub/c.webp"]
