from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from lumen.cluster.shipping import ShippedModel, checksums_of
from lumen.config import RuntimeOptions
from lumen.errors import ModelError, UnavailableError, UnusableModelError
from tests.support.fake_ray import FakeRay


@pytest.fixture(autouse=True)
def _ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FakeRay().install(monkeypatch)
    (tmp_path / "node").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "node"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of the user: its 8-bit file, and what belongs to it."""
    for name in ("m.onnx", "m.u16.onnx", "m.fp16.onnx", "other.onnx"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path / "m.onnx"


@pytest.mark.parametrize("name", ["m.onnx", "m.fp16.onnx"])
def test_all_files_of_a_model_travel(model: Path, name: str) -> None:
    shipped = ShippedModel.of(RuntimeOptions(model=str(model.with_name(name)), threads=3))
    there = shipped.unpacked()
    path = Path(there.model)
    assert there.threads == 3
    assert path.name == name
    assert path.parent != model.parent
    contents = {each.name: each.read_text() for each in path.parent.iterdir()}
    assert contents == {each: each for each in ("m.onnx", "m.u16.onnx", "m.fp16.onnx")}
    assert path.parent.parent.stat().st_mode & 0o077 == 0
    assert shipped.unpacked() == there


def test_a_file_that_was_changed_there_is_written_again(model: Path) -> None:
    shipped = ShippedModel.of(RuntimeOptions(model=str(model)))
    path = Path(shipped.unpacked().model)
    path.write_text("forged")
    assert Path(shipped.unpacked().model).read_text() == "m.onnx"


def test_what_is_damaged_on_its_way_is_refused(model: Path) -> None:
    shipped = ShippedModel.of(RuntimeOptions(model=str(model)))
    damaged = replace(shipped.files["m.onnx"], content=b"other")
    with pytest.raises(UnusableModelError, match=r"m\.onnx was damaged on its way"):
        replace(shipped, files={**shipped.files, "m.onnx": damaged}).unpacked()


def test_a_folder_that_others_can_write_is_not_used(model: Path) -> None:
    shipped = ShippedModel.of(RuntimeOptions(model=str(model)))
    folder = Path(shipped.unpacked().model).parent.parent
    folder.chmod(0o777)
    with pytest.raises(UnavailableError, match="belongs to somebody else"):
        shipped.unpacked()


def test_a_bundled_model_is_compared_and_stays(tmp_path: Path) -> None:
    shipped = ShippedModel.of(RuntimeOptions())
    assert not shipped.files
    assert shipped.unpacked() == RuntimeOptions()
    assert set(checksums_of("lumen-s")) == {"uint8", "uint16"}
    with pytest.raises(UnavailableError, match=r"lumen-s differs .* instead of SHA-256 0+\.\.\."):
        replace(shipped, bundled={"uint8": "0" * 64}).unpacked()
    assert list((tmp_path / "node").iterdir()) == []


def test_a_model_that_is_not_there_is_told_before_anything_travels() -> None:
    with pytest.raises(ModelError, match=r"there is no model 'no\.onnx'"):
        ShippedModel.of(RuntimeOptions(model="no.onnx"))
