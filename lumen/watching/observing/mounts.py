"""Which file system a folder is on: whether it reports changes, and whether its inode numbers are stable."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

TABLE = Path("/proc/self/mountinfo")

# Changes that other machines make on these are not reported here.
_SILENT = re.compile(
    r"nfs4?|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|ncpfs|davfs2?|coda|virtiofs|vboxsf|prl_fs|vmhgfs|drvfs"
    r"|fuse(\..+)?"
)
# These renumber their files when they are mounted, or even when a file was not used for a while.
_RENUMBERING = re.compile(r"cifs|smb\w*|9p|vfat|msdos|exfat|vboxsf|prl_fs|vmhgfs|drvfs|davfs2?|fuse(\..+)?")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A mounted file system: its mount point, kind, and own options."""

    point: str
    kind: str
    options: tuple[str, ...] = ()


def read_mounts(table: Path = TABLE) -> list[Mount]:
    """Return all mounts in the order of mounting; none if the system does not list them."""
    try:
        lines = table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [mount for line in lines if (mount := _parse(line)) is not None]


def silent_kind(folder: str, mounts: list[Mount] | None = None) -> str | None:
    """Return the kind of file system, of a folder or mounted inside it, that does not report all changes; or None."""
    mounts = read_mounts() if mounts is None else mounts
    at = mount_of(folder, mounts)
    inside = [each for each in mounts if each.point.startswith(folder.rstrip("/") + "/")]
    for mount in ([at] if at else []) + inside:
        if _SILENT.fullmatch(mount.kind):
            return mount.kind
    return None


def has_stable_inodes(folder: str, mounts: list[Mount] | None = None) -> bool:
    """Tell whether a file keeps its inode number as long as it exists."""
    mount = mount_of(folder, read_mounts() if mounts is None else mounts)
    if mount is None:
        return os.name == "posix"
    return "serverino" in mount.options or not _RENUMBERING.fullmatch(mount.kind)


def mount_of(folder: str, mounts: list[Mount]) -> Mount | None:
    """Return the mount of a folder, given without links."""
    around = [m for m in mounts if folder == m.point or folder.startswith(m.point.rstrip("/") + "/")]
    # The later one of two at the same place hides the other.
    return max(reversed(around), key=lambda mount: len(mount.point), default=None)


def _parse(line: str) -> Mount | None:
    """Read a line such as `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`."""
    before, dash, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < 5 or len(right) < 3:
        return None
    point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), left[4])
    return Mount(point=point, kind=right[0], options=tuple(right[2].split(",")))
