"""The command that goes on with a training keeps what concerns the machine, and can be pasted."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from lumen.cli.commands.train import command
from lumen.cli.resume_command import resume_command

RUN = Path("a 'run'")
START = f"lumen train --resume auto -o {shlex.quote(str(RUN))}"


@pytest.fixture(autouse=True)
def started_as_lumen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/lumen"])
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], ""),
        (["--batch", "8", "--amp", "bf16", "--set", "seed=1", "--val-split", "20%", "--skip-bad"], ""),
        (["--device", "cuda:1", "--threads=2", "--workers", "4"], " --device cuda:1 --threads 2 --workers 4"),
        (["--no-check", "--recompute", "--tensorboard"], " --recompute --tensorboard --no-check"),
        (["--resident", "--compile", "--batch", "auto"], " --resident --compile --batch auto"),
    ],
)
def test_options_about_the_machine_stay(given: list[str], added: str) -> None:
    ctx = command.make_context("train", ["--data", "d", "-o", str(RUN), *given])
    line = resume_command(ctx, RUN)
    assert line == START + added
    again = command.make_context("train", shlex.split(line)[2:])
    assert resume_command(again, again.params["run"]) == line


def test_it_starts_lumen_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = command.make_context("train", ["--data", "d", "-o", str(RUN)])
    monkeypatch.setattr(sys, "argv", ["/somewhere/lumen/__main__.py"])
    assert resume_command(ctx, RUN) == START.replace("lumen", f"{shlex.quote(sys.executable)} -m lumen", 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resume_command(ctx, RUN) == START.replace("lumen", "torchrun --nproc-per-node 2 -m lumen", 1)
