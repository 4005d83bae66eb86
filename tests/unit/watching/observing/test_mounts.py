"""Which file systems keep silent about changes, and which number their files anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.watching.observing.mounts import (
    Mount,
    has_stable_inodes,
    mount_of,
    mounts_below,
    place_on_disk,
    read_mounts,
    silent_kind,
)

TABLE = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:50 / /srv/cameras rw shared:1 - nfs4 server:/x rw,vers=4.2
41 27 0:51 / /srv/with\\040space rw - cifs //nas/share rw,noserverino
42 27 0:52 / /srv/fixed rw - smb3 //nas/share rw,serverino
43 27 0:53 / /home/pi/usb rw - vfat /dev/sda1 rw
44 27 0:54 / /srv/sshfs rw - fuse.sshfs host:/ rw
45 27 0:55 / /srv/tmp rw - tmpfs tmpfs rw
46 27 0:56 / /srv/tmp rw - ext4 /dev/vdb rw
50 27 254:0 /srv/in /mnt/bound rw - ext4 /dev/vda rw
51 27 254:0 /srv/out /srv/in/sub rw - ext4 /dev/vda rw
a line that is none
"""


@pytest.fixture
def mounts(tmp_path: Path) -> list[Mount]:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE)
    return read_mounts(path)


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/cameras", "nfs4"),
        ("/srv/cameras/a/b", "nfs4"),
        ("/srv/camerasque", None),
        ("/srv/with space/in", "cifs"),
        ("/srv/sshfs/in", "fuse.sshfs"),
        ("/srv/tmp/in", None),
        ("/home/pi/usb", None),
        ("/srv", "nfs4"),  # something inside keeps silent
        ("/home", None),
    ],
)
def test_silent_file_systems(mounts: list[Mount], folder: str, kind: str | None) -> None:
    assert silent_kind(folder, mounts) == kind


@pytest.mark.parametrize(
    ("folder", "stable"),
    [
        ("/srv/cameras/in", True),
        ("/srv/with space/in", False),
        ("/srv/fixed/in", True),
        ("/home/pi/usb/DCIM", False),
        ("/srv/sshfs", False),
        ("/var/in", True),
    ],
)
def test_inode_numbers_that_last(mounts: list[Mount], folder: str, stable: bool) -> None:
    assert has_stable_inodes(folder, mounts) is stable


def test_of_two_mounts_at_one_place_the_later_one_counts(mounts: list[Mount]) -> None:
    found = mount_of("/srv/tmp/x", mounts)
    assert found is not None and found.kind == "ext4"


def test_a_system_that_does_not_say_has_no_mounts(tmp_path: Path) -> None:
    assert read_mounts(tmp_path / "nothing") == []
    assert silent_kind("/srv", []) is None
    assert has_stable_inodes("/srv", [])


def test_this_machine_can_be_read() -> None:
    assert all(mount.point and mount.kind for mount in read_mounts())


def test_a_folder_is_the_same_wherever_it_is_mounted(mounts: list[Mount]) -> None:
    place = place_on_disk("/srv/in/a/b", mounts)
    assert place is not None
    assert place == place_on_disk("/mnt/bound/a/b", mounts)
    around, beside = place_on_disk("/mnt/bound", mounts), place_on_disk("/srv/cameras/a/b", mounts)
    assert around is not None and place.lies_in(around) and not around.lies_in(place)
    assert beside is not None and not beside.lies_in(around)
    assert [mount.place for mount in mounts_below("/srv/in", mounts)] == [place_on_disk("/srv/out", mounts)]
    assert place_on_disk("/srv/in", []) is None
