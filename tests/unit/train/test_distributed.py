"""Several processes train as one does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lumen.errors import UsageError
from lumen.train.checkpoint import load_checkpoint
from lumen.train.distributed import World
from tests.support.commands import ENVIRONMENT

WORKER = """
import sys
from pathlib import Path
import torch
from lumen.train.distributed import join_world, leave_world
from tests.support.training import make_trainer, tiny_recipe
torch.set_num_threads(1)
world = join_world("cpu")
recipe = tiny_recipe(optimizer={"amp": "off"}, brightness={"iterations": 0})
make_trainer(recipe, Path(sys.argv[1]), world=world).fit()
leave_world(world)
"""


def test_two_processes_equal_one(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    for name, launch in (("one", []), ("two", ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"])):
        (tmp_path / name).mkdir()
        command = [sys.executable, *launch, str(tmp_path / "worker.py"), str(tmp_path / name)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (load_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two"))
    assert all(torch.allclose(one.weights[n], two.weights[n], atol=1e-4) for n in one.weights)
    assert one.facts["validation"] == pytest.approx(two.facts["validation"], abs=0.05)


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    assert World(size=2).share_of(6) == 3
    with pytest.raises(UsageError, match=r"expected data\.batch=5 to divide over 2 processes"):
        World(size=2).share_of(5)
