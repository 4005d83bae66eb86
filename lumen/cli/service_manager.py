"""Tells systemd how a watcher is, by the protocol of `sd_notify`: one datagram to a socket that it names.

Reference:
    man 3 sd_notify, man 3 sd_watchdog_enabled
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from lumen.text import printable
from lumen.watching.events import Event

SEND_S = 5.0


class ServiceManager:
    """Tells systemd how a watcher is, from its events; never raises.

    `WATCHDOG=1` is sent with each sign of life, but only while files get further or there is nothing to do.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Take the address of the service manager, if there is one."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        if address[:1] not in ("/", "@") or not hasattr(socket, "AF_UNIX"):
            self._address = ""
        self._watchdog_s = _watchdog_s(environment)

    @property
    def sign_s(self) -> float:
        """How often it must hear from the watcher, in seconds; infinite if it does not wait for that."""
        return self._watchdog_s / 3

    def tell(self, event: Event) -> None:
        """Tell systemd what an event means to it."""
        facts = event.facts
        if event.name == "start":
            self._send("READY=1", "STATUS=watching")
        elif event.name in ("stopping", "stop"):
            self._send("STOPPING=1", "STATUS=stopping")
        elif event.name == "paused":
            self._send(f"STATUS=paused: {facts.get('reason', '')}")
        elif event.name == "alive":
            counts = ", ".join(f"{facts[name]} {name}" for name in ("done", "failed", "unsupported", "waiting"))
            status = [f"STATUS={facts['state']}: {counts}"] if facts["state"] == "watching" else []
            self._send(*status, *(["WATCHDOG=1"] if facts["progress"] else []))

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.settimeout(SEND_S)
            connection.sendto("\n".join(map(printable, lines)).encode("utf-8", "backslashreplace"), self._address)


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """Return after how many seconds of silence systemd ends this process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return float("inf")
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdecimal() and int(text) else float("inf")
