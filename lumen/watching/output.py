"""The output folder of a watcher: its lock, its ledger, and whether it can be written."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from lumen.errors import OutputError
from lumen.files.atomic import TEMP_SUFFIX, make_folder, own_error, remove_leftovers
from lumen.files.inputs import hold_folder
from lumen.files.lock import lock_folder
from lumen.watching.ledger.ledger import Ledger

MIN_FREE_BYTES = 1 << 30
MIN_FREE_SHARE = 0.1  # of a small disk
PROBE_BYTES = 4096
HYSTERESIS = 1.05  # so that work does not stop and start at the limit


class HeldOutput:
    """A `with` block that holds the folder and keeps its `ledger` open."""

    ledger: Ledger

    def __init__(self, folder: Path, min_free_bytes: int | None) -> None:
        """Describe the folder; nothing is touched yet.

        Args:
            folder: Made if it is missing.
            min_free_bytes: As in `lumen.config.WatchOptions`.
        """
        self.folder = folder
        self._min_free_bytes = min_free_bytes
        self._lock = ExitStack()
        self._identity: tuple[int, int] | None = None
        self._is_short = False

    def __enter__(self) -> Self:
        """Lock the folder and open its ledger.

        Raises:
            LockedError: Another run holds it.
            OutputError: It cannot be written.
        """
        make_folder(self.folder)
        with ExitStack() as stack:
            stack.enter_context(lock_folder(self.folder))
            self.ledger = Ledger(self.folder)
            try:
                self.probe()
            except BaseException:
                self.ledger.close()
                raise
            self._identity = _identity(self.ledger.path)
            self._lock = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ledger.close()
        self._lock.close()

    def clean(self) -> None:
        """Remove temporary files of an interrupted process, and let the files that it worked on wait again."""
        # In this order: after another interruption in between, the ledger still says where to look.
        for folder in {self.folder, *((self.folder / target).parent for target in self.ledger.begun())}:
            remove_leftovers(folder, below=self.folder)
        self.ledger.requeue_interrupted()

    def probe(self) -> None:
        """Check that a file can be written.

        Raises:
            OutputError: It cannot.
        """
        name = f".{secrets.token_hex(8)}{TEMP_SUFFIX}"
        try:
            with hold_folder(self.folder) as folder, folder.create(name) as file, ExitStack() as stack:
                stack.callback(folder.unlink, name)
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise own_error(self.folder / name, error) from error

    def shortage(self) -> str | None:
        """Return why the disk is too full, None if it is not."""
        try:
            usage = shutil.disk_usage(self.folder)
        except OSError:
            return None  # writing a result reports why
        least = self._min_free_bytes
        if least is None:
            least = min(MIN_FREE_BYTES, int(usage.total * MIN_FREE_SHARE))
        self._is_short = usage.free < least * (HYSTERESIS if self._is_short else 1)
        if not self._is_short:
            return None
        free, wanted = (f"{amount / 1e6:.0f} MB" for amount in (usage.free, least))
        return f"{free} are free in {self.folder}, --min-free wants {wanted}"

    def is_other(self) -> bool:
        """Tell whether the folder is no longer the one that is held: it was unmounted or replaced."""
        return _identity(self.ledger.path) != self._identity

    def mend(self) -> None:
        """Check that results and ledger can be written; reopen both if the folder has come back.

        Raises:
            DamagedLedgerError: Another ledger is there now.
            OutputError: They cannot be written.
        """
        if self.is_other():
            if _identity(self.ledger.path) is None:
                raise OutputError(
                    f"the output folder {self.folder} was replaced and its ledger has gone; bring it back, or start "
                    "lumen again"
                )
            self._lock.close()
            self._lock.enter_context(lock_folder(self.folder))
            self.ledger.reopen()
            self._identity = _identity(self.ledger.path)
        try:
            self.ledger.touch()
        except OutputError:
            self.ledger.reopen()
            self.ledger.touch()
        self.probe()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
