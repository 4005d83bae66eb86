"""What every node of a cluster must have: the same versions, and the same files under the same paths."""

from __future__ import annotations

import logging
import os
import platform
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lumen.cluster.connection import Cluster
from lumen.errors import LumenError, UnavailableError, UsageError
from lumen.files.atomic import own_error
from lumen.files.inputs import hold_folder
from lumen.files.state import STATE, state_in
from lumen.files.store_path import StorePath
from lumen.files.store_requests import SERVER
from lumen.imaging.clip_formats import PACKAGE as CLIPS
from lumen.imaging.formats import CODECS
from lumen.text import printable
from lumen.version import __version__

TOKEN_BYTES = 16
CODEC_PACKAGES = ("imagecodecs", "pillow", "simplejpeg", "tifffile")  # that are always installed

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SharedFile:
    """A file that a node must see under this path, with this size, and with this content if one is given."""

    path: Path
    size: int
    content: bytes | None = None

    @classmethod
    def of(cls, path: Path) -> SharedFile:
        """Return an input; raises `OSError` if it cannot be inspected."""
        return cls(path=path, size=path.stat().st_size)

    @property
    def place(self) -> str:
        """The folder around it, for people."""
        folder = self.path.parent if self.content is None else self.path.parent.parent
        return f"{'' if isinstance(folder, StorePath) else 'the folder '}{printable(folder)}"

    @property
    def advice(self) -> str:
        """What to do if a machine does not see it."""
        if isinstance(self.path, StorePath):
            return f"set what says where it is on every node, such as {SERVER[0]}, to the same value"
        return "put the pictures and the results where every node sees them under the same path"

    def is_seen(self) -> bool:
        """Tell whether this machine sees it; raises `StoreError` if a store cannot be asked."""
        with suppress(OSError):
            if self.path.stat().st_size == self.size:
                return self.content is None or self.path.read_bytes() == self.content
        return False


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a node must have.

    Attributes:
        versions: Of packages, by their names.
        files: Of the inputs and the output folder.
        cwd: The folder that relative paths start from; workers enter it.
        servers: The environment variables that tell where stores are; workers take them over.
    """

    versions: Mapping[str, str]
    files: tuple[SharedFile, ...]
    cwd: Path
    servers: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Look at this machine, and enter the folder that paths start from.

        Raises:
            UnavailableError: It has other versions, or cannot ask a store.
            UsageError: It does not see a file.
        """
        os.environ.update(self.servers)
        found = versions_here()
        for name, wanted in self.versions.items():
            if (has := found.get(name, "none")) != wanted:
                raise UnavailableError(
                    f"node {_address()} has {name} {has}, and the machine that started the run {wanted}; install the "
                    "same versions everywhere"
                )
        with suppress(OSError):  # absolute paths need none
            os.chdir(self.cwd)
        for file in self.files:
            try:
                is_seen = file.is_seen()
            except UnavailableError as error:
                raise UnavailableError(f"node {_address()}: {error}") from error
            if not is_seen:
                raise UsageError(f"node {_address()} does not see {file.place} as this machine does; {file.advice}")


def expected_of(files: Iterable[SharedFile]) -> Expected:
    """Return that a node must be like this machine, and see these files."""
    servers = {name: os.environ[name] for name in SERVER if name in os.environ}
    return Expected(versions=versions_here(), files=tuple(files), cwd=Path.cwd(), servers=servers)


def versions_here() -> dict[str, str]:
    """Return the versions on this machine that must be the same everywhere; of Python without its last number.

    A package that reads or writes pictures is among them if it is installed: elsewhere, other pictures would fail, or
    results would have other bytes.
    """
    found = {"lumen": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    optional = [each.package.name for each in CODECS.values() if each.package is not None]
    for name in ("onnxruntime", "onnxruntime-gpu", "openvino", *CODEC_PACKAGES, *optional, CLIPS.name):
        with suppress(PackageNotFoundError):
            found[name.removesuffix("-gpu")] = version(name)
    return found


@contextmanager
def marked(folder: Path, name: str) -> Iterator[SharedFile]:
    """Write a file with a new content into the `.lumen` of a folder, by which other machines know that it is the same.

    Raises:
        OutputError: It cannot be written.
    """
    token = secrets.token_hex(TOKEN_BYTES).encode()
    path = folder / STATE / name
    try:
        with hold_folder(folder, make=True) as held, state_in(held) as state, state.open_or_create(name) as stream:
            stream.write(token)
    except OSError as error:
        raise own_error(path, error) from error
    try:
        yield SharedFile(path=path, size=len(token), content=token)
    finally:
        with suppress(OSError), hold_folder(folder) as held, state_in(held, make=False) as state:
            state.unlink(name)


def check_nodes(cluster: Cluster, expected: Expected) -> None:
    """Let every node of a cluster look whether it has what is expected.

    Raises:
        UnavailableError: A node has other versions, or lacks lumen.
        UsageError: A node does not see a file.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked = []
    for node in cluster.nodes():
        if node.resources.get("CPU"):  # others get no work
            only_there = NodeAffinitySchedulingStrategy(node.number, soft=False)
            asked.append((node.address, task.options(scheduling_strategy=only_there).remote(expected)))
    for address, answer in asked:
        _raise_fault(address, answer)


def fault_of(error: Any, address: str) -> Exception:
    """Return what a `RayTaskError` of a task means: an error of lumen as it was raised, or that lumen is missing."""
    cause = error.cause
    if isinstance(cause, LumenError):
        return cause
    if isinstance(cause, ModuleNotFoundError) or "failed to import" in str(error):
        return UnavailableError(
            f"{address} of the cluster cannot import lumen: {str(cause).partition(chr(10))[0]}; install lumen "
            f"{__version__} with its packages on every node"
        )
    return cause if isinstance(cause, Exception) else error


def _raise_fault(address: str, answer: Any) -> None:
    from ray.exceptions import RayError, RayTaskError

    try:
        answer.future().result()
    except RayTaskError as error:
        raise fault_of(error, address) from error
    except RayError as error:  # it has gone; whoever comes later is looked at too
        log.info("node %s did not answer: %s", address, error)


def _look(expected: Expected) -> None:
    expected.check()


def _address() -> str:
    import ray

    return str(ray.util.get_node_ip_address())
