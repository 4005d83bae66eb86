"""A tiny checkpoint and its model files, exported once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
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
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return export_checkpoint(checkpoint, out, scores={"set": {"psnr_db": 1.0}}, precision="fp16")
