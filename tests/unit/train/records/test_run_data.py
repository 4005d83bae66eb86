"""What a run was given is kept, and completes the options of those who resume it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from lumen.errors import ModelError, UsageError
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import load_recipe
from lumen.train.records.run_data import recipe_for, resumed_folder, with_data_of, write_data
from tests.support.training import make_trainer, tiny_recipe


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainOptions:
    """The options of a run whose data file was written."""
    monkeypatch.chdir(tmp_path)
    options = TrainOptions(
        run=tmp_path,
        data=(Path("a"), Path(os.fsdecode(b"\xff"))),
        photos=(Path("photos"),),
        weights=((2.0, 1.0), ()),
        val=Path("val"),
        init="lumen-s",
        skip_bad=True,
    )
    write_data(options)
    return options


def test_what_was_given_returns_as_absolute_paths(given: TrainOptions, tmp_path: Path) -> None:
    there = tuple(tmp_path / name for name in ("a", os.fsdecode(b"\xff")))
    expected = replace(given, data=there, photos=(tmp_path / "photos",), val=tmp_path / "val")
    assert with_data_of(tmp_path, TrainOptions(run=tmp_path)) == expected
    assert with_data_of(tmp_path, TrainOptions(run=tmp_path), validated=False) == replace(expected, val=None)


@pytest.mark.usefixtures("given")
def test_what_is_given_now_wins(tmp_path: Path) -> None:
    now = TrainOptions(run=tmp_path, data=(Path("moved"),), val=Path("other"), init="x.pt")
    found = with_data_of(tmp_path, now)
    assert (found.data, found.val, found.init) == (now.data, now.val, now.init)
    assert found.weights == ((), ())
    assert found.photos == (tmp_path / "photos",)


def test_older_runs_say_nothing_and_damage_is_told(tmp_path: Path) -> None:
    options = TrainOptions(run=tmp_path)
    assert with_data_of(tmp_path, options) == options
    for text in ("{", "[]", '{"data": 3}', "[" * 100_000):
        (tmp_path / "data.json").write_text(text)
        with pytest.raises(UsageError, match="give --data again"):
            with_data_of(tmp_path, options)


def test_the_folder_of_a_resumed_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert resumed_folder(run, None) is None
    assert resumed_folder(run, "auto") == run
    assert resumed_folder(run, str(tmp_path)) == tmp_path
    assert resumed_folder(run, str(tmp_path / "last.pt")) == tmp_path


def test_a_resumed_run_keeps_its_recipe(tmp_path: Path) -> None:
    assert recipe_for(None, tmp_path, []) == recipe_for(None, None, []) == load_recipe("lumen-s")
    path = tmp_path / "recipe.toml"
    path.write_text(load_recipe("residual", ["seed=7"]).to_toml())
    assert recipe_for(None, tmp_path, ["optimizer.rate=1e-3"]) == load_recipe(
        "residual", ["seed=7", "optimizer.rate=1e-3"]
    )
    assert recipe_for("mirnet", tmp_path, []) == load_recipe("mirnet")


def test_a_training_from_weights_tunes_their_network(tmp_path: Path) -> None:
    small = tiny_recipe(brightness={"iterations": 0})
    make_trainer(small, tmp_path / "run").save("best.pt", with_optimizer=False)
    fine = load_recipe("lumen-fine", ["seed=3"])
    for folder in (None, tmp_path):
        found = recipe_for(None, folder, ["seed=3"], str(tmp_path / "run"))
        assert found == structs.replace(fine, network=small.network)
    assert recipe_for("residual", None, [], "lumen-s") == load_recipe("residual")
    with pytest.raises(ModelError):
        recipe_for(None, None, [], str(tmp_path / "missing.pt"))
