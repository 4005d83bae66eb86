"""Checkpoints: whole or not there, safe to read."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lumen.errors import ModelError
from lumen.models import build_network
from lumen.train.checkpoint import Checkpoint, check_weights, chosen_checkpoint, load_checkpoint, save_checkpoint
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


def wrong_value(name: str) -> Any:
    """Return a checkpoint's values with one that is wrong."""
    values: dict[str, Any] = {"format": 1, **vars(checkpoint())}
    weights, recipe = dict(values["ema"]), values["recipe"]
    first = next(iter(weights))
    network = {**recipe["network"]}
    changes: dict[str, dict[str, Any]] = {
        "iteration": {"iteration": "3"},
        "negative": {"iteration": -1},
        "flag": {"iteration": True},
        "recipe": {"recipe": [1]},
        "no network": {"recipe": {}},
        "architecture": {"recipe": {**recipe, "network": {**network, "architecture": 7}}},
        "hyperparameters": {"recipe": {**recipe, "network": {**network, "hyperparameters": [1]}}},
        "seed": {"recipe": {**recipe, "seed": "0"}},
        "weights": {"weights": 5},
        "weight": {"ema": {**weights, first: "text"}},
        "name": {"ema": {**weights, 5: weights[first]}},
        "NaN": {"ema": {**weights, first: weights[first] * math.nan}},
        "infinity": {"weights": {**weights, first: weights[first] + math.inf}},
        "best": {"best": "high"},
        "NaN score": {"best": math.nan},
        "facts": {"facts": 3},
        "tensor in facts": {"facts": {"a": torch.zeros(2)}},
        "scores": {"facts": {"validation": 3}},
        "data": {"facts": {"data": [3]}},
        "optimizer": {"optimizer": 3},
        "NaN in optimizer": {"optimizer": {"state": {0: {"exp_avg": torch.tensor(math.nan)}}}},
        "state": {"state": 3},
        "another field": {"more": 3},
        "large": {"ema": {**weights, first: torch.zeros(1).expand(3_000_000, 3_000_000)}},
    }
    return values | changes[name]


WRONG = (
    "iteration,negative,flag,recipe,no network,architecture,hyperparameters,seed,weights,weight,name,NaN,infinity,best,"
    "NaN score,facts,tensor in facts,scores,data,optimizer,NaN in optimizer,state,another field,large"
)


@pytest.mark.parametrize("name", WRONG.split(","))
def test_wrong_values_inside_are_one_line(tmp_path: Path, name: str) -> None:
    torch.save(wrong_value(name), tmp_path / "c.pt")
    with pytest.raises(ModelError, match="is damaged or not one of lumen's") as caught:
        load_checkpoint(tmp_path / "c.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (tmp_path / "pipe.pt", tmp_path, Path(os.devnull)):
        with pytest.raises(ModelError, match="got something that is no file"):
            load_checkpoint(path)


def test_a_file_that_unpacks_to_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    torch.save(torch.zeros(1_000_000), tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "c.pt", "w") as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="unpacks to more than it holds"):
        load_checkpoint(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({"width": 3_000_000}, "got"),  # a layer of 36 TB and more
        ({"blocks": 1_000_000_000}, "more layers than there are weights"),
        ({"width": -1}, "hyper-parameters of residual"),
        ({"width": "8"}, "hyper-parameters of residual"),
        ({"depth": 1}, "hyper-parameters of residual"),
        ({"blocks": 2}, "other weights"),
    ],
)
def test_a_network_that_is_not_that_of_the_weights_is_not_built(hyperparameters: dict[str, Any], said: str) -> None:
    plain = {"groups": 1, "blocks": 1, "width": 8}
    weights = build_network("residual", **plain).state_dict()
    recipe = tiny_recipe(network={"architecture": "residual", "hyperparameters": plain | hyperparameters})
    wrong = replace(checkpoint(), recipe=recipe.to_dict(), weights=weights, ema=weights)
    with pytest.raises(ModelError, match=f"does not hold the network of its recipe: .*{said}") as caught:
        wrong.network()
    assert "\n" not in str(caught.value)


def test_checking_draws_no_random_numbers() -> None:
    saved = checkpoint()
    before = torch.random.get_rng_state()
    check_weights(saved.ema, "context-mirnet", saved.recipe["network"]["hyperparameters"])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_of_a_run_the_best_is_taken_or_the_last_and_this_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModelError, match=r"without best\.pt and last\.pt"):
        chosen_checkpoint(tmp_path)
    (tmp_path / "last.pt").touch()
    assert chosen_checkpoint(tmp_path) == tmp_path / "last.pt"
    assert "last.pt is taken" in caplog.text
    caplog.clear()
    (tmp_path / "best.pt").touch()
    assert chosen_checkpoint(tmp_path) == tmp_path / "best.pt"
    assert chosen_checkpoint(tmp_path / "last.pt") == tmp_path / "last.pt"
    assert caplog.text == ""
