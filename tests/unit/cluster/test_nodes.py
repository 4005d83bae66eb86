from __future__ import annotations

import os
from pathlib import Path

import pytest

from lumen.cluster.nodes import Expected, SharedFile, expected_of, marked, versions_here
from lumen.errors import OutputError, StoreError, UnavailableError, UsageError
from lumen.files.store_path import StorePath
from lumen.files.stores import forget_listings, put_object
from tests.support.fake_ray import FakeRay
from tests.support.stores import MemoryFiles


@pytest.fixture(autouse=True)
def _ray(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRay().install(monkeypatch)


def expect(*files: SharedFile, cwd: Path, **versions: str) -> None:
    Expected(versions=versions, files=files, cwd=cwd).check()


def test_a_machine_that_has_all_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"abc")
    with marked(Path("out"), "cluster") as mark:
        assert {"lumen", "Python", "onnxruntime", "pillow", "imagecodecs", "tifffile"} <= set(versions_here())
        expect(SharedFile.of(tmp_path / "a.jpg"), mark, cwd=tmp_path, **versions_here())
    assert not mark.path.exists()


def test_relative_paths_start_from_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jpg").write_bytes(b"abc")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    expect(SharedFile(path=Path("a.jpg"), size=3), cwd=tmp_path)


@pytest.mark.parametrize("name", ["lumen", "Python", "onnxruntime"])
def test_other_versions_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=rf"has {name} \S+, and the machine that started the run 0\.0"):
        expect(cwd=tmp_path, **{**versions_here(), name: "0.0"})


def test_an_empty_mount_point_is_noticed(tmp_path: Path) -> None:
    lost = SharedFile(path=tmp_path / "photos" / "a.jpg", size=3)
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match=r"node 10\.0\.0\.1 does not see the folder .*photos as this machine does"):
        expect(lost, cwd=tmp_path)


def test_a_folder_of_the_same_path_on_another_disk_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with marked(out, "cluster") as mark:
        mark.path.write_bytes(bytes(mark.size))  # what another disk would show
        with pytest.raises(UsageError, match=rf"does not see the folder \S*{out.name} as"):
            expect(mark, cwd=tmp_path)


def test_a_folder_that_cannot_be_marked_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError), marked(tmp_path / "out", "cluster"):
        pass


BUCKET = StorePath("s3:", "bucket")


def test_a_store_is_seen_by_its_objects(memory_store: MemoryFiles, tmp_path: Path) -> None:
    put_object(BUCKET / "in" / "a.jpg", b"abc")
    with marked(BUCKET / "out", "cluster") as mark:
        expect(SharedFile.of(BUCKET / "in" / "a.jpg"), mark, cwd=tmp_path)
        memory_store.objects["bucket/out/.lumen/cluster"] = bytes(mark.size)  # of a bucket of that name elsewhere
        with pytest.raises(UsageError, match=r"node 10\.0\.0\.1 does not see s3://bucket/out as .* AWS_ENDPOINT_URL"):
            expect(mark, cwd=tmp_path)
    assert set(memory_store.objects) == {"bucket/in/a.jpg"}


def test_a_store_that_a_machine_may_not_ask_is_told_with_its_name(memory_store: MemoryFiles, tmp_path: Path) -> None:
    put_object(BUCKET / "in" / "a.jpg", b"abc")
    asked = SharedFile.of(BUCKET / "in" / "a.jpg")
    forget_listings()
    memory_store.faults = [PermissionError("no")]
    with pytest.raises(
        UnavailableError, match=r"node 10\.0\.0\.1: cannot read s3://bucket/in/a.jpg: access is refused"
    ):
        expect(asked, cwd=tmp_path)
    assert StoreError.exit_code == UnavailableError.exit_code


def test_where_a_store_is_travels_and_who_asks_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.9:9000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-word")
    expected = expected_of([])
    assert "a-secret-word" not in repr(expected)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    expected.check()
    assert os.environ["AWS_ENDPOINT_URL"] == "http://10.0.0.9:9000"
