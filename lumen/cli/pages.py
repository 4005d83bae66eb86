"""The page of a run, `--report` and `lumen review`: where it goes, how far it is, and what is said of it."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lumen.batch.report import Report
from lumen.cli.state import State
from lumen.config import BatchOptions
from lumen.errors import Exit, NothingToDoError, OutputError, UsageError
from lumen.files.atomic import check_writable
from lumen.files.state import STATE
from lumen.files.store_path import StorePath
from lumen.text import counted, printable

if TYPE_CHECKING:
    from lumen.cli.views.batch import BatchView
    from lumen.review.places import PagePlace

log = logging.getLogger("lumen")

FEW = 2  # pictures that are worth a page


class PageReport:
    """The page that `--report` asks for, or nothing.

    Attributes:
        told: Where the page is, once it is written.
        exit_code: 6 if it could not be written.
    """

    def __init__(
        self, asked: Path | None, inputs: Sequence[Path], options: BatchOptions, *, is_hinted: bool = True
    ) -> None:
        """Look at the place before any work is done.

        Raises:
            OutputError: Nothing can be written there.
            UsageError: Something else is there.
        """
        if asked is not None and isinstance(options.output, StorePath):
            raise UsageError(
                f"--report cannot be combined with --out {options.output}: the page shows results on a disk; copy them "
                "there, and run lumen review on their folder"
            )
        self._is_hinted = is_hinted and asked is None and not isinstance(options.output, StorePath)
        self.told, self.exit_code = "", Exit.OK
        self._home, self._place = options.output, None
        if asked is not None and options.output is not None:
            from lumen.review.places import PagePlace

            self._place = PagePlace.of(asked, [*inputs, options.output])
            check_writable(self._place.page.parent)

    def beside(self, place: str) -> str:
        """Return where the results are, and where the page is."""
        return "; ".join(filter(None, (place, self.told)))

    def hint(self, state: State, report: Report) -> list[str]:
        """Return the hint that there are pages: on a terminal, after the first run into a folder, and never again."""
        from lumen.batch.record import FOLDER
        from lumen.cli.views.console import log_console

        if not self._is_hinted or self._home is None or report.counts["done"] < FEW:
            return []
        runs = self._home / STATE / FOLDER
        if not log_console(state).is_terminal or not runs.is_dir() or sum(1 for _ in runs.iterdir()) != 1:
            return []
        home = printable(shlex.quote(str(self._home)))
        return [f"`lumen review {home}` makes a page of before and after, and so does --report PAGE.html"]

    def write(self, state: State, view: BatchView) -> None:
        """Write the page; if it cannot be written, say so: the results of the run are there all the same."""
        if self._place is None or self._home is None:
            return
        view.stop_bar()
        try:
            self.told = write_page_of(state, self._home, self._place)
        except (OutputError, NothingToDoError) as error:  # the second if no record could be written
            log.error("the page cannot be written: %s", error)
            self.exit_code = Exit.OUTPUT


def write_page_of(state: State, home: Path, place: PagePlace) -> str:
    """Write the page of an output folder, with a bar, and return where it is.

    Raises:
        NothingToDoError: There is no record of a run.
        OutputError: The page cannot be written.
    """
    from rich.progress import MofNCompleteColumn

    from lumen.cli.views.console import progress_bar
    from lumen.review.page import write_page

    with progress_bar(state, MofNCompleteColumn()) as bar:
        task = bar.add_task("making the page", total=None)
        written = write_page(home, place, lambda done, total: bar.update(task, completed=done, total=total))
    log.info("the page shows %s in %.1f MB", counted(written.pictures, "picture"), written.nbytes / 1e6)
    return f"the page is {printable(written.path)}"
