from __future__ import annotations

from pathlib import Path

import pytest

from lumen.batch.listed import read_list
from lumen.config import BatchOptions
from lumen.errors import StoreError, UsageError
from lumen.files.store_path import StorePath, path_of
from tests.support.batches import pairs, planned
from tests.support.stores import MemoryFiles

ROOT = StorePath("s3:", "bucket")


@pytest.fixture
def objects(memory_store: MemoryFiles) -> MemoryFiles:
    names = "b.jpg a%20c.jpg notes.txt a.xmp .hidden.jpg sub/c.jpg sub/deep/ü.png .lumen/x.jpg out/old.jpg x//y.jpg"
    memory_store.objects = {f"bucket/{name}": b"x" for name in names.split()}
    return memory_store


def found(*inputs: Path, out: str = "out", recursive: bool = True, listed: bytes = b"", **options: object) -> list[str]:
    batching = BatchOptions(output=path_of(out), recursive=recursive, **options)  # type: ignore[arg-type]
    plan = planned(inputs, batching, read_list(listed, null=False))
    return [f"{source} -> {target}" for source, target in pairs(plan)]


@pytest.mark.usefixtures("objects")
def test_a_tree_of_prefixes_is_mirrored_in_the_order_of_names() -> None:
    assert found(ROOT, out="s3://other/res") == [
        "s3://bucket/a%20c.jpg -> s3://other/res/a%20c.jpg",
        "s3://bucket/b.jpg -> s3://other/res/b.jpg",
        "s3://bucket/out/old.jpg -> s3://other/res/out/old.jpg",
        "s3://bucket/sub/c.jpg -> s3://other/res/sub/c.jpg",
        "s3://bucket/sub/deep/ü.png -> s3://other/res/sub/deep/ü.png",
    ]


@pytest.mark.usefixtures("objects")
def test_results_on_a_disk_have_the_names_of_the_keys() -> None:
    assert found(ROOT / "sub")[1] == "s3://bucket/sub/deep/ü.png -> out/deep/ü.png"


@pytest.mark.usefixtures("objects")
def test_the_output_is_left_out() -> None:
    assert not any("old" in line for line in found(ROOT, out="s3://bucket/out"))


@pytest.mark.usefixtures("objects")
def test_patterns_and_depth_hold_in_stores_too() -> None:
    assert len(found(ROOT, recursive=False)) == 2
    assert len(found(ROOT, include=("*.png",))) == 1
    assert not any("sub" in line for line in found(ROOT, exclude=("sub",)))


def test_each_prefix_is_listed_once(objects: MemoryFiles) -> None:
    found(ROOT)
    assert objects.requests["ls"] == 5  # the bucket, out, sub, sub/deep, x


@pytest.mark.usefixtures("objects")
def test_what_is_not_taken_is_counted() -> None:
    told = planned([ROOT], BatchOptions(output=Path("out"), recursive=True)).plan.passed_over.lines()[0]
    assert "1 file of other kinds (.txt), 1 hidden file, 1 key with an empty, . or .. part" in told


@pytest.mark.usefixtures("objects")
def test_two_pictures_with_one_result_are_refused() -> None:
    with pytest.raises(UsageError, match=r"would both become s3://other/res/b\.jpg"):
        found(ROOT / "b.jpg", StorePath("gs:", "bucket", "b.jpg"), out="s3://other/res")


def test_a_root_that_cannot_be_listed_is_an_error_and_a_prefix_below_fails(objects: MemoryFiles) -> None:
    options = BatchOptions(output=Path("out"), recursive=True)
    objects.faults = [None, PermissionError("Forbidden")]
    with pytest.raises(StoreError, match="cannot read s3://bucket"):
        planned([ROOT], options)
    objects.faults = [None, PermissionError("Forbidden")]
    [failure] = planned([ROOT], options).failures
    assert str(failure.source) == "s3://bucket/out" and "cannot list" in failure.reason


def test_a_list_may_hold_urls_which_are_not_asked_for(objects: MemoryFiles) -> None:
    lines = found(
        listed=b"s3://bucket/sub/c.jpg\ns3://bucket/none.jpg\nhttps://host/a%20b.jpg?sig=1\nfile:///tmp/x.jpg\n"
    )
    assert lines == [
        "s3://bucket/sub/c.jpg -> out/bucket/sub/c.jpg",
        "s3://bucket/none.jpg -> out/bucket/none.jpg",
        "https://host/a%20b.jpg?*** -> out/host/a b.jpg",
    ]
    assert not objects.requests


@pytest.mark.usefixtures("objects")
def test_a_list_may_hold_prefixes() -> None:
    assert found(listed=b"s3://bucket/sub\n") == [
        "s3://bucket/sub/c.jpg -> out/bucket/sub/c.jpg",
        "s3://bucket/sub/deep/\xfc.png -> out/bucket/sub/deep/\xfc.png",
    ]


@pytest.mark.usefixtures("objects")
def test_a_store_is_not_changed_in_place() -> None:
    with pytest.raises(UsageError, match="--in-place cannot be combined with s3://bucket"):
        planned([ROOT], BatchOptions(in_place=True))
    listed = read_list(b"s3://bucket/b.jpg", null=False)
    [failure] = planned([], BatchOptions(in_place=True), listed).failures
    assert "cannot replace" in failure.reason


def test_an_input_that_is_not_there_is_an_error_of_the_store(objects: MemoryFiles) -> None:
    with pytest.raises(StoreError, match="nothing to read at s3://bucket/none"):
        found(ROOT / "none")
    objects.faults = [PermissionError("Forbidden")]
    with pytest.raises(StoreError, match="access is refused"):
        found(ROOT)
