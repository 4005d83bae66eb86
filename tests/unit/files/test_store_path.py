from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from lumen.errors import UsageError
from lumen.files.store_path import StorePath, WebPath, is_url, masked, path_of

SIGNED = "https://me:word@host:81/a/b%20c.jpg?X-Amz-Signature=1a2b&x=1"


@pytest.mark.parametrize("name", ["a b.jpg", "a+b.jpg", "a%20b.jpg", "ü/é ñ.jpg", "x#1?.jpg", "a/b::c.jpg", "-.jpg"])
def test_a_key_is_taken_as_it_is(name: str) -> None:
    path = path_of(f"s3://bucket/in/{name}")
    assert isinstance(path, StorePath)
    assert path.key == f"bucket/in/{name}"
    assert str(path) == f"s3://bucket/in/{name}"
    assert path.name == name.rpartition("/")[2]


def test_it_has_what_paths_have() -> None:
    path = path_of("S3://bucket/a/b.jpg")
    assert (path.suffix, path.stem, path.parent, path.is_absolute()) == (".jpg", "b", path_of("s3://bucket/a"), True)
    assert path.with_name("c.png") == path_of("s3://bucket/a") / "c.png" == path_of("s3://bucket/a/c.png")
    assert list(map(str, path.parents)) == ["s3://bucket/a", "s3://bucket"]
    assert path.is_relative_to(path_of("s3://bucket")) and not path.is_relative_to(path_of("gs://bucket"))
    assert not path.is_relative_to(Path("/bucket")) and not Path("/bucket/a").is_relative_to(path_of("s3://bucket"))
    assert Path("out") / path.relative_to(path_of("s3://bucket")) == Path("out/a/b.jpg")
    assert path != Path("s3:/bucket/a/b.jpg")
    assert len({path, path_of("s3://bucket/a/b.jpg/")}) == 1


@pytest.mark.parametrize("url", ["s3://bucket/a/b.jpg", SIGNED])
def test_it_travels_to_other_processes(url: str) -> None:
    path = path_of(url)
    for other in (pickle.loads(pickle.dumps(path)), copy.deepcopy(path), path.parent / path.name):
        assert other == path and isinstance(other, StorePath) and isinstance(path, StorePath)
        assert (other.key, str(other), other.is_known) == (path.key, str(path), True)


def test_a_url_of_a_file_is_its_path() -> None:
    assert path_of("file:///tmp/a%20b.jpg") == Path("/tmp/a b.jpg")
    assert path_of("file://localhost/tmp/a.jpg") == Path("/tmp/a.jpg")
    assert path_of("a/b.jpg") == Path("a/b.jpg")
    assert not isinstance(path_of("file:///tmp"), StorePath)


def test_a_file_of_the_web_keeps_its_url_and_shows_no_secret() -> None:
    path = path_of(SIGNED)
    assert isinstance(path, WebPath)
    assert (path.key, path.name) == (SIGNED, "b c.jpg")
    assert str(path) == "https://***@host:81/a/b%20c.jpg?***"
    for shown in (str(path), repr(path), f"{path.parent}", repr(path.parent)):
        assert "word" not in shown and "1a2b" not in shown


def test_two_files_of_the_web_differ_by_what_is_not_shown() -> None:
    first, second = path_of("https://host/a.jpg?id=1"), path_of("https://host/a.jpg?id=2")
    assert str(first) == str(second)
    assert first != second and first.parent != second.parent


def test_what_lies_beside_a_file_of_the_web_is_not_known() -> None:
    path = path_of(SIGNED)
    for other in (path.with_name("b c.xmp"), path.parent / "other.jpg", path.parent, path.parent.parent):
        assert isinstance(other, StorePath) and not other.is_known
    assert isinstance(path, StorePath) and path.is_known


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://host/a.jpg", "begins with one of"),
        ("s3:///a.jpg", "s3://BUCKET/KEY"),
        ("s3://bucket/a//b.jpg", "without empty"),
        ("s3://bucket/../b.jpg", "without empty"),
        ("s3://me:word@bucket/a.jpg", "no user or password"),
        ("file://other/a.jpg", "three slashes"),
        ("https://host/folder/", "list no folders"),
        ("https://host", "list no folders"),
        ("http://[::1/a.jpg", "list no folders"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_secrets(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as refused:
        path_of(url)
    assert "word" not in str(refused.value).replace("password", "")


def test_urls_are_told_from_paths() -> None:
    assert is_url("s3://b") and is_url("HTTPS://h/a") and not is_url("C://a") and not is_url("a/b://c")


def test_secrets_are_masked_in_text() -> None:
    text = "cannot ask https://me:word@host/a.jpg?sig=1a2b and 's3://k:w@b/a?b', see http://h/x.jpg"
    assert masked(text) == "cannot ask https://***@host/a.jpg?*** and 's3://***@b/a?b', see http://h/x.jpg"
