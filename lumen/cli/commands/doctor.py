"""`lumen doctor`: what works on this machine, and why the rest does not."""

from __future__ import annotations

from dataclasses import asdict

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import json_option
from lumen.cli.state import State, pass_state
from lumen.errors import Exit


@click.command("doctor", cls=GroupedCommand)
@json_option("check on stdout")
@pass_state
@click.pass_context
def command(ctx: click.Context, state: State, /, as_json: bool) -> None:
    """Show which devices, models and picture formats work on this machine, and why others do not.

    Exit codes: 0 lumen works, 5 something it needs is broken.
    """
    from lumen.cli.views.console import print_check, print_json
    from lumen.doctor import diagnose

    broken = False
    for check in diagnose():
        broken |= check.status == "broken"
        if as_json:
            print_json(asdict(check))
        else:
            print_check(state, check.name, check.status, check.detail)
    ctx.exit(Exit.UNAVAILABLE if broken else Exit.OK)
