"""The engine on a stand-in for Ray; `tests/e2e/test_ray.py` has a real cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from lumen.batch.engines import ray_engine as module
from lumen.batch.engines.local import LocalEngine
from lumen.batch.engines.ray_engine import RayEngine
from lumen.batch.job import Job
from lumen.batch.plan import plan_jobs
from lumen.batch.report import Outcome, Report
from lumen.batch.run import Batch
from lumen.cluster.nodes import SharedFile
from lumen.codecs.codec import write_picture
from lumen.config import BatchOptions, EnhanceOptions, RuntimeOptions
from lumen.errors import UnavailableError, UsageError
from lumen.files.store_path import StorePath
from lumen.imaging.picture import Picture
from lumen.runtime.open import ModelSet
from tests.support.fake_ray import FakeRay, WorkerCrashedError
from tests.support.stores import MemoryFiles


class Silent:
    """Hears nothing."""

    def started(self, _pending: int) -> None: ...

    def counted(self, _pending: int, *, is_all: bool, clips: int = 0) -> None: ...

    def progressed(self, _job: Job, _fraction: float, _megapixels: float, _frames: int = 0) -> None: ...

    def finished(self, _outcome: Outcome) -> None: ...

    def stopping(self) -> None: ...


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    return FakeRay.found(monkeypatch)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for index in range(20):
        picture = Picture(pixels=np.full((8, 9 + index, 3), 10, np.uint8), format="png")
        write_picture(picture, tmp_path / "in" / f"{index:02}.png")
    return tmp_path / "in"


def batch(pictures: Path, out: str, engine: RayEngine | LocalEngine, enhance: EnhanceOptions | None = None) -> Batch:
    options = BatchOptions(output=pictures.parent / out)
    return Batch(plan_jobs([pictures], options), engine, enhance or EnhanceOptions(), options, Silent())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.*g")}


def runtime(model: Path) -> RuntimeOptions:
    return RuntimeOptions(model=str(model), device="cpu")


def test_results_are_those_of_the_local_engine_though_workers_are_lost(
    ray: FakeRay, pictures: Path, fake_model: Path
) -> None:
    losses = iter([True, False, True, True])

    def fault(_tasks: Sequence[object]) -> None:
        if next(losses, False):
            (pictures.parent / "far" / ".0123.lumen-tmp").write_bytes(b"half")
            raise WorkerCrashedError

    ray.fault = fault
    # A comparison that is there would show another result, and is made again; one that is a result itself is not.
    beside = pictures.parent / "far" / "03.png.compare.jpg"
    beside.parent.mkdir()
    beside.write_bytes(b"old")
    report: Report = batch(pictures, "far", RayEngine(runtime(fake_model))).run()
    assert report.counts["done"] == 20
    assert len(beside.read_bytes()) > 3
    beside.unlink()
    batch(pictures, "near", LocalEngine(ModelSet(runtime(fake_model)))).run()
    assert contents(pictures.parent / "far") == contents(pictures.parent / "near")
    assert not list((pictures.parent / "far" / ".lumen").glob("cluster*"))
    assert not list((pictures.parent / "far").glob(".*.lumen-tmp"))


def test_a_damaged_file_fails_alone(ray: FakeRay, pictures: Path, fake_model: Path) -> None:
    assert ray.nodes
    (pictures / "05.png").write_bytes(b"no picture")
    report = batch(pictures, "far", RayEngine(runtime(fake_model))).run()
    assert (report.counts["done"], report.counts["failed"]) == (19, 1)


def test_what_a_node_does_not_see_ends_the_run_before_work_begins(
    ray: FakeRay, pictures: Path, fake_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_seen", lambda _: [SharedFile(path=Path("/other/a.png"), size=1)])
    with pytest.raises(UsageError, match="does not see the folder /other as"):
        batch(pictures, "far", RayEngine(runtime(fake_model))).run()
    assert ray.blocks == []
    assert contents(pictures.parent / "far") == {}


def test_the_model_is_tried_before_the_first_file(ray: FakeRay, pictures: Path, fake_model: Path) -> None:
    assert ray.nodes
    with pytest.raises(UsageError, match="no tone stage"):
        batch(pictures, "far", RayEngine(runtime(fake_model)), EnhanceOptions(shadows=2)).run()
    (pictures / "no.onnx").write_bytes(b"no model")
    with pytest.raises(UnavailableError, match=r"no\.onnx"):
        batch(pictures, "far", RayEngine(runtime(pictures / "no.onnx"))).run()
    assert ray.blocks == []


def test_results_in_a_store_are_those_of_the_local_engine(
    ray: FakeRay, memory_store: MemoryFiles, pictures: Path, fake_model: Path
) -> None:
    for path in pictures.iterdir():
        memory_store.objects[f"bucket/in/{path.name}"] = path.read_bytes()
    memory_store.objects["bucket/in/03.xmp"] = b"<x/>"
    memory_store.objects["bucket/in/04.png.AAE"] = b"<y/>"
    results = []
    for out, engine in (("far", RayEngine(runtime(fake_model))), ("near", LocalEngine(ModelSet(runtime(fake_model))))):
        options = BatchOptions(output=StorePath("s3:", "bucket", out))
        source = StorePath("s3:", "bucket", "in")
        report = Batch(plan_jobs([source], options), engine, EnhanceOptions(), options, Silent()).run()
        assert report.counts["done"] == 20
        found = {key.removeprefix(f"bucket/{out}/"): data for key, data in memory_store.objects.items()}
        results.append({name: data for name, data in found.items() if not name.startswith(("bucket/", ".lumen/"))})
    assert results[0] == results[1]
    assert len(results[0]) == 22
    assert "bucket/far/.lumen/cluster" not in memory_store.objects
    # Workers know no listings: what lies beside a picture travels with it.
    tasks = [task for block in ray.blocks for task in block]
    assert {job.source.name for job, _ in tasks if not job.is_alone} == {"03.png", "04.png"}


def test_in_place_is_refused() -> None:
    with pytest.raises(UsageError, match="--in-place cannot be combined with --engine ray"):
        BatchOptions(in_place=True, engine="ray")
