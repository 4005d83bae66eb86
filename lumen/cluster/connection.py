"""The connection to a Ray cluster, and the workers that it has room for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lumen.config import RuntimeOptions
from lumen.errors import DeviceError, UnavailableError, UsageError
from lumen.extras import Package
from lumen.text import counted

RAY = Package(name="ray", module="ray", extra="ray")

ADDRESS, USAGE_REPORTS = "RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED"
COUNT_S = 5.0  # after which the nodes are counted again: they come and go
NODE_WAIT_S = 600.0  # for a node that is large enough: clusters that grow start machines for a run
KNOCK_S = 10.0
_TICK_S = 1.0

log = logging.getLogger(__name__)


def require_ray(options: RuntimeOptions) -> None:
    """Refuse what cannot work, before anything else is done.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: The options number GPUs, which Ray hands out itself.
    """
    RAY.require("--engine ray", "leave --engine out")
    kind, _, numbers = options.device.partition(":")
    if kind == "cuda" and numbers:
        raise UsageError(
            f"expected --device cuda with --engine ray, got {options.device}: Ray gives each worker a GPU of its own"
        )


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one worker takes of its node.

    Attributes:
        cpus: Cores, which are also the threads of its model.
        gpus: GPUs, 0 or 1.
        memory: Bytes; 0 while it is not known.
    """

    cpus: int
    gpus: int = 0
    memory: int = 0

    def workers_on(self, resources: Mapping[str, float]) -> int:
        """Return for how many workers a node has room, with nothing else on it."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}
        return int(min(resources.get(name, 0.0) // amount for name, amount in wanted.items() if amount))

    def as_options(self) -> dict[str, Any]:
        """Return the options of a task of Ray."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": self.memory or None}

    def __str__(self) -> str:
        memory = f"{self.memory / 1e9:.1f} GB of memory" if self.memory else ""
        return " and ".join(filter(None, [counted(self.cpus, "CPU"), "a GPU" if self.gpus else "", memory]))


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of the cluster: its number, its address for people, and its resources by the names of Ray."""

    number: str
    address: str
    resources: Mapping[str, float]


class Cluster:
    """A connection; for one thread.

    The cluster is found as Ray finds it: by `RAY_ADDRESS`, else one that runs on this machine, else one is started here
    for the length of the run.
    """

    def __init__(self) -> None:
        """Connect.

        Raises:
            UnavailableError: There is no cluster at the address, or it has another version of Ray or of Python.
        """
        os.environ.setdefault(USAGE_REPORTS, "0")
        import ray

        self._is_own = not ray.is_initialized()
        if self._is_own:
            with _kept_signals():
                _connect()
        self._counted: tuple[float, list[Node]] = (0.0, [])

    def nodes(self) -> list[Node]:
        """Return the nodes that are alive; they are asked for every few seconds."""
        import ray

        if time.monotonic() > self._counted[0] + COUNT_S:
            found = [
                Node(number=each["NodeID"], address=each["NodeManagerAddress"], resources=each["Resources"])
                for each in ray.nodes()
                if each["Alive"]
            ]
            self._counted = (time.monotonic(), found)
        return self._counted[1]

    def needs_of(self, options: RuntimeOptions) -> Needs:
        """Return what a worker takes: `auto` is a GPU where any node has one."""
        has_gpu = any(node.resources.get("GPU", 0) >= 1 for node in self.nodes())
        is_gpu = options.device == "cuda" or (options.device == "auto" and has_gpu)
        return Needs(cpus=options.threads or 1, gpus=int(is_gpu))

    def workers(self, needs: Needs) -> int:
        """Return for how many workers there is room."""
        return sum(needs.workers_on(node.resources) for node in self.nodes())

    def wait_for_room(self, needs: Needs) -> None:
        """Wait until a node has room for a worker, as in a cluster that grows when it is asked for something.

        Raises:
            DeviceError: None has, and none came.
        """
        is_here = os.environ.get(ADDRESS, "local") == "local"
        deadline = time.monotonic() + (0.0 if is_here else NODE_WAIT_S)
        is_told = False
        while not self.workers(needs):
            if time.monotonic() >= deadline:
                raise DeviceError(
                    f"no node of the Ray cluster has {needs} for a worker; use another --threads or --device, or add "
                    "such a node"
                )
            if not is_told:
                log.warning("no node of the Ray cluster has %s for a worker; waiting for one", needs)
                is_told = True
            time.sleep(_TICK_S)

    def close(self) -> None:
        """Leave the cluster, which ends its tasks, and end a cluster that was started for this run."""
        import ray

        if self._is_own:
            with _kept_signals():
                ray.shutdown()


def _connect() -> None:
    import ray
    from ray._private import worker as driver
    from ray.exceptions import RayError

    # Ray prints what its nodes say on stdout, which is for results alone; no setting changes that.
    driver.print_to_stdstream = _log_lines

    # What Ray says at the start is for people who look after a cluster: it is told with -v.
    level = logging.INFO if log.isEnabledFor(logging.INFO) else logging.ERROR
    logging.getLogger("ray").setLevel(level)
    where = os.environ.get(ADDRESS, "")
    try:
        _knock(where)
        ray.init(include_dashboard=False, log_to_driver=log.isEnabledFor(logging.DEBUG), logging_level=level)
    except (RayError, RuntimeError, ValueError, OSError, ImportError) as error:
        found = f"the Ray cluster at {ADDRESS}={where} cannot be used" if where else "Ray cannot be started here"
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UnavailableError(f"{found}: {reason}") from error


def _knock(address: str) -> None:
    """Raise `OSError` if nobody listens at an address: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()


def _log_lines(said: Mapping[str, Any], *_: object, **__: object) -> None:
    for line in said.get("lines", ()):
        log.info("ray: %s", line)


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Give back the handlers of signals that Ray replaces."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
