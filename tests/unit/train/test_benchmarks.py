"""The long measurements of trainings, in short."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablation import BASE, RECIPE, ROWS, generated, main
from benchmarks.pools import main as pools_main
from lumen.models import build_network
from lumen.train.checkpoint import Checkpoint, save_checkpoint
from lumen.train.data.load import load_pairs
from lumen.train.recipe.recipe import from_dict, load_recipe
from tests.conftest import ROOT
from tests.support.commands import ENVIRONMENT
from tests.support.networks import narrow


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_ablation_prints_a_row_for_each_change_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [next(iter(ROWS)), "MSE", "residual"]
    arguments = ["--smoke", "--device", "cpu", "-o", str(tmp_path / "runs"), "--rows", *chosen]
    main(arguments)
    lines = capsys.readouterr().out.splitlines()
    header = next(index for index, line in enumerate(lines) if line.startswith("| change"))
    assert cells(lines[header]) == ["change", "parameters", "GMACs at 256x256", "PSNR", "SSIM", "min"]
    rows = {cells(line)[0]: cells(line)[1:] for line in lines[header + 2 :]}
    assert list(rows) == ["(input)", "(autocontrast)", *chosen]
    assert rows[chosen[0]][0] == rows["MSE"][0] != rows["residual"][0]
    first, other, _ = (
        json.loads((tmp_path / "runs" / name.replace(" ", "-").replace(",", "") / "row.json").read_text())
        for name in chosen
    )
    assert first["psnr"] != other["psnr"]
    held_out = other["held_out"]
    pairs = [pair for pair in load_pairs(generated(tmp_path / "again")) if pair.name in held_out]
    errors = [np.mean((pair.low.astype(float) - pair.high) ** 2) for pair in pairs]
    expected = np.mean([10 * np.log10(255**2 / error) for error in errors])
    assert float(rows["(input)"][2]) == pytest.approx(expected, abs=0.005)

    trained = (tmp_path / "runs" / "MSE" / "best.pt").stat().st_mtime_ns
    main(arguments)
    assert capsys.readouterr().out.splitlines() == lines
    assert (tmp_path / "runs" / "MSE" / "best.pt").stat().st_mtime_ns == trained


def test_every_row_is_a_recipe() -> None:
    for name, changes in ROWS.items():
        recipe = load_recipe(RECIPE, [*BASE, "optimizer.iterations=2", "validation.every=1", *changes])
        with torch.device("meta"):
            network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        assert network.hyperparameters.items() >= recipe.network.hyperparameters.items(), name


def test_recomputed_activations_take_less_memory() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "training_memory.py"), "--smoke", "--json"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=580, check=True)
    kept, recomputed = (json.loads(line) for line in done.stdout.splitlines())
    assert recomputed["peak_gb"] < kept["peak_gb"]
    assert recomputed["loss"] == pytest.approx(kept["loss"], abs=1e-3)


def test_pools_of_a_thumbnail_as_large_as_the_picture_are_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = narrow("mirnet-cbam")
    recipe = from_dict(
        {"name": "n", "network": {"architecture": "mirnet-cbam", "hyperparameters": dict(network.hyperparameters)}}
    )
    weights = network.state_dict()
    checkpoint = Checkpoint(
        iteration=1, recipe=recipe.to_dict(), weights=weights, ema=weights, optimizer=None, best=0.0, facts={}
    )
    save_checkpoint(checkpoint, tmp_path / "best.pt")
    low = generated(tmp_path / "pairs") / "low"
    pools_main([str(tmp_path / "best.pt"), str(low), "--sides", "64", "8", "--count", "2", "--json"])
    own, reduced = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (own["side_px"], own["largest"]) == (64, 0)
    assert reduced["largest"] > 0, "control: far too small a thumbnail is seen"
