"""Which file system a folder is on: whether it reports changes, and whether its inode numbers are stable."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

TABLE = Path("/proc/self/mountinfo")

# Changes that other machines make on these are not reported here.
_SILENT = re.compile(
    r"nfs4?|cifs|smb\w*|9p|afs|ceph|glusterfs|lustre|gpfs|beegfs|ncpfs|davfs2?|coda|virtiofs|vboxsf|prl_fs|vmhgfs|drvfs"
    r"|fuse(\..+)?"
)
# These renumber their files when they are mounted, or even when a file was not used for a while.
_RENUMBERING = re.compile(r"cifs|smb\w*|9p|vfat|msdos|exfat|vboxsf|prl_fs|vmhgfs|drvfs|davfs2?|fuse(\..+)?")


class DiskPlace(NamedTuple):
    """A folder by its device and its path there: one and the same, wherever it is mounted."""

    device: str
    path: PurePosixPath

    def lies_in(self, other: DiskPlace) -> bool:
        """Tell whether it is another folder or lies in it."""
        return self.device == other.device and self.path.is_relative_to(other.path)


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A mounted file system: its mount point, kind, own options, device, and which of its folders is mounted."""

    point: str
    kind: str
    options: tuple[str, ...] = ()
    device: str = ""
    root: str = "/"

    @property
    def place(self) -> DiskPlace:
        """What is mounted."""
        return DiskPlace(self.device, PurePosixPath(self.root))


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
    for mount in ([at] if at else []) + mounts_below(folder, mounts):
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


def mounts_below(folder: str, mounts: list[Mount]) -> list[Mount]:
    """Return the mounts inside a folder, given without links."""
    return [each for each in mounts if each.point.startswith(folder.rstrip("/") + "/")]


def place_on_disk(folder: str, mounts: list[Mount]) -> DiskPlace | None:
    """Return where a folder lies, given without links; it need not exist. None if the system does not tell."""
    mount = mount_of(folder, mounts)
    if mount is None:
        return None
    return DiskPlace(mount.place.device, mount.place.path / PurePosixPath(folder).relative_to(mount.point))


def _parse(line: str) -> Mount | None:
    """Read a line such as `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`."""
    before, dash, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not dash or len(left) < 5 or len(right) < 3:
        return None
    root, point = (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text) for text in left[3:5])
    return Mount(point=point, kind=right[0], options=tuple(right[2].split(",")), device=left[2], root=root)
