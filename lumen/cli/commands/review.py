"""`lumen review`: the page of the pictures of earlier runs."""

from __future__ import annotations

from pathlib import Path

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import PATH
from lumen.cli.state import State, pass_state

NAME = "review.html"


@click.command("review", cls=GroupedCommand)
@click.argument("folder", metavar="OUT", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "-o",
    "--out",
    "page",
    metavar="PAGE",
    type=PATH,
    help=f"Where the page goes: a file PAGE.html, or a folder.  [default: OUT/{NAME}]",
)
@pass_state
def command(state: State, /, folder: Path, page: Path | None) -> None:
    """Make a page of the pictures that `lumen enhance -o OUT` made, before and after, to judge them by.

    On the page other settings can be chosen for some of them, and saved as a file for `lumen enhance --settings`.
    Previews that `--report` left are used, and others are made from the files; the model does not run.

    Exit codes: 0 done, 2 usage, 4 no record of a run in OUT, 6 page not writable.
    """
    from lumen.cli.pages import write_page_of
    from lumen.cli.views.console import note
    from lumen.review.places import PagePlace

    note(write_page_of(state, folder, PagePlace.of(page or folder / NAME, [folder])))
