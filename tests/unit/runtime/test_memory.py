from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen.runtime import control_groups, memory

GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake /proc and /sys with 8 GiB available and no control groups."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    (tmp_path / "cgroup").write_text("")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(control_groups, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "MOUNT", tmp_path / "sys")
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.usefixtures("system")
def test_without_groups_what_is_available_counts() -> None:
    assert memory.free_ram_bytes() == 8 * GIB


def test_version_2_group_limits_and_its_page_cache_is_free(system: Path) -> None:
    (system / "cgroup").write_text("0::/user/app\n")
    stat = f"anon 5\ninactive_file {GIB // 2}\n"
    write(system / "sys/user/app", memory__max=str(2 * GIB), memory__current=str(GIB), memory__stat=stat)
    assert memory.free_ram_bytes() == GIB + GIB // 2


def test_the_tightest_parent_counts_and_max_means_no_limit(system: Path) -> None:
    (system / "cgroup").write_text("0::/user/app\n")
    write(system / "sys/user/app", memory__max="max\n", memory__current="5", memory__stat="")
    write(system / "sys/user", memory__max=str(GIB), memory__current="0", memory__stat="")
    assert memory.free_ram_bytes() == GIB


def test_version_1_group_of_a_container_is_mounted_at_the_root(system: Path) -> None:
    (system / "cgroup").write_text("5:cpu:/x\n4:memory:/docker/abc\n")
    folder = system / "sys/memory"
    write(folder, memory__limit_in_bytes=str(GIB), memory__usage_in_bytes="1000", memory__stat="total_inactive_file 0")
    assert memory.free_ram_bytes() == GIB - 1000


def test_a_group_over_its_limit_leaves_nothing(system: Path) -> None:
    (system / "cgroup").write_text("0::/\n")
    write(system / "sys", memory__max="10", memory__current="30", memory__stat="")
    assert memory.free_ram_bytes() == 0


def test_systems_without_proc_still_answer(system: Path) -> None:
    (system / "meminfo").unlink()
    (system / "cgroup").unlink()
    assert memory.free_ram_bytes() > 0


@pytest.mark.parametrize(
    ("budget", "expected"), [(400 * 1024**2, 1024), (400 * 500**2, 500), (1, memory.MIN_WINDOW_PX), (10**15, 1024)]
)
def test_window_side_follows_the_budget_within_its_bounds(budget: int, expected: int) -> None:
    assert memory.window_side_px(budget, 400, largest_px=1024) == expected


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What a fake C library is told; the real allocator of the tests stays as it is."""
    said: list[tuple[int, int]] = []

    def mallopt(number: int, value: int) -> int:
        said.append((number, value))
        return 1

    monkeypatch.setattr(memory, "ctypes", SimpleNamespace(CDLL=lambda _name: SimpleNamespace(mallopt=mallopt)))
    monkeypatch.setattr(os, "confstr", lambda _name: "glibc 2.36", raising=False)
    for name in list(os.environ):
        if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES":
            monkeypatch.delenv(name)
    return said


def test_freed_memory_goes_back_by_thresholds_and_two_arenas(calls: list[tuple[int, int]]) -> None:
    assert memory.return_freed_memory()
    # The numbers are those of M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX in malloc.h.
    assert dict(calls) == {-3: 128 << 10, -1: 128 << 10, -8: 2}


@pytest.mark.parametrize("variable", ["MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"])
def test_an_allocator_that_is_set_already_is_left_alone(
    calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "4")
    assert not memory.return_freed_memory()
    assert calls == []


@pytest.mark.parametrize("failure", [None, "uclibc 1", ValueError("no such name"), AttributeError("no confstr")])
def test_another_c_library_is_left_alone(
    calls: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, failure: str | Exception | None
) -> None:
    def confstr(_name: str) -> str | None:
        if isinstance(failure, Exception):
            raise failure
        return failure

    monkeypatch.setattr(os, "confstr", confstr, raising=False)
    assert not memory.return_freed_memory()
    assert calls == []


FREED = """
from lumen.runtime.memory import return_freed_memory
print(return_freed_memory())
# Large buffers with small ones between them: a heap of both cannot shrink when the large ones are freed.
blocks = [bytearray(b"x") * (4096 if index % 2 else 3 << 20) for index in range(100)]
del blocks[::2]
status = open("/proc/self/status").read()
print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(not memory._has_glibc(), reason="expected the GNU C library")
def test_freed_buffers_leave_a_real_process() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    tuned = {**clean, "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}  # what the C library comes to by itself

    def resident_mib(env: dict[str, str]) -> tuple[str, float]:
        run = subprocess.run([sys.executable, "-c", FREED], env=env, capture_output=True, text=True, check=True)
        said, kib = run.stdout.split()
        return said, int(kib) / 1024

    (said, ours), (untold, kept) = resident_mib(clean), resident_mib(tuned)
    assert (said, untold) == ("True", "False")
    assert ours < kept - 50


def test_free_vram_comes_from_the_tool_and_respects_visible_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def answer(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="1000\n")

    monkeypatch.setattr(shutil, "which", lambda name: "/bin/" + name)
    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,3")
    assert memory.free_vram_bytes(1) == 1000 << 20
    assert commands[0][-2:] == ["-i", "3"]


def test_free_vram_has_a_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    assert memory.free_vram_bytes() == memory.FALLBACK_VRAM_BYTES
