"""How many cores a process may use: its affinity, and the quotas of its control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.runtime import control_groups
from lumen.runtime.cores import has_core_of_several, usable_cores

V2, V1 = "0::/box/inner\n", "5:cpuset:/\n4:cpu:/box\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("", {}, 8),
        (V2, {}, 8),
        (V2, {"box/inner/cpu.max": "max 100000"}, 8),
        (V2, {"box/inner/cpu.max": "100000 100000"}, 1),
        (V2, {"box/inner/cpu.max": "10000 100000"}, 1),
        (V2, {"box/inner/cpu.max": "250000 100000"}, 3),
        (V2, {"box/inner/cpu.max": "400000 100000", "box/cpu.max": "200000 100000"}, 2),
        (V2, {"cpu.max": "150000 100000"}, 2),  # mounted at the root, as in a container
        (V2, {"cpu.max": "9900000 100000"}, 8),
        (V2, {"cpu.max": "rubbish"}, 8),
        (V1, {"cpu/box/cpu.cfs_quota_us": "-1", "cpu/box/cpu.cfs_period_us": "100000"}, 8),
        (V1, {"cpu/box/cpu.cfs_quota_us": "120000", "cpu/box/cpu.cfs_period_us": "100000"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        (V1, {"cpu/cpu.cfs_quota_us": "50000"}, 8),
    ],
)
def test_quotas_count_as_cores(
    groups: str, files: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = tmp_path / "sys"
    for name, text in files.items():
        path = mount / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "cgroup").write_text(groups)
    monkeypatch.setattr(control_groups, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "MOUNT", mount)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert usable_cores() == cores
    assert has_core_of_several() is (cores == 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3}, raising=False)
    assert (usable_cores(), has_core_of_several()) == (1, False)
