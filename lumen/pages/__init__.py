"""Reports of an evaluation as files: JSON, CSV, Markdown, and one HTML page with pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lumen.errors import UsageError
from lumen.evaluation import EvalReport
from lumen.files.atomic import make_folder, write_atomically
from lumen.pages.album import Album
from lumen.pages.page import page_of
from lumen.pages.tables import csv_of, json_of, markdown_of

__all__ = ["PAGES", "Album", "check_targets", "write_reports"]

PAGES = (".html", ".htm")
SUFFIXES = (*PAGES, ".json", ".csv", ".md")


def check_targets(targets: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse reports of an unknown kind, or in the place of an input, before any work is done.

    Raises:
        UsageError: A name says nothing, or would overwrite an input.
    """
    for target in targets:
        if target.suffix.lower() not in SUFFIXES:
            raise UsageError(f"expected --report with a name in {', '.join(SUFFIXES)}, got {target}")
        if any(target.resolve() == path.resolve() for path in inputs):
            raise UsageError(f"expected --report apart from the pictures, got {target}")


def write_reports(report: EvalReport, targets: Sequence[Path], album: Album | None = None) -> None:
    """Write a report into files, each in the form that its suffix names.

    Raises:
        OutputError: A file cannot be written.
    """
    for target in targets:
        suffix = target.suffix.lower()
        if suffix in PAGES:
            text = page_of(report, album or Album())
        else:
            text = {".json": json_of, ".csv": csv_of, ".md": markdown_of}[suffix](report)
        make_folder(target.parent)
        write_atomically(target, text.encode("utf-8"))
