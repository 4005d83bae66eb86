"""Which files are used: patterns that include and exclude, hidden files, and what is a picture by its name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import translate
from pathlib import PurePath

from lumen.imaging.clip_formats import is_clip
from lumen.imaging.formats import SUFFIXES

COMPARISON_SUFFIX = ".compare.jpg"  # of before and after; appended to a whole name: `a.jpg` and `a.png` each get one
PREVIEW_SUFFIX = ".preview.jpg"  # of what pages show


class Selection:
    """The patterns of `--include` and `--exclude`.

    A pattern is a glob whose `*` also crosses folders. It is matched against the path below the given folder and
    against the name alone; case makes no difference, as cameras write both IMG.JPG and img.jpg. One that begins with a
    slash is matched against the path alone, and case does make a difference: so a single file can be meant.

    >>> paths = [PurePath("a.jpg"), PurePath("day/a.jpg"), PurePath("A.JPG")]
    >>> [Selection(["a.jpg"]).takes(path) for path in paths], [Selection(["/a.jpg"]).takes(path) for path in paths]
    ([True, True, True], [True, False, False])
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        """Take the patterns; without `include` everything is taken that is not excluded."""
        self._include = [_compiled(pattern) for pattern in include]
        self._exclude = [_compiled(pattern) for pattern in exclude]

    @property
    def takes_all(self) -> bool:
        """Whether there are no patterns."""
        return not self._include and not self._exclude

    def takes(self, relative: PurePath) -> bool:
        """Tell whether a file is wanted."""
        return (not self._include or _matches(self._include, relative)) and not self.drops(relative)

    def drops(self, relative: PurePath) -> bool:
        """Tell whether a file, or a folder with all that is in it, is excluded."""
        return bool(self._exclude) and _matches(self._exclude, relative)


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, as uploads are while they last."""
    return name.startswith(".")


def is_picture_name(name: str) -> bool:
    """Tell whether a name is that of a picture: it is not hidden and has a suffix that lumen reads, in any case.

    Pictures of before and after that lumen wrote itself, and previews, are none.

    >>> is_picture_name("IMG.JPG"), is_picture_name(".a.jpg"), is_picture_name("a.jpg.filepart")
    (True, False, False)
    >>> is_picture_name("IMG.JPG.compare.jpg"), is_picture_name("IMG.after.preview.jpg")
    (False, False)
    """
    stem, dot, suffix = name.rpartition(".")  # this is asked of each of a million names
    if not stem or dot + suffix.lower() not in SUFFIXES or stem[0] == ".":
        return False
    return not (is_comparison(name) or name.endswith(PREVIEW_SUFFIX))


def is_clip_name(name: str) -> bool:
    """Tell whether a name is that of a clip, and not hidden.

    >>> is_clip_name("a.MP4"), is_clip_name(".a.mp4"), is_clip_name("a.mp4.part"), is_clip_name(".mp4")
    (True, False, False, False)
    """
    return is_clip(name) and not is_hidden(name)


def is_comparison(name: str) -> bool:
    """Tell whether a name is that of a picture of before and after, which lumen wrote beside a result."""
    return name.lower().endswith(COMPARISON_SUFFIX)


def exact_pattern(relative: PurePath) -> str:
    """Return the pattern of a single file; bytes that are not UTF-8, which settings cannot hold, become `?`.

    >>> exact_pattern(PurePath("day [1]/a*.jpg"))
    '/day [[]1]/a[*].jpg'
    """
    escaped = re.sub(r"([*?[])", r"[\1]", relative.as_posix())
    return "/" + re.sub(r"[\ud800-\udfff]", "?", escaped)


def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = pattern.replace(os.sep, "/").rstrip("/")
    return re.compile(translate(pattern), 0 if pattern.startswith("/") else re.IGNORECASE)


def _matches(patterns: Iterable[re.Pattern[str]], relative: PurePath) -> bool:
    path = relative.as_posix()
    exact, loose = (f"/{path}",), (path, relative.name)
    return any(
        pattern.match(text) for pattern in patterns for text in (loose if pattern.flags & re.IGNORECASE else exact)
    )
