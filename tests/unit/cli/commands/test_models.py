from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lumen.cli.main import main
from lumen.errors import Exit
from lumen.runtime import model_files
from tests.support.fakes import write_fake_onnx

SCORES = {"LOL eval15": {"psnr_db": 21.78, "ssim": 0.836}, "Kodak": {"psnr_db": 43.2}}


def bundle(folder: Path, monkeypatch: pytest.MonkeyPatch, scores: object) -> None:
    path = write_fake_onnx(folder / "fake.onnx", training={"scores": scores}, gmacs_per_mp=29.6, parameters=1_234_567)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    files = {"uint8": {"file": path.name, "sha256": digest, "size": 4_700_000}}
    (folder / "models.json").write_text(json.dumps({"models": [{"name": "fake", "files": files}]}))
    monkeypatch.setattr(model_files, "DATA", folder)


def test_models_are_listed_with_cost_and_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle(tmp_path, monkeypatch, SCORES)
    assert main(["models"]) == Exit.OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[1] == ["fake", "uint8", "4.7", "1,234,567", "29.6"]
    assert lines[2] == ["model", "measured", "on", "PSNR", "dB", "SSIM"]
    assert lines[3:] == [["fake", "Kodak", "43.20"], ["fake", "LOL", "eval15", "21.78", "0.836"]]


def test_json_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle(tmp_path, monkeypatch, SCORES)
    assert main(["models", "--json"]) == Exit.OK
    facts = json.loads(capsys.readouterr().out)
    assert facts["training"]["scores"] == SCORES
    assert facts["sizes_bytes"] == {"uint8": 4_700_000}


def test_models_without_scores_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle(tmp_path, monkeypatch, {})
    assert main(["models"]) == Exit.OK
    assert "No measured scores" in capsys.readouterr().out


def test_an_installation_without_models_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(model_files, "DATA", tmp_path)
    assert main(["models"]) == Exit.OK
    assert "No models are bundled" in capsys.readouterr().out
