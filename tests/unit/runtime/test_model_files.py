from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lumen.errors import ModelError, UnusableModelError
from lumen.runtime import model_files


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with one bundled model of two files."""
    files = {}
    for sample, name in (("uint8", "m.onnx"), ("uint16", "m.u16.onnx")):
        (tmp_path / name).write_bytes(sample.encode())
        digest = hashlib.sha256(sample.encode()).hexdigest()
        files[sample] = {"file": name, "sha256": digest, "size": len(sample)}
    (tmp_path / "models.json").write_text(json.dumps({"models": [{"name": "m", "files": files}]}))
    monkeypatch.setattr(model_files, "DATA", tmp_path)
    return tmp_path


def test_bundled_models_are_listed_and_found_by_name(bundle: Path) -> None:
    (model,) = model_files.bundled_models()
    assert model.name == "m"
    assert model.files["uint16"].size == 6
    assert model_files.find_model("m") == bundle / "m.onnx"
    assert model_files.find_model("m", "uint16") == bundle / "m.u16.onnx"


def test_no_list_means_no_models(tmp_path: Path) -> None:
    assert model_files.bundled_models(tmp_path) == ()


def test_a_damaged_file_is_refused(bundle: Path) -> None:
    for sample, name in (("uint8", "m.onnx"), ("uint16", "m.u16.onnx")):
        (bundle / name).write_bytes(b"uint9")
        with pytest.raises(UnusableModelError, match="damaged: expected SHA-256"):
            model_files.find_model("m", sample)  # type: ignore[arg-type]
    (bundle / "m.u16.onnx").unlink()
    with pytest.raises(ModelError, match="missing") as caught:
        model_files.find_model("m", "uint16")
    assert not isinstance(caught.value, UnusableModelError)


def test_a_sound_file_is_read_once(bundle: Path) -> None:
    model_files.find_model("m")
    (bundle / "m.onnx").write_bytes(b"changed")
    assert model_files.find_model("m") == bundle / "m.onnx"


@pytest.mark.parametrize("text", ["{", "[]", '{"models": [{"name": "m"}]}', "[" * 100_000], ids=len)
def test_a_malformed_list_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.json").write_text(text)
    with pytest.raises(ModelError, match="malformed"):
        model_files.bundled_models(tmp_path)


@pytest.mark.usefixtures("bundle")
def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"'lumen-x'.*\(m\)"):
        model_files.find_model("lumen-x")


def test_a_users_file_has_its_twin_beside_it(tmp_path: Path) -> None:
    (tmp_path / "own.onnx").touch()
    assert model_files.find_model(str(tmp_path / "own.onnx")) == tmp_path / "own.onnx"
    with pytest.raises(ModelError, match=r"own\.u16\.onnx"):
        model_files.find_model(str(tmp_path / "own.onnx"), "uint16")
    (tmp_path / "own.u16.onnx").touch()
    assert model_files.find_model(str(tmp_path / "own.onnx"), "uint16") == tmp_path / "own.u16.onnx"
