"""Where folders may lie: nothing may be overwritten, and no result may become an input."""

from __future__ import annotations

from pathlib import Path

from lumen.config import WatchOptions
from lumen.errors import UsageError
from lumen.files.paths import is_folder, real_path
from lumen.text import printable


def default_output(folder: Path) -> Path:
    """Return the default folder for results, beside the watched one."""
    there = folder.absolute()
    return there.with_name(f"{there.name or 'root'}-enhanced")


def check_folders(folder: Path, options: WatchOptions) -> None:
    """Refuse folders that would overwrite each other's files; output folders may lie inside the watched one.

    Raises:
        UsageError: They would, or there is no folder to watch.
    """
    if not is_folder(folder):
        raise UsageError(f"expected a folder to watch, got {printable(folder)}, which is not a folder")
    watched = real_path(folder)
    others = {"the output folder": options.output, "the folder of move": options.archive}
    others["--failed-dir"] = options.failed_dir
    places = {name: real_path(path) for name, path in others.items() if path is not None}
    for name, place in places.items():
        if watched.is_relative_to(place):
            raise UsageError(f"expected {name} elsewhere, but the watched folder {printable(folder)} is or lies in it")
    for name, place in places.items():
        for other, theirs in places.items():
            if name != other and place.is_relative_to(theirs):
                raise UsageError(f"expected {name} elsewhere, but it is or lies in {other}, {printable(theirs)}")
