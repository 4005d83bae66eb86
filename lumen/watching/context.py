"""What all parts of one watcher share."""

from __future__ import annotations

from dataclasses import dataclass

from lumen.config import WatchOptions
from lumen.watching.clock import Clock
from lumen.watching.events import Events
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.observing.tree import Tree


@dataclass(frozen=True, kw_only=True)
class WatchContext:
    """Passed to every part of a watcher.

    Attributes:
        tree: The watched folder.
        ledger: The ledger of the output folder.
        options: How it is watched, and where results go.
        events: Where events go.
        clock: The clocks.
    """

    tree: Tree
    ledger: Ledger
    options: WatchOptions
    events: Events
    clock: Clock
