from __future__ import annotations

import os
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from lumen.batch.block import Block
from lumen.batch.destinations import Origin, destination_of
from lumen.batch.engines.local import LocalEngine
from lumen.batch.job import Job
from lumen.batch.output_store import OutputStore
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.config import BatchOptions, EnhanceOptions, Existing
from lumen.errors import OutputError, PictureError, UsageError
from lumen.files import stores
from lumen.files.identity import Identity
from lumen.files.paths import exists
from lumen.files.store_path import StorePath
from tests.support.batches import Quiet
from tests.support.commands import save
from tests.support.fakes import FakeModels
from tests.support.stores import MemoryFiles

IN, OUT = StorePath("s3:", "bucket", "in"), StorePath("s3:", "bucket", "out")
ORIGIN = Origin(identity=Identity(0, 0, 0, 0, 0))


def block(folder: str = "", *names: str) -> Block:
    return Block(source=IN / folder, target=OUT / folder, place=Path(folder), names=names, results=names)


def store_of(existing: Existing = "skip") -> OutputStore:
    found = destination_of(BatchOptions(output=OUT, existing=existing))
    assert isinstance(found, OutputStore)
    return found


def fill(store: MemoryFiles, *keys: str) -> None:
    for key in keys:
        store.pipe_file(f"bucket/{key}", b"data", mode="overwrite")
    store.requests.clear()


def test_what_exists_is_found_by_one_listing_of_each_prefix(memory_store: MemoryFiles) -> None:
    fill(memory_store, "in/a.jpg", "in/b.jpg", "in/sub/a.jpg", "out/a.jpg", "out/sub/a.jpg", "out/x")
    output = store_of()
    reasons = output.skip_reasons(block("", "a.jpg", "b.jpg"))
    assert [reason is None for reason in reasons] == [False, True]
    assert output.skip_reasons(block("sub", "a.jpg")) != [None]
    assert output.skip_reasons(block("sub", "c.jpg")) == [None]
    assert memory_store.requests["ls"] == 2


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_what_lies_beside_pictures_is_known_though_few_listings_are_kept(
    memory_store: MemoryFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existing: Existing
) -> None:
    monkeypatch.setattr(stores, "HELD_OBJECTS", 9)
    save(tmp_path / "a.png", size=(9, 8))
    for folder, name in product(range(9), "abc"):
        memory_store.objects[f"bucket/in/{folder}/{name}.png"] = (tmp_path / "a.png").read_bytes()
    memory_store.objects["bucket/in/5/b.xmp"] = b"<x/>"
    memory_store.objects["bucket/out/7/c.png.compare.jpg"] = b"old"
    options = BatchOptions(output=OUT, recursive=True, existing=existing)
    enhance = EnhanceOptions(unchanged="encode")
    report = Batch(plan_jobs([IN], options), LocalEngine(FakeModels()), enhance, options, Quiet()).run()
    assert report.counts["done"] == 27
    assert memory_store.objects["bucket/out/5/b.xmp"] == b"<x/>"
    assert memory_store.objects["bucket/out/7/c.png.compare.jpg"] != b"old"  # it would show another result
    assert memory_store.requests["info"] < 27 * 3  # and not ten of each


def test_prefixes_that_are_not_there_are_not_listed(memory_store: MemoryFiles) -> None:
    fill(memory_store, "out/x")
    assert store_of().skip_reasons(block("new/sub", "a.jpg", "b.jpg")) == [None, None]
    assert not exists(OUT / "new/sub/a.jpg.compare.jpg")
    assert memory_store.requests == {"ls": 1}


def test_a_picture_costs_two_requests_to_read_and_one_to_write(memory_store: MemoryFiles, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", size=(20 + number, 20))
        memory_store.objects[f"bucket/in/sub/{number}.png"] = (tmp_path / f"{number}.png").read_bytes()
    for existing, listings in (("skip", 0), ("overwrite", 1)):
        batching = BatchOptions(output=OUT, existing=existing, recursive=True)  # type: ignore[arg-type]
        plan = plan_jobs([IN], batching)
        memory_store.requests.clear()
        engine = LocalEngine(FakeModels(gain=2.0))
        report = Batch(plan, engine, EnhanceOptions(), batching, Quiet()).run()
        assert report.counts["done"] == 4
        assert memory_store.requests["cat_file"] == 4 + 1  # and the lock
        assert memory_store.requests["info"] <= 4 + 4  # and the lock, and whether inputs are results
        assert memory_store.requests["pipe_file"] == 4 + 3  # and the lock twice, and the record
        assert memory_store.requests["ls"] == 5 + listings


@pytest.mark.parametrize(
    ("existing", "first", "then", "skips"),
    [
        ("skip", "in/a.jpg", "out/a.jpg", True),
        ("skip", "out/a.jpg", "in/a.jpg", True),
        ("update", "in/a.jpg", "out/a.jpg", True),
        ("update", "out/a.jpg", "in/a.jpg", False),
        ("overwrite", "in/a.jpg", "out/a.jpg", False),
    ],
)
def test_times_are_those_at_which_objects_were_written(
    memory_store: MemoryFiles, existing: Existing, first: str, then: str, skips: bool
) -> None:
    fill(memory_store, first, then)
    [reason] = store_of(existing).skip_reasons(block("", "a.jpg"))
    assert (reason is not None) == skips


def test_existing_results_are_refused_on_request(memory_store: MemoryFiles) -> None:
    fill(memory_store, "in/a.jpg", "out/a.jpg")
    with pytest.raises(UsageError, match=r"such as s3://bucket/out/a\.jpg"):
        store_of("error").refuse_existing(block("", "a.jpg"))


def test_a_result_is_put_whole(memory_store: MemoryFiles) -> None:
    with store_of().held():
        store_of().put(Job(source=IN / "a.jpg", target=OUT / "a.jpg"), b"result", ORIGIN)
    assert memory_store.objects == {"bucket/out/a.jpg": b"result"}


def test_what_fits_into_no_memory_is_put_when_it_is_complete(memory_store: MemoryFiles) -> None:
    output, job = store_of(), Job(source=IN / "a.mp4", target=OUT / "a.mp4")
    with suppress(ZeroDivisionError), output.writing(job, ORIGIN) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert memory_store.objects == {}
    with output.writing(job, ORIGIN) as file:
        assert os.fstat(file.fileno()).st_size == 0  # which FFmpeg gets
        file.write(b"result")
    assert memory_store.objects == {"bucket/out/a.mp4": b"result"}
    memory_store.faults = [PermissionError("Forbidden")]
    with pytest.raises(OutputError, match=r"s3://bucket/out/a\.mp4"), output.writing(job, ORIGIN):
        pass


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (PermissionError("Forbidden"), OutputError),
        (FileNotFoundError("no bucket"), OutputError),
        (OSError(36, "the key is too long"), PictureError),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed"), PictureError),
    ],
)
def test_the_fault_of_one_name_stops_no_run(memory_store: MemoryFiles, fault: Exception, kind: type[Exception]) -> None:
    memory_store.faults = [fault]
    with pytest.raises(kind, match=r"s3://bucket/out/a\.jpg"):
        store_of().put(Job(source=IN / "a.jpg", target=OUT / "a.jpg"), b"result", ORIGIN)


def test_a_prefix_that_cannot_be_listed_is_an_error_of_the_output(memory_store: MemoryFiles) -> None:
    memory_store.faults = [PermissionError("Forbidden")]
    with pytest.raises(OutputError, match="cannot list s3://bucket/out"):
        store_of().skip_reasons(block("", "a.jpg"))
