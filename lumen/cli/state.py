"""What the global options say; handed from the group to every command."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass
class State:
    """Values of the options that stand before the command.

    Attributes:
        verbosity: -1 quiet, 0 normal, 1 verbose.
        color: Whether colours are allowed; terminals that cannot show them get none either way.
    """

    verbosity: int = 0
    color: bool = True


pass_state = click.make_pass_decorator(State, ensure=True)
