from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.config import BatchOptions, Existing
from lumen.errors import NothingToDoError, UsageError
from lumen.sources import Job, Plan, plan_jobs, refuse_existing, skip_reason


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


def test_a_folder_is_searched_by_suffix_and_not_deeper(folder: Path) -> None:
    assert pairs(plan("in")) == [("in/B.JPG", "out/B.JPG"), ("in/a.jpg", "out/a.jpg"), ("in/a.png", "out/a.png")]


def test_recursion_mirrors_the_tree(folder: Path) -> None:
    assert pairs(plan("in", recursive=True))[-1] == ("in/sub/c.webp", "out/sub/c.webp")


def test_single_files_go_directly_into_the_output_whatever_their_name(folder: Path) -> None:
    assert pairs(plan("in/sub/c.webp", "in/notes.txt")) == [
        ("in/sub/c.webp", "out/c.webp"),
        ("in/notes.txt", "out/notes.txt"),
    ]


def test_suffix_stands_before_the_extension(folder: Path) -> None:
    assert pairs(plan("in/a.jpg", suffix="-lit")) == [("in/a.jpg", "out/a-lit.jpg")]
    assert pairs(plan("in/a.jpg", out="in", suffix="-lit")) == [("in/a.jpg", "in/a-lit.jpg")]


def test_a_file_found_twice_is_taken_once(folder: Path) -> None:
    assert pairs(plan("in/a.jpg", "./in/a.jpg", "in/sub/../a.jpg", "in"))[0] == ("in/a.jpg", "out/a.jpg")
    assert len(plan("in/a.jpg", "./in/a.jpg", "in/sub/../a.jpg", "in").jobs) == 3


def test_output_inside_the_input_is_not_fed_back(folder: Path) -> None:
    touch("in/out/a.jpg", "in/out/deeper/a.jpg")
    sources = [source for source, _ in pairs(plan("in", out="in/out", recursive=True))]
    assert sources == ["in/B.JPG", "in/a.jpg", "in/a.png", "in/sub/c.webp"]


@pytest.mark.parametrize("out", ["in", "in/", "./in", "in/sub/..", "link"])
def test_output_equal_to_the_input_is_refused(folder: Path, out: str) -> None:
    Path("link").symlink_to("in")
    with pytest.raises(UsageError, match="is the input folder"):
        plan("in", out=out)


def test_a_result_never_overwrites_an_input(folder: Path) -> None:
    with pytest.raises(UsageError, match="overwrite"):
        plan("in/a.jpg", out="in")
    Path("out").mkdir()
    Path("out/a.jpg").symlink_to(Path("in/a.jpg").absolute())
    with pytest.raises(UsageError, match="overwrite"):
        plan("out/a.jpg")
    Path("out/sub").symlink_to(Path("in/sub").absolute())
    with pytest.raises(UsageError, match="overwrite"):
        plan("in", recursive=True)


def test_results_among_the_inputs_are_refused(folder: Path) -> None:
    touch("in/in/x.jpg")
    with pytest.raises(UsageError, match="among the inputs"):
        plan("in", out=".", recursive=True)


def test_two_inputs_for_one_result_are_refused_by_name(folder: Path) -> None:
    touch("other/a.jpg")
    with pytest.raises(UsageError, match=r"in/a\.jpg and other/a\.jpg would both become out/a\.jpg"):
        plan("in", "other")


def test_missing_inputs_and_odd_outputs_are_refused(folder: Path) -> None:
    for name in ("nowhere", "x" * 300):
        with pytest.raises(UsageError, match=f"no file or folder {name}"):
            plan(name)
    with pytest.raises(UsageError, match="got the file in/a"):
        plan("in", out="in/a.jpg")
    with pytest.raises(UsageError, match="names a picture"):
        plan("in/a.jpg", out="b.jpg")


def test_nothing_found_says_what_was_looked_for(folder: Path) -> None:
    touch("empty/deep/a.jpg")
    with pytest.raises(NothingToDoError, match=r"\.jpg.*in empty; use -r"):
        plan("empty")


def test_links_to_a_parent_do_not_loop(folder: Path) -> None:
    Path("in/sub/up").symlink_to(Path("in").absolute())
    Path("elsewhere").mkdir()
    touch("elsewhere/e.jpg")
    Path("in/sub/there").symlink_to(Path("elsewhere").absolute())
    targets = [target for _, target in pairs(plan("in", recursive=True))]
    assert targets == ["out/B.JPG", "out/a.jpg", "out/a.png", "out/sub/c.webp", "out/sub/there/e.jpg"]


def test_pipes_are_left_out_and_broken_links_are_not(folder: Path) -> None:
    os.mkfifo("in/pipe.jpg")
    Path("in/broken.jpg").symlink_to("nowhere.jpg")
    sources = [source for source, _ in pairs(plan("in"))]
    assert "in/pipe.jpg" not in sources
    assert "in/broken.jpg" in sources


def test_files_that_cannot_be_looked_at_are_kept_to_fail_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_lost_input_is_left_to_the_reader(folder: Path) -> None:
    touch("out/a.jpg")
    assert skip_reason(Job(source=Path("in/lost.jpg"), target=Path("out/a.jpg")), "update") is None


def test_names_with_newlines_or_no_utf8_work(folder: Path) -> None:
    names = [b"new\nline.jpg", b"\xff\xfe.jpg"]
    for name in names:
        Path("odd", os.fsdecode(name)).parent.mkdir(exist_ok=True)
        Path("odd", os.fsdecode(name)).touch()
    assert sorted(os.fsencode(job.target.name) for job in plan("odd").jobs) == sorted(names)


def test_a_name_that_gets_too_long_fails_alone(folder: Path) -> None:
    longest = "x" * 251 + ".jpg"
    touch(f"in/{longest}")
    assert any(job.target.name == longest for job in plan("in").jobs)
    found = plan("in", suffix="-lit")
    assert len(found.jobs) == 3
    (failure,) = found.failures
    assert (failure.source.name, failure.status) == (longest, "failed")
    assert "259 bytes" in failure.reason


def test_folders_that_cannot_be_listed_are_failures(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_existing_results(folder: Path, existing: Existing, newer: bool, expected: str | None) -> None:
    touch("out/a.jpg")
    os.utime("out/a.jpg", (1000, 1000))
    os.utime("in/a.jpg", (2000, 2000) if newer else (500, 500))
    job = Job(source=Path("in/a.jpg"), target=Path("out/a.jpg"))
    assert skip_reason(job, existing) == expected
    assert skip_reason(Job(source=job.source, target=Path("out/b.jpg")), existing) is None


def test_the_policy_error_names_a_result(folder: Path) -> None:
    touch("out/a.png")
    with pytest.raises(UsageError, match=r"1 exist, such as out/a\.png"):
        refuse_existing(plan("in").jobs)
