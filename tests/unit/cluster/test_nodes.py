from __future__ import annotations

from pathlib import Path

import pytest

from lumen.cluster.nodes import Expected, SharedFile, marked, versions_here
from lumen.errors import OutputError, UnavailableError, UsageError
from tests.support.fake_ray import FakeRay


@pytest.fixture(autouse=True)
def _ray(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeRay().install(monkeypatch)


def expect(*files: SharedFile, cwd: Path, **versions: str) -> None:
    Expected(versions=versions, files=files, cwd=cwd).check()


def test_a_machine_that_has_all_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"abc")
    with marked(Path("out"), "cluster") as mark:
        assert {"lumen", "Python", "onnxruntime"} == set(versions_here())
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
