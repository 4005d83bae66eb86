"""A tiny checkpoint and its model files, exported once for all tests."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from filelock import FileLock  # torch needs it too
from torch import nn

from lumen.models import Network
from lumen.train.checkpoint import Checkpoint, save_checkpoint
from lumen_export.export import export_checkpoint
from lumen_export.exported import Exported
from tests.support.networks import random_context_mirnet
from tests.support.training import tiny_recipe


@pytest.fixture(scope="session")
def network() -> Network:
    """A network whose every weight matters, the exposure head included."""
    network = random_context_mirnet()
    nn.init.normal_(network.get_parameter("exposure.out.weight"), std=0.5)
    return network


@pytest.fixture(scope="session")
def checkpoint(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "best.pt"
    recipe = tiny_recipe(network={"hyperparameters": dict(network.hyperparameters)})
    weights = network.state_dict()
    facts = {"validation": {"psnr": 20.0}}
    save_checkpoint(
        Checkpoint(
            iteration=5, recipe=recipe.to_dict(), weights=weights, ema=weights, optimizer=None, best=0.0, facts=facts
        ),
        path,
    )
    return path


@pytest.fixture(scope="session")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Exported:
    """The files, which the first worker of pytest-xdist that needs them exports for all."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "exported"
    folder.mkdir(exist_ok=True)
    facts = folder / "exported.pickle"
    with FileLock(folder / "lock"):
        if not facts.exists():
            scores = {"set": {"psnr_db": 1.0}}
            made = export_checkpoint(checkpoint, folder / "model" / "tiny.onnx", scores=scores, precision="fp16")
            facts.write_bytes(pickle.dumps(made))
    found: Exported = pickle.loads(facts.read_bytes())
    return found
