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


class Selection:
    """The patterns of `--include` and `--exclude`.

    A pattern is a glob whose `*` also crosses folders. It is matched against the path below the given folder and
    against the name alone; case makes no difference, as cameras write both IMG.JPG and img.jpg.
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

    Pictures of before and after that lumen wrote itself are none.

    >>> is_picture_name("IMG.JPG"), is_picture_name(".a.jpg"), is_picture_name("a.jpg.filepart")
    (True, False, False)
    >>> is_picture_name("IMG.JPG.compare.jpg")
    False
    """
    stem, dot, suffix = name.rpartition(".")
    is_picture = bool(stem) and dot + suffix.lower() in SUFFIXES
    return is_picture and not is_hidden(name) and not is_comparison(name)


def is_clip_name(name: str) -> bool:
    """Tell whether a name is that of a clip, and not hidden.

    >>> is_clip_name("a.MP4"), is_clip_name(".a.mp4"), is_clip_name("a.mp4.part"), is_clip_name(".mp4")
    (True, False, False, False)
    """
    return is_clip(name) and not is_hidden(name)


def is_comparison(name: str) -> bool:
    """Tell whether a name is that of a picture of before and after, which lumen wrote beside a result."""
    return name.lower().endswith(COMPARISON_SUFFIX)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern.replace(os.sep, "/").rstrip("/")), re.IGNORECASE)


def _matches(patterns: Iterable[re.Pattern[str]], relative: PurePath) -> bool:
    return any(pattern.match(text) for pattern in patterns for text in (relative.as_posix(), relative.name))
