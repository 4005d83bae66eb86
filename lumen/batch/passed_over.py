"""What is in folders and not taken: pictures in sub-folders, hidden ones, links, comparisons, and other files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

from lumen.batch.sidecars import ENDINGS
from lumen.files.patterns import is_clip_name, is_comparison, is_hidden, is_picture_name
from lumen.files.state import STATE
from lumen.text import counted, printable

SHOWN_KINDS = 3
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini"}  # of Windows, in every folder of pictures


@dataclass(kw_only=True)
class PassedOver:
    """Counts what is not taken, to be told at the end of a run.

    Attributes:
        takes_clips: Whether clips are taken like pictures.
        below: Pictures in sub-folders of folders that were not searched with their sub-folders.
        is_all: Whether all sub-folders were looked at to count these.
        hidden: Hidden files with the name of a picture.
        hidden_folders: Hidden folders, without those of lumen itself.
        links: Links to pictures, where none are followed.
        clips: Clips, where they are not taken.
        comparisons: Pictures of before and after that lumen wrote.
        unusable: Objects of a store whose keys have empty, `.` or `..` parts, which no folder can mirror.
        others: Files that are no pictures by their names, by suffix; sidecars are none of them.
    """

    takes_clips: bool = False
    below: int = 0
    is_all: bool = True
    hidden: int = 0
    hidden_folders: int = 0
    links: int = 0
    clips: int = 0
    comparisons: int = 0
    unusable: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def forget(self) -> None:
        """Begin to count anew."""
        vars(self).update(vars(PassedOver(takes_clips=self.takes_clips)))

    def takes(self, name: str) -> bool:
        """Tell whether a file in a folder is a picture by its name, and count it if not."""
        if is_picture_name(name) or (self.takes_clips and is_clip_name(name)):
            return True
        if is_clip_name(name):
            self.clips += 1
        elif is_comparison(name):
            self.comparisons += 1
        elif is_hidden(name):
            self.hidden += is_picture_name(name.lstrip("."))
        elif not name.endswith(ENDINGS) and name.lower() not in _SYSTEM_NAMES:
            self.others[PurePath(name).suffix.lower()] += 1
        return False

    def enters(self, name: str) -> bool:
        """Tell by its name whether a folder is one to search, and count it if it is hidden."""
        if not is_hidden(name):
            return True
        self.hidden_folders += name != STATE
        return False

    def lines(self) -> list[str]:
        """Return what to tell people, with what to do about it."""
        files = self.others.total()
        kinds = [printable(suffix) or "no suffix" for suffix, _ in self.others.most_common()]
        shown = ", ".join([*kinds[:SHOWN_KINDS], *["..."][: len(kinds) > SHOWN_KINDS]])
        parts = [
            f"{counted(files, 'file')} of other kinds ({shown})" if files else "",
            counted(self.hidden, "hidden file") if self.hidden else "",
            counted(self.hidden_folders, "hidden folder") if self.hidden_folders else "",
            counted(self.links, "link") if self.links else "",
            f"{counted(self.comparisons, 'comparison')} (*.compare.jpg)" if self.comparisons else "",
            f"{counted(self.unusable, 'key')} with an empty, . or .. part" if self.unusable else "",
        ]
        told = ", ".join(filter(None, parts))
        found = [f"passed over: {told}"] if told else []
        if self.clips:
            found.append(f"{counted(self.clips, 'clip')} not taken; add --clips")
        if self.below:
            more = "" if self.is_all else "more than "
            found.append(f"{more}{counted(self.below, 'picture')} in sub-folders not taken; add -r")
        elif not self.is_all:
            found.append("the sub-folders were not searched; add -r")
        return found
