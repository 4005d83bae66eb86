"""What the global options say; handed from the group to every command."""

from __future__ import annotations

import click


class State:
    """Values of the options that stand before or after the command.

    A plain class: `lumen --help` loads no more than it must, dataclasses neither.

    Attributes:
        verbosity: -1 quiet, 0 normal, 1 verbose.
        color: Whether colours are allowed; terminals that cannot show them get none either way.
    """

    def __init__(self, *, verbosity: int = 0, color: bool = True) -> None:
        self.verbosity = verbosity
        self.color = color


pass_state = click.make_pass_decorator(State, ensure=True)
