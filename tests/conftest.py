"""What all tests share: one thread per worker, a fake model on disk, the command as users run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.stores import MemoryFiles

ROOT = Path(__file__).parent.parent

# Before numpy, onnxruntime or torch start their pools: tests run beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background has them ignore Ctrl-C, and the commands they start would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# lumen works without torch, and so do its tests: what trains and exports is left out there.
collect_ignore_glob = [] if find_spec("torch") else ["unit/models", "unit/train", "unit/lumen_export"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def fake_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a tiny real ONNX model that doubles every sample; its 16-bit twin lies beside it."""
    from tests.support.fakes import write_fake_onnx

    folder = tmp_path_factory.mktemp("model")
    write_fake_onnx(folder / "fake.u16.onnx", "uint16", gain=2.0, radius=0)
    return write_fake_onnx(folder / "fake.onnx", "uint8", gain=2.0, radius=0)


@pytest.fixture
def memory_store(monkeypatch: pytest.MonkeyPatch) -> MemoryFiles:
    """The objects of every store that is asked, in memory; pauses before another try take no time."""
    from lumen.files import store_requests, stores
    from tests.support.stores import MemoryFiles

    files = MemoryFiles()
    monkeypatch.setattr(store_requests, "file_system", lambda *_: files)
    monkeypatch.setattr(store_requests, "FIRST_PAUSE_S", 0.0)
    stores.forget_listings()
    return files


@pytest.fixture(scope="session")
def lumen_command() -> Run:
    """Run `lumen ARGS...` in a process of its own; `cwd=` sets the folder. Text of stdout and stderr is captured."""

    def run(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "export")])}
        return subprocess.run(
            [sys.executable, "-m", "lumen", *map(str, args)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def lumen_here() -> Run:
    """The same in this process, where that makes no difference: it takes a tenth of the time."""
    from tests.support.commands import command, run_here

    def run(*args: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        line = command(*args)
        return subprocess.CompletedProcess(line, *run_here(line, cwd))

    return run
