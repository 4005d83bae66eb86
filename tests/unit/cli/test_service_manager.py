"""What systemd is told of a watcher, over a real socket."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen.cli.service_manager import ServiceManager
from lumen.watching.events import Event

COUNTS = {"done": 3, "failed": 1, "unsupported": 0, "waiting": 2}


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The address of a service manager as it stands in the environment, and the socket on which it listens."""
    name = f"lumen-{secrets.token_hex(8)}"
    address = str(tmp_path / name) if request.param == "path" else f"@{name}"
    if request.param == "abstract" and not Path("/proc/net/unix").exists():
        pytest.skip("abstract sockets are of Linux")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address if request.param == "path" else "\0" + name)
        listening.setblocking(False)
        yield address, listening


def event(name: str, **facts: Any) -> Event:
    return Event(name=name, level="info", facts=facts)


def hear(listening: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


def test_the_way_of_a_watcher_is_told(heard: tuple[str, socket.socket]) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": heard[0]})
    manager.tell(event("start", input="in"))
    manager.tell(event("done", path="a.jpg"))
    manager.tell(event("alive", state="watching", progress=True, **COUNTS))
    manager.tell(event("paused", reason="the disk\nREADY=1 is full"))
    manager.tell(event("alive", state="paused", progress=True, **COUNTS))
    manager.tell(event("alive", state="watching", progress=False, **COUNTS))
    manager.tell(event("stopping", files=2))
    assert hear(heard[1]) == [
        "READY=1\nSTATUS=watching",
        "STATUS=watching: 3 done, 1 failed, 0 unsupported, 2 waiting\nWATCHDOG=1",
        "STATUS=paused: the disk\\nREADY=1 is full",  # a name cannot forge a line
        "WATCHDOG=1",
        "STATUS=watching: 3 done, 1 failed, 0 unsupported, 2 waiting",  # nothing gets further: no WATCHDOG
        "STOPPING=1\nSTATUS=stopping",
    ]


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/nowhere/notify", "@nobody-listens-here"])
def test_where_nobody_listens_nothing_happens(address: str) -> None:
    ServiceManager({"NOTIFY_SOCKET": address}).tell(event("start"))


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("900000000", "", 300.0),
        ("900000000", "own", 300.0),
        ("900000000", "1", float("inf")),
        ("", "", float("inf")),
        ("0", "", float("inf")),
        ("-5", "", float("inf")),
        ("soon", "", float("inf")),
    ],
)
def test_signs_come_often_enough_for_the_watchdog(usec: str, pid: str, seconds: float) -> None:
    environment = {"WATCHDOG_USEC": usec} | ({"WATCHDOG_PID": pid.replace("own", str(os.getpid()))} if pid else {})
    assert ServiceManager(environment).sign_s == seconds
