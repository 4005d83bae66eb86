"""The values of the global options, which every command receives."""

from __future__ import annotations

import click


class State:
    """Values of the global options.

    A plain class, because `lumen --help` would load dataclasses for nothing else.

    Attributes:
        verbosity: -1 quiet, 0 normal, 1 verbose, 2 with the tracebacks of all errors.
        color: Whether colours are allowed; terminals that cannot show them never get any.
    """

    def __init__(self, *, verbosity: int = 0, color: bool = True) -> None:
        self.verbosity = verbosity
        self.color = color


pass_state = click.make_pass_decorator(State, ensure=True)
