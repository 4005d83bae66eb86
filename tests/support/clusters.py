"""A Ray cluster of two nodes on this machine, and its worker processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Workers of Ray give way to all other work by default, and would stand still beside it.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_worker_niceness": "0"}
WORKING = b"ray::work_on"  # the title of a worker while it has a block
STORE_BYTES = 80 << 20


@dataclass(frozen=True, kw_only=True)
class TwoNodes:
    """A head with a worker, and a node with another one."""

    address: str
    cluster: Any
    second: Any

    def environment(self) -> dict[str, str]:
        """Return the variables by which a command finds the cluster."""
        return {**ENVIRONMENT, "RAY_ADDRESS": self.address}

    def busy(self) -> list[int]:
        """Return the processes of workers that have a block."""
        nodes = [node.process.pid for each in (self.cluster.head_node, self.second) for node in _raylets(each)]
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    title, parent = (entry / "cmdline").read_bytes(), (entry / "stat").read_text().rsplit(")")[-1]
                except OSError:  # it has just ended
                    continue
                if title.startswith(WORKING) and int(parent.split()[1]) in nodes:
                    found.append(int(entry.name))
        return found

    def kill_one(self) -> int | None:
        """Kill a worker that has a block, and return its process; None if there is none."""
        for process in self.busy():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return process
        return None

    def remove_second(self) -> None:
        """Take the second node away, with all its processes."""
        self.cluster.remove_node(self.second, allow_graceful=False)


def _raylets(node: Any) -> list[Any]:
    return list(node.all_processes.get("raylet", []))


@contextmanager
def two_nodes() -> Iterator[TwoNodes]:
    """Start a cluster of two nodes with one worker each, and end it."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ |= ENVIRONMENT
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(**{name: value for name, value in node.items() if name != "include_dashboard"})
        for number, handler in handlers.items():
            signal.signal(number, handler)  # as they were: nodes take them over
        yield TwoNodes(address=cluster.address, cluster=cluster, second=second)
    finally:
        cluster.shutdown()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
