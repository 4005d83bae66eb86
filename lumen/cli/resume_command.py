"""The command that goes on with a stopped training, to be pasted into a shell."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from lumen.cli.options import given_options

# How a run is computed. What it learns, and from what, stands in its folder.
_MACHINE = ("device", "threads", "workers", "resident", "recompute", "compile", "tensorboard", "check_pairs")


def resume_command(ctx: click.Context, run: Path) -> str:
    """Return the command that resumes the training of `ctx` in its folder, with its options about the machine."""
    words = [*_program(), "train", "--resume", "auto", "-o", str(run)]
    given = given_options(ctx)
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if option.name in _MACHINE and option.name in given:
            if isinstance(value, bool):
                words += option.opts[-1:] if value else option.secondary_opts[-1:]
            else:
                words += [option.opts[-1], str(value)]
    if ctx.params.get("batch") == "auto":  # a number stands in the recipe
        words += ["--batch", "auto"]
    return shlex.join(words)


def _program() -> list[str]:
    """Return how lumen was started."""
    if (processes := os.environ.get("LOCAL_WORLD_SIZE", "1")) != "1":
        return ["torchrun", "--nproc-per-node", processes, "-m", "lumen"]
    return [sys.executable, "-m", "lumen"] if Path(sys.argv[0]).name == "__main__.py" else ["lumen"]
