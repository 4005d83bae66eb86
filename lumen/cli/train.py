"""`lumen train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lumen.errors import UsageError

if TYPE_CHECKING:
    from lumen.train.recipe import Recipe


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Pairs: a folder with our485/{low,high} or {low,high}.")
@click.option(
    "--synthetic",
    "photos",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Folder of well-lit photographs: darkened into pairs, and kept as they are. May be given again.",
)
@click.option("-o", "--out", "run", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--recipe", "recipe_name", default="lumen-s", show_default=True, help="Bundled recipe or TOML file.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a value: optimizer.rate=1e-4.")
@click.option("--resume", metavar="auto|FILE", help="Go on from the run's last checkpoint, or from a file.")
@click.option("--init", type=click.Path(path_type=Path), metavar="FILE", help="Start from a checkpoint's weights.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=0), default=0, help="CPU threads per process; 0: torch decides.")
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Processes that draw batches; about one per core feeds a GPU.",
)
def command(
    data: Path | None,
    photos: tuple[Path, ...],
    run: Path,
    recipe_name: str,
    overrides: tuple[str, ...],
    resume: str | None,
    init: Path | None,
    device: str,
    threads: int,
    workers: int,
) -> None:
    """Train a network on pairs of dark and good pictures.

    A part of the scenes is held out for validation. RUN receives metrics.csv, recipe.json, last.pt (to resume) and
    best.pt (to export); where the held-out scenes join at the end, validated.pt is the state that was scored. SIGINT
    and SIGTERM save and stop. Start it under torchrun to use several processes.
    """
    if data is None and not photos:
        raise UsageError("expected --data DIR, --synthetic DIR or both")
    from lumen.cli.console import training_view
    from lumen.extras import require_extra

    with require_extra("train"):
        from lumen.train.run import train_run
    from lumen.train.recipe import load_recipe

    recipe: Recipe = load_recipe(recipe_name, overrides)
    with training_view() as show:
        stopped = train_run(
            recipe,
            data=data,
            photos=photos,
            run=run,
            resume=resume,
            init=init,
            device=device,
            threads=threads,
            workers=workers,
            on_event=show,
        )
    if stopped:
        raise SystemExit(128 + stopped)
