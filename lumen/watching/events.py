"""What happens, as events with a name and facts: one line each for people, one object each for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

log = logging.getLogger(__name__)

Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        name: Which kind of event, of a small set: `done`, `failed`, `paused`, ...
        level: How much it matters.
        facts: What there is to say about it; JSON values.
    """

    name: str
    level: Level
    facts: Mapping[str, Any]


EventListener = Callable[[Event], None]


class Events:
    """Passes events to a listener whose errors must not stop the watcher."""

    def __init__(self, listener: EventListener) -> None:
        """Remember the listener."""
        self._listener = listener
        self._has_failed = False

    def emit(self, name: str, level: Level = "info", /, **facts: Any) -> None:
        """Report what happened."""
        try:
            self._listener(Event(name=name, level=level, facts=facts))
            self._has_failed = False
        except Exception as error:  # noqa: BLE001
            # Said once: a log on a full disk would fail with every line.
            log.log(logging.DEBUG if self._has_failed else logging.ERROR, "events cannot be logged: %s", error)
            self._has_failed = True
