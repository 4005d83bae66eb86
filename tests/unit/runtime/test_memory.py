from __future__ import annotations

from pathlib import Path

import pytest

from lumen.runtime import memory

GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake /proc and /sys with 8 GiB available and no control groups."""
    (tmp_path / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    (tmp_path / "cgroup").write_text("")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_MOUNT", tmp_path / "sys")
    return tmp_path


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_groups_what_is_available_counts(system: Path) -> None:
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
