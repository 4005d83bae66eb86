"""Files below a folder are what they seem: no link leads out, no pipe makes anybody wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.files import inputs
from lumen.files.inputs import Identity, NotPlainError, hold_folder, open_input, open_named, parent_of

HOW = ["descriptors", "paths"]


@pytest.fixture(params=HOW)
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With descriptors of folders, and as it is done where the system has none."""
    if request.param == "paths":
        monkeypatch.setattr(inputs, "HAS_DESCRIPTORS", False)
    elif not inputs.HAS_DESCRIPTORS:
        pytest.skip("this system has no descriptors of folders")
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with cam/day/a.png, and beside it a private one."""
    (tmp_path / "root" / "cam" / "day").mkdir(parents=True)
    (tmp_path / "root" / "cam" / "day" / "a.png").write_bytes(b"mine")
    (tmp_path / "private" / "day").mkdir(parents=True)
    (tmp_path / "private" / "day" / "a.png").write_bytes(b"theirs")
    return tmp_path / "root"


@pytest.mark.usefixtures("how")
def test_a_file_is_opened_with_what_it_is(root: Path) -> None:
    opened = open_input(root, "cam/day/a.png")
    with opened.stream:
        assert opened.stream.read() == b"mine"
        facts = (root / "cam" / "day" / "a.png").stat()
        assert opened.identity == inputs.Identity.of(facts)
        assert not opened.has_changed()
        (root / "cam" / "day" / "a.png").write_bytes(b"longer than before")
        assert opened.has_changed()


@pytest.mark.usefixtures("how")
def test_the_root_itself_may_be_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    with open_input(root.parent / "link", "cam/day/a.png").stream as stream:
        assert stream.read() == b"mine"


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("swapped", ["cam", "cam/day", "cam/day/a.png"])
def test_a_link_in_any_component_is_refused(root: Path, swapped: str) -> None:
    (root / swapped).rename(root / "old")
    (root / swapped).symlink_to(root.parent / "private" / Path(swapped).relative_to("cam"))
    with pytest.raises(OSError, match=r"(?i)link|directory"):
        open_input(root, "cam/day/a.png")
    with open_named(root / "cam/day/a.png").stream as stream:  # the file is there for who names it
        assert stream.read() == b"theirs"


@pytest.mark.usefixtures("how")
def test_pipes_folders_and_devices_are_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    for name in ("pipe.png", "cam"):
        with pytest.raises(OSError, match=r"pipe|directory"):
            open_input(root, name)
        with pytest.raises(OSError, match=r"pipe|directory"):
            open_named(root / name)
    with pytest.raises(OSError, match="device"):
        open_named(Path("/dev/zero"))


@pytest.mark.usefixtures("how")
@pytest.mark.parametrize("relative", ["", "/etc/passwd", "../private/a.png", "cam/../../x", "cam//a", "./a", "a\0b"])
def test_paths_that_lead_out_are_refused(root: Path, relative: str) -> None:
    with pytest.raises(ValueError, match="expected a plain path"):
        open_input(root, relative)


@pytest.mark.skipif(not inputs.HAS_DESCRIPTORS, reason="this system has no descriptors of folders")
def test_a_folder_that_is_held_stays_the_same_folder(root: Path) -> None:
    with parent_of(root, "cam/day/a.png") as parent:
        (root / "cam").rename(root / "old")
        (root / "cam").symlink_to(root.parent / "private")
        with parent.open("a.png").stream as stream:
            assert stream.read() == b"mine"
        parent.rename("a.png", "b.png")
        parent.link("b.png", "c.png")
        with pytest.raises(FileExistsError):
            parent.link("b.png", "c.png")
        parent.unlink("b.png")
        assert [parent.facts("c.png").st_size] == [4]
    assert (root.parent / "private" / "day" / "a.png").read_bytes() == b"theirs"
    assert [path.name for path in (root / "old" / "day").iterdir()] == ["c.png"]


@pytest.mark.usefixtures("how")
def test_many_files_are_looked_at_and_listed_on_the_same_way(root: Path) -> None:
    assert inputs.facts_below(root, "cam/day/a.png").st_size == 4
    for folder, names in {"": ["cam"], "cam": ["day"], "cam/day": ["a.png"]}.items():
        with inputs.entries_below(root, folder) as (facts, entries):
            assert facts.st_ino == (root / folder).stat().st_ino
            found = [(entry.name, entry.stat(follow_symlinks=False).st_ino) for entry in entries]
            assert found == [(name, (root / folder / name).stat().st_ino) for name in names]
    before = open_descriptors()
    (root / "cam" / "day").rename(root / "old")
    (root / "cam" / "day").symlink_to(root.parent / "private" / "day")
    with pytest.raises(OSError, match=r"(?i)link|directory"):
        inputs.facts_below(root, "cam/day/a.png")
    with pytest.raises(OSError, match=r"(?i)link|directory"), inputs.entries_below(root, "cam/day"):
        pass
    for outside in ("../private/day/a.png", "/etc/passwd"):
        with pytest.raises(ValueError, match="expected a plain path"):
            inputs.facts_below(root, outside)
    assert open_descriptors() == before


@pytest.mark.usefixtures("how")
def test_without_a_race_both_ways_rename_link_and_unlink(root: Path) -> None:
    with parent_of(root, "cam/day/a.png") as parent:
        parent.link("a.png", "b.png")
        parent.rename("a.png", "c.png")
        parent.unlink("b.png")
        assert parent.facts("c.png").st_nlink == 1
    assert [path.name for path in (root / "cam" / "day").iterdir()] == ["c.png"]


@pytest.mark.usefixtures("how")
def test_folders_below_one_that_is_trusted_are_made_and_held(root: Path) -> None:
    with hold_folder(root / "new" / "day", below=root, make=True) as folder:
        with folder.create("a") as file:
            file.write(b"made")
        with pytest.raises(FileExistsError):
            folder.create("a")
        with folder.open_or_create("a") as file:
            assert file.read() == b"made"
        folder.open_or_create("b").close()
        folder.flush()
        assert sorted(folder.names()) == ["a", "b"]
    assert (root / "new" / "day" / "a").read_bytes() == b"made"
    with pytest.raises(FileNotFoundError), hold_folder(root / "missing", below=root):
        pass
    with pytest.raises(NotADirectoryError), hold_folder(root / "cam" / "day" / "a.png", below=root):
        pass
    with pytest.raises(ValueError, match="below"), hold_folder(root / ".." / "private", below=root):
        pass


@pytest.mark.usefixtures("how")
def test_nothing_is_made_or_opened_for_writing_through_a_link(root: Path) -> None:
    (root / "there").symlink_to(root.parent / "private")
    with pytest.raises(NotPlainError, match="'there' is a link"), hold_folder(root / "there", below=root, make=True):
        pass
    with hold_folder(root) as folder:
        (root / "file").symlink_to(root.parent / "private" / "day" / "a.png")
        (root / "broken").symlink_to(root.parent / "private" / "new")
        os.mkfifo(root / "pipe")
        for name in ("file", "broken", "pipe", "cam"):
            with pytest.raises(NotPlainError, match="it is a"):
                folder.open_or_create(name)
            with pytest.raises(FileExistsError):
                folder.create(name)
    assert [path.name for path in (root.parent / "private").iterdir()] == ["day"]


def test_identity_is_of_content_not_of_names_and_mode(root: Path) -> None:
    path = root / "cam" / "day" / "a.png"
    before = Identity.of(path.stat())
    path.chmod(0o600)
    (root / "second").hardlink_to(path)
    assert Identity.of((root / "second").stat()).has_content_of(before)
    path.write_bytes(b"longer than before")
    assert Identity.of(path.stat()).is_file(before)
    assert not Identity.of(path.stat()).has_content_of(before)


def test_descriptors_are_given_back(root: Path) -> None:
    before = open_descriptors()
    for _ in range(50):
        open_input(root, "cam/day/a.png").stream.close()
        with pytest.raises(OSError, match="no"), parent_of(root, "cam/missing/a.png"):
            pass
    assert open_descriptors() == before


def open_descriptors() -> int:
    """Return how many descriptors this process holds, 0 where the system does not tell."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.exists() else 0
