"""Steady light of watched folders: each is one sequence, whose state outlasts the process in the ledger.

Files are read side by side, and each gets its tone when those before it in its folder have theirs. A file that is older
than what its folder has shown already gets the light of now, and changes nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from contextlib import suppress
from dataclasses import dataclass, field

from lumen.config import EnhanceOptions
from lumen.enhance.live import LiveLight
from lumen.enhance.steady import refuse_unsteady, thumbnail_of
from lumen.errors import OutputError
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats, Models
from lumen.stages import LeftError
from lumen.watching.ledger.ledger import Ledger
from lumen.watching.ledger.schema import DamagedLedgerError

KEEP_S = 5.0  # between two records of a folder, of about 120 kB: what a killed process loses changes no light
MOST_FOLDERS = 256  # in memory
CLOCK_NS = 3600 * 10**9  # what is older by more was not late: the clock of its camera was set back


@dataclass(kw_only=True)
class _Folder:
    light: LiveLight
    newest_ns: int
    kept_at: float
    is_changed: bool = False
    turns: deque[Turn] = field(default_factory=deque)
    moved: threading.Condition = field(default_factory=threading.Condition)


class Turn:
    """The place of a file in the order of its folder.

    Attributes:
        is_waiting: Whether it waits for the files before it.
        late_s: How much older it is than what the folder has shown already, in seconds; 0 if it is not late.
    """

    def __init__(self, folder: _Folder, models: Models, modified_ns: int) -> None:
        self.is_waiting = False
        self.late_s = 0.0
        self._folder, self._models, self._modified_ns = folder, models, modified_ns
        folder.turns.append(self)

    def tone(self, picture: Picture, options: EnhanceOptions) -> Floats:
        """Return the tone of the picture, float32 [K], when it is its turn.

        Raises:
            LeftError: The turn was ended meanwhile.
            ModelError: The model failed.
        """
        seen, folder = thumbnail_of(picture, self._models), self._folder
        with folder.moved:
            self.is_waiting = True
            folder.moved.wait_for(lambda: self not in folder.turns or folder.turns[0] is self)
            self.is_waiting = False
            if self not in folder.turns:
                raise LeftError
            behind_ns = folder.newest_ns - self._modified_ns
            if 0 < behind_ns < CLOCK_NS and folder.light.has_begun:
                self.late_s = behind_ns / 1e9
                return folder.light.tone_of_late(seen, ev=options.ev, shadows=options.shadows)
            folder.newest_ns, folder.is_changed = self._modified_ns, True
            return folder.light.tone(seen, ev=options.ev, shadows=options.shadows)

    def end(self) -> None:
        """Let the next file have its turn; may be called again."""
        with self._folder.moved:
            with suppress(ValueError):
                self._folder.turns.remove(self)
            self._folder.moved.notify_all()


class FolderLights:
    """The lights of all folders, for the thread of the watcher; its turns are for any."""

    def __init__(self, models: Models, ledger: Ledger) -> None:
        """Take what solves tones, and where states are kept.

        Args:
            models: A model of contract 2.
            ledger: The ledger of the output folder.
        """
        self._models, self._ledger = models, ledger
        self._folders: OrderedDict[str, _Folder] = OrderedDict()

    def refuse(self, options: EnhanceOptions) -> None:
        """Refuse what allows no steady light; raises `UsageError`."""
        refuse_unsteady(self._models.for_sample("uint8"), options)

    def enter(self, relative: str, modified_ns: int) -> Turn:
        """Return the turn of a file, behind those that entered before it.

        Args:
            relative: Its path below the watched folder.
            modified_ns: When it was changed last.

        Raises:
            DamagedLedgerError: The ledger cannot be used any more.
        """
        name = os.path.dirname(relative)  # noqa: PTH120  # of many strings
        if name not in self._folders:
            self._folders[name] = self._known(name)
            self._make_room()
        self._folders.move_to_end(name)
        return Turn(self._folders[name], self._models, modified_ns)

    def keep(self, *, at_once: bool = False) -> None:
        """Record the states that have changed, each from time to time; what cannot be written now is later.

        Args:
            at_once: All of them, because the watcher ends.
        """
        now = time.monotonic()
        for name, folder in self._folders.items():
            if folder.is_changed and (at_once or now - folder.kept_at > KEEP_S):
                self._keep(name, folder)

    def _known(self, name: str) -> _Folder:
        """Return a folder as the ledger knows it."""
        state, newest_ns = b"", 0
        try:
            state, newest_ns = self._ledger.light(name) or (state, newest_ns)
        except DamagedLedgerError:
            raise
        except OutputError:  # it is away for a moment; the folder begins anew
            pass
        light = LiveLight(self._models.for_sample("uint8"), state)
        return _Folder(light=light, newest_ns=newest_ns, kept_at=time.monotonic())

    def _make_room(self) -> None:
        for name, folder in list(self._folders.items()):
            if len(self._folders) <= MOST_FOLDERS:
                return
            if not folder.turns:
                if folder.is_changed:
                    self._keep(name, folder)
                del self._folders[name]

    def _keep(self, name: str, folder: _Folder) -> None:
        with folder.moved:
            state, newest_ns, folder.is_changed = folder.light.state(), folder.newest_ns, False
        folder.kept_at = time.monotonic()
        try:
            self._ledger.keep_light(name, state, newest_ns)
        except DamagedLedgerError:
            raise
        except OutputError:
            folder.is_changed = True
