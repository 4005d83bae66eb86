from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lumen.codecs.codec import read_picture
from lumen.errors import StoreError
from lumen.files import stores
from lumen.files.identity import Identity, NotPlainError
from lumen.files.inputs import open_input, open_named
from lumen.files.paths import exists, is_folder, is_plain_file, real_path
from lumen.files.store_path import StorePath, path_of
from lumen.files.stores import (
    facts_of,
    list_prefix,
    open_object,
    put_object,
    remove_object,
    require_readable,
    walk_prefix,
)
from tests.support.commands import save
from tests.support.stores import MemoryFiles

ROOT = StorePath("s3:", "bucket", "in")


@pytest.fixture
def objects(memory_store: MemoryFiles) -> MemoryFiles:
    for name in ("a.jpg", "b c.jpg", "sub/d.jpg", "sub/deep/e.jpg"):
        memory_store.objects[f"bucket/in/{name}"] = name.encode()
    return memory_store


@pytest.mark.usefixtures("objects")
def test_an_object_is_like_a_file_and_a_prefix_like_a_folder() -> None:
    assert is_plain_file(ROOT / "a.jpg") and is_folder(ROOT) and is_folder(ROOT / "sub")
    assert exists(ROOT / "a.jpg") and not exists(ROOT / "x.jpg") and real_path(ROOT) is ROOT
    assert (ROOT / "a.jpg").stat().st_size == 5
    assert (ROOT / "a.jpg").read_bytes() == b"a.jpg"


@pytest.mark.usefixtures("objects")
def test_an_object_is_opened_as_files_are() -> None:
    for opened in (open_named(ROOT / "a.jpg"), open_input(ROOT, "a.jpg")):
        with opened.stream as stream:
            assert stream.read() == b"a.jpg" and stream.seek(0) == 0 and not opened.has_changed()
    with pytest.raises(NotPlainError):
        open_object(ROOT / "sub")
    with pytest.raises(FileNotFoundError):
        open_object(ROOT / "x.jpg")


@pytest.mark.usefixtures("objects")
def test_identity_follows_the_content() -> None:
    before = open_object(ROOT / "a.jpg")
    same = open_object(ROOT / "a.jpg")
    assert before.identity == same.identity
    put_object(ROOT / "a.jpg", b"other")
    after = open_object(ROOT / "a.jpg")
    assert before.has_changed() and not after.has_changed()
    assert not before.identity.has_content_of(after.identity)
    remove_object(ROOT / "a.jpg")
    assert after.has_changed()


@pytest.mark.usefixtures("objects")
def test_equal_objects_under_two_keys_are_two_files() -> None:
    put_object(ROOT / "copy.jpg", b"a.jpg")
    first, second = open_object(ROOT / "a.jpg").identity, open_object(ROOT / "copy.jpg").identity
    assert first.size == second.size and not first.is_file(second)


def test_an_object_that_changes_while_it_is_read_is_refused(
    objects: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "cat_file", lambda *_, **__: b"longer than it was")
    with pytest.raises(OSError, match="changed while it was read"):
        open_object(ROOT / "a.jpg")


@pytest.mark.usefixtures("objects")
def test_a_large_object_is_read_by_way_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "IN_MEMORY_BYTES", 3)
    with open_object(ROOT / "a.jpg").stream as stream:
        assert stream.fileno() and stream.read() == b"a.jpg"


def test_clips_are_read_by_way_of_a_file(memory_store: MemoryFiles) -> None:
    memory_store.objects["bucket/in/a.mp4"] = b"clip"
    with open_object(StorePath("s3:", "bucket", "in", "a.mp4")).stream as stream:
        assert os.pread(stream.fileno(), 9, 0) == b"clip"  # as FFmpeg reads it


def test_pictures_are_decoded_from_stores(memory_store: MemoryFiles, tmp_path: Path) -> None:
    save(tmp_path / "a.png", size=(20, 30))
    memory_store.objects["bucket/in/a.png"] = (tmp_path / "a.png").read_bytes()
    for place in (ROOT / "a.png", "s3://bucket/in/a.png"):
        assert read_picture(place).pixels.shape == (20, 30, 3)


@pytest.mark.usefixtures("objects")
def test_a_prefix_is_listed_with_what_lies_directly_below() -> None:
    listing = list_prefix(ROOT)
    assert sorted(listing.files) == ["a.jpg", "b c.jpg"] and listing.folders == {"sub"}
    with pytest.raises(FileNotFoundError):
        list_prefix(ROOT / "none")


@pytest.mark.parametrize("name", ["/b.jpg", "./b.jpg", "../../b.jpg", "/"])
def test_keys_that_no_folder_can_mirror_are_counted(memory_store: MemoryFiles, name: str) -> None:
    memory_store.objects = {"bucket/in/a.jpg": b"", f"bucket/in/{name}": b""}
    listing = list_prefix(ROOT)
    assert (list(listing.files), listing.folders, listing.unusable) == (["a.jpg"], set(), 1)


def test_the_empty_object_in_the_place_of_a_folder_is_none(
    objects: MemoryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = {"name": "bucket/in/", "size": 0, "type": "file"}
    ls = objects.ls
    monkeypatch.setattr(objects, "ls", lambda key, **options: [marker, *ls(key, **options)])
    assert sorted(list_prefix(ROOT).files) == ["a.jpg", "b c.jpg"]


def test_what_was_listed_is_not_asked_again(objects: MemoryFiles) -> None:
    list_prefix(ROOT)
    objects.requests.clear()
    assert is_plain_file(ROOT / "a.jpg") and is_folder(ROOT / "sub") and is_folder(ROOT)
    assert not exists(ROOT / "a.xmp") and not exists(ROOT / "other/a.jpg")
    assert not objects.requests
    assert exists(ROOT / "sub/d.jpg") and objects.requests == {"info": 1}


@pytest.mark.usefixtures("objects")
def test_what_was_put_and_removed_is_known() -> None:
    list_prefix(ROOT)
    put_object(ROOT / "new/x.jpg", b"x")
    put_object(ROOT / "y.jpg", b"yy")
    assert is_folder(ROOT / "new") and is_plain_file(ROOT / "new/x.jpg")
    assert (ROOT / "y.jpg").stat().st_size == 2
    remove_object(ROOT / "y.jpg")
    assert not exists(ROOT / "y.jpg")


def test_listings_are_kept_up_to_a_number_of_objects(objects: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "HELD_OBJECTS", 4)
    list_prefix(ROOT)
    list_prefix(ROOT / "sub")
    objects.requests.clear()
    assert is_plain_file(ROOT / "sub/d.jpg") and not objects.requests
    assert is_plain_file(ROOT / "a.jpg") and objects.requests


@pytest.mark.usefixtures("objects")
def test_a_tree_is_walked_by_name() -> None:
    every = [str(path) for path, _ in walk_prefix(ROOT, lambda _: True)]
    assert every == ["s3://bucket/in", "s3://bucket/in/sub", "s3://bucket/in/sub/deep"]
    assert len(list(walk_prefix(ROOT, lambda path: path.name != "deep"))) == 2


def test_nothing_is_replaced_where_a_new_object_is_asked_for(objects: MemoryFiles) -> None:
    with pytest.raises(FileExistsError):
        put_object(ROOT / "a.jpg", b"other", is_new=True)
    assert objects.objects["bucket/in/a.jpg"] == b"a.jpg"
    put_object(ROOT / "z.jpg", b"z", is_new=True)


def test_the_web_is_only_read(memory_store: MemoryFiles) -> None:
    page = path_of("https://host/a.jpg")
    assert isinstance(page, StorePath)
    with pytest.raises(PermissionError):
        put_object(page, b"x")
    with pytest.raises(NotADirectoryError):
        list_prefix(page)
    assert not exists(page.with_name("a.xmp")) and not memory_store.requests


def test_an_input_that_is_not_there_or_cannot_be_asked_for_is_an_error_of_the_store(objects: MemoryFiles) -> None:
    require_readable(ROOT)
    with pytest.raises(StoreError, match="nothing to read at s3://bucket/none"):
        require_readable(ROOT.parent / "none")
    objects.faults = [PermissionError("Forbidden")]
    with pytest.raises(StoreError, match=r"access is refused .* as the AWS tools ask it"):
        facts_of(ROOT / "a.jpg")


def test_servers_of_the_web_may_not_tell_sizes(memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    page = path_of("https://host/a.jpg")
    assert isinstance(page, StorePath)
    memory_store.objects[page.key] = b"data"
    facts = {"name": page.key, "size": None, "type": "file", "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
    monkeypatch.setattr(memory_store, "info", lambda _: facts)
    opened = open_object(page)
    assert opened.stream.read() == b"data" and opened.identity.mtime_ns == 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("entry", "mtime_s"),
    [
        ({"etag": "x", "generation": "7", "updated": "2023-11-14T22:13:20.000Z"}, 1_700_000_000),  # Google
        ({"ETag": '"x"', "VersionId": "7", "LastModified": 1_700_000_000.0}, 1_700_000_000),
        ({"ETag": '"x"'}, 0),
        ({"updated": "soon"}, 0),
    ],
)
def test_every_store_has_its_own_words(
    memory_store: MemoryFiles, monkeypatch: pytest.MonkeyPatch, entry: dict[str, object], mtime_s: int
) -> None:
    versions = [entry, {**entry, "VersionId": "8", "generation": "8"}]
    monkeypatch.setattr(memory_store, "info", lambda key: {"name": key, "size": 5, "type": "file", **versions.pop(0)})
    first, second = facts_of(ROOT / "a.jpg"), facts_of(ROOT / "a.jpg")
    assert first.st_mtime_ns == mtime_s * 10**9 and first.st_size == 5 and stat.S_ISREG(first.st_mode)
    assert Identity.of(first) != Identity.of(second)
