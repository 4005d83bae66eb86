"""The control groups of this process on Linux, versions 1 and 2, which limit its memory and its CPU time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def own_groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield version and folder of each group that `controller` may limit, from ours up to the root."""
    for line in lines_of(CGROUPS):
        _, controllers, own = line.split(":", 2)
        if controllers == "":
            version, root = 2, MOUNT
        elif controller in controllers.split(","):
            version, root = 1, MOUNT / controller
        else:
            continue
        # In a container the path is the host's and may not exist; the container's own group is mounted at the root.
        folder = Path(own.strip()).relative_to("/")
        yield from ((version, group) for group in (root / folder, *(root / parent for parent in folder.parents)))


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of the kernel; none if it is not there."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
