"""Where folders may lie: nothing may be overwritten, and no result may become an input."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lumen.config import WatchOptions
from lumen.errors import UsageError
from lumen.files.marks import METRICS_MARK, WATCH_PAGE_MARK, has_mark
from lumen.files.paths import is_folder, real_path
from lumen.files.state import STATE
from lumen.text import printable
from lumen.watching.ledger.ledger import NAME
from lumen.watching.observing.mounts import Mount, mounts_below, place_on_disk, read_mounts
from lumen.watching.observing.tree import folder_identity


def default_output(folder: Path) -> Path:
    """Return the default folder for results, beside the watched one."""
    there = folder.absolute()
    return there.with_name(f"{there.name or 'root'}-enhanced")


def check_folders(folder: Path, options: WatchOptions) -> None:
    """Refuse folders that would overwrite each other's files; output folders may lie inside the watched one.

    A folder may be mounted at several places. So folders are compared by what they are, not by their paths alone.

    Raises:
        UsageError: They would, or there is no folder to watch.
    """
    if not is_folder(folder):
        raise UsageError(f"expected a folder to watch, got {printable(folder)}, which is not a folder")
    watched, mounts = real_path(folder), read_mounts()
    places = _places(options)
    for name, place in places.items():
        if _lies_in(watched, place, mounts):
            raise UsageError(f"expected {name} elsewhere, but the watched folder {printable(folder)} is or lies in it")
        if not place.is_relative_to(watched) and _lies_in(place, watched, mounts):
            raise UsageError(
                f"expected {name} elsewhere, but {printable(place)} lies in the watched folder {printable(folder)}, "
                "which is mounted twice; name it by its path below the watched folder"
            )
    for name, place in places.items():
        for other, theirs in places.items():
            if name != other and _lies_in(place, theirs, mounts):
                raise UsageError(f"expected {name} elsewhere, but it is or lies in {other}, {printable(theirs)}")


def check_shown_files(folder: Path, options: WatchOptions) -> None:
    """Refuse places of the page and the metrics where they would be watched, or write over something else.

    Raises:
        UsageError: They would.
    """
    watched, mounts = real_path(folder), read_mounts()
    for name, path, mark in (("--page", options.page, WATCH_PAGE_MARK), ("--metrics", options.metrics, METRICS_MARK)):
        if path is None:
            continue
        home = real_path(path.absolute().parent)
        if not is_folder(home):
            raise UsageError(f"expected {name} in a folder that exists, got {printable(path)}; make {printable(home)}")
        if _lies_in(home, watched, mounts):
            raise UsageError(
                f"expected {name} outside of the watched folder {printable(folder)}, got {printable(path)}: it would "
                "change that folder every few seconds"
            )
        if STATE in home.parts:
            raise UsageError(f"expected {name} outside of {STATE}, got {printable(path)}")
        if os.path.lexists(path) and not has_mark(path, mark):
            raise UsageError(
                f"expected {name} to be new or a file that lumen has written there, got {printable(path)}, which is "
                "something else"
            )


def exposed_folders(folder: Path, options: WatchOptions) -> list[Path]:
    """Return the output folders that others can replace, because they may write into a watched folder around them."""
    watched = real_path(folder)
    inside = [place for place in _places(options).values() if place.is_relative_to(watched)]
    return [
        place
        for place in inside
        if any(_is_open_to_others(each) for each in place.parents if each.is_relative_to(watched))
    ]


def outputs_around(options: WatchOptions) -> list[Path]:
    """Return the folders around the output folder that are outputs of other watchers, running or not."""
    return [each for each in real_path(options.output).parents if (each / STATE / NAME).is_file()]


def _places(options: WatchOptions) -> dict[str, Path]:
    others = {"the output folder": options.output, "the folder of move": options.archive}
    others["--failed-dir"] = options.failed_dir
    return {name: real_path(path) for name, path in others.items() if path is not None}


def _lies_in(inner: Path, outer: Path, mounts: list[Mount]) -> bool:
    """Tell whether a folder, given without links, is another one or lies in it, on whatever way that is reached."""
    if inner.is_relative_to(outer):
        return True
    there = folder_identity(str(outer))
    if there is not None and any(folder_identity(str(each)) == there for each in (inner, *inner.parents)):
        return True
    # A part of `outer` may be mounted elsewhere, or `inner` in it: only the system knows.
    place = place_on_disk(str(inner), mounts)
    seen_there = [place_on_disk(str(outer), mounts), *(mount.place for mount in mounts_below(str(outer), mounts))]
    return place is not None and any(place.lies_in(each) for each in seen_there if each is not None)


def _is_open_to_others(folder: Path) -> bool:
    """Tell whether other users may rename what is in a folder, as far as its mode and owner tell."""
    if os.name != "posix":
        return False
    try:
        facts = folder.stat()
    except OSError:
        return False
    if facts.st_uid not in (0, os.geteuid()):
        return True
    if facts.st_mode & stat.S_ISVTX:
        return False
    return bool(facts.st_mode & stat.S_IWOTH or (facts.st_mode & stat.S_IWGRP and facts.st_gid != os.getegid()))
