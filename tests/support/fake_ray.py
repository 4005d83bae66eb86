"""What lumen uses of Ray, in this process: tasks run when they are submitted, and workers are lost as a test says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lumen.cluster import connection
from lumen.extras import Package


class RayError(Exception):
    """Base of the errors of Ray."""


class RayTaskError(RayError):
    """A task raised something."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class WorkerCrashedError(RayError):
    """The process of a worker has ended."""


class TaskCancelledError(RayError):
    """A task was cancelled."""


class RuntimeEnvSetupError(RayError):
    """A node cannot be set up."""


class Answer:
    """A task that has run."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def future(self) -> Future[Any]:
        return self._future


class FakeRay:
    """A cluster.

    Attributes:
        nodes: Its nodes, as Ray lists them.
        blocks: The jobs of every block that was submitted.
        fault: Called with the jobs of a block; what it raises happens to its worker.
    """

    def __init__(self) -> None:
        self.nodes = [{"NodeID": "1", "NodeManagerAddress": "10.0.0.1", "Alive": True, "Resources": {"CPU": 2.0}}]
        self.blocks: list[Sequence[Any]] = []
        self.fault: Callable[[Sequence[Any]], None] = lambda _: None

    @classmethod
    def found(cls, monkeypatch: pytest.MonkeyPatch) -> FakeRay:
        """Return one in the place of Ray, in an environment where the package seems to be installed."""
        monkeypatch.setattr(connection, "RAY", Package(name="ray", module="json", extra="ray"))
        fake = cls()
        fake.install(monkeypatch)
        return fake

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the place of Ray."""
        errors = [RayError, RayTaskError, WorkerCrashedError, TaskCancelledError, RuntimeEnvSetupError]
        exceptions = SimpleNamespace(**{each.__name__: each for each in errors})
        strategies = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda *_, **__: None)
        util = SimpleNamespace(get_node_ip_address=lambda: "10.0.0.1", scheduling_strategies=strategies)
        parts = {
            "exceptions": exceptions,
            "util": util,
            "is_initialized": lambda: True,
            "nodes": lambda: self.nodes,
            "put": lambda value: value,
            "get": lambda value: value,
            "cancel": lambda *_, **__: None,
            "remote": self._remote,
        }
        module = ModuleType("ray")
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, "ray", module)
        monkeypatch.setitem(sys.modules, "ray.exceptions", exceptions)
        monkeypatch.setitem(sys.modules, "ray.util", util)
        monkeypatch.setitem(sys.modules, "ray.util.scheduling_strategies", strategies)

    def _remote(self, **_options: Any) -> Callable[[Callable[..., Any]], Any]:
        def task(function: Callable[..., Any]) -> Any:
            submitted = SimpleNamespace(remote=lambda *arguments: self._run(function, arguments))
            submitted.options = lambda **_: submitted
            return submitted

        return task

    def _run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Answer:
        future: Future[Any] = Future()
        try:
            if function.__name__ == "work_on":
                self.blocks.append(arguments[1])
                self.fault(arguments[1])
            future.set_result(function(*arguments))
        except RayError as error:
            future.set_exception(error)
        except Exception as error:  # noqa: BLE001  # as Ray does
            future.set_exception(RayTaskError(error))
        return Answer(future)
