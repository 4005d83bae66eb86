"""Checkpoints: whole or not there, safe to read."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from lumen.errors import ModelError
from lumen.models import build_network
from lumen.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tests.support.training import tiny_recipe


def checkpoint() -> Checkpoint:
    recipe = tiny_recipe()
    network = build_network("context-mirnet", **recipe.network.hyperparameters)
    weights = network.state_dict()
    return Checkpoint(
        iteration=3, recipe=recipe.to_dict(), weights=weights, ema=weights, optimizer=None, best=1.5, facts={"a": [1]}
    )


def test_round_trip_rebuilds_the_network(tmp_path: Path) -> None:
    saved = checkpoint()
    save_checkpoint(saved, tmp_path / "c.pt")
    loaded = load_checkpoint(tmp_path / "c.pt")
    assert (loaded.iteration, loaded.best, loaded.facts) == (3, 1.5, {"a": [1]})
    network = loaded.network()
    assert not network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, saved.ema[name])


def test_files_from_before_there_was_a_state_are_read(tmp_path: Path) -> None:
    values = {name: value for name, value in vars(checkpoint()).items() if name != "state"}
    torch.save({"format": 1, **values}, tmp_path / "older.pt")
    assert load_checkpoint(tmp_path / "older.pt").state == {}


def test_a_failed_write_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(checkpoint(), path)
    before = path.read_bytes()

    def torn(_: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(checkpoint(), path)
    assert path.read_bytes() == before


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_other_files_are_refused_and_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="found none"):
        load_checkpoint(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil(), protocol=2))
    torch.save({"weights": {}}, tmp_path / "other.pt")
    save_checkpoint(checkpoint(), tmp_path / "half.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "half.pt").read_bytes()[:2000])
    for name in ("text", "empty", "folder", "evil", "other", "half"):
        with pytest.raises(ModelError):
            load_checkpoint(tmp_path / f"{name}.pt")
    assert "executed" not in capsys.readouterr().out
