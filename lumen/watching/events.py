"""Events with a name and facts: shown as one line to people, as one object to programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

log = logging.getLogger(__name__)

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        name: One of a small set: `done`, `failed`, `paused`, ...
        level: How important it is.
        facts: Details, as JSON values.
    """

    name: str
    level: Level
    facts: Mapping[str, Any]


EventListener = Callable[[Event], None]


class Events:
    """Passes events to a listener, whose errors must not stop the watcher."""

    def __init__(self, listener: EventListener) -> None:
        """Take the listener."""
        self._listener = listener
        self._has_failed = False

    def emit(self, name: str, level: Level = "info", /, **facts: Any) -> None:
        """Pass an event to the listener."""
        try:
            self._listener(Event(name=name, level=level, facts=facts))
            self._has_failed = False
        except Exception as error:  # noqa: BLE001
            # Logged once: a log on a full disk would fail with every line.
            log.log(logging.DEBUG if self._has_failed else logging.ERROR, "cannot pass on events: %s", error)
            self._has_failed = True
