"""The reports of an evaluation as files: JSON, CSV, Markdown, and an HTML page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lumen.errors import OutputError, PictureError, UsageError
from lumen.evaluation.cells import as_text
from lumen.evaluation.columns import REFERENCE
from lumen.evaluation.measures import STATISTICS
from lumen.evaluation.previews import Previews
from lumen.evaluation.report import WORST, EvalReport
from lumen.files.atomic import check_writable, make_folder, write_atomically
from lumen.files.paths import real_path
from lumen.text import printable

PAGE_SUFFIXES: Final = (".html", ".htm")
REPORT_SUFFIXES: Final = (*PAGE_SUFFIXES, ".json", ".csv", ".md")


def check_targets(targets: Sequence[Path], inputs: Sequence[Path], save: Path | None = None) -> None:
    """Refuse reports that are of an unknown kind, overwrite an input, or cannot be written, before any work is done.

    Args:
        targets: The reports.
        inputs: Files and folders that are read.
        save: Folder for the results.

    Raises:
        OutputError: `save`, or the folder of a report, cannot be written.
        UsageError: A suffix is unknown, or a report would overwrite an input.
    """
    for target in targets:
        if target.suffix.lower() not in REPORT_SUFFIXES:
            raise UsageError(f"expected --report with a name in {', '.join(REPORT_SUFFIXES)}, got {target}")
        if any(real_path(target) == real_path(path) for path in inputs):
            raise UsageError(f"expected --report apart from what is read, got {target}")
    for folder in {*(target.parent for target in targets), *filter(None, (save,))}:
        check_writable(folder)


def previews_for(targets: Sequence[Path]) -> Previews | None:
    """Return previews to be filled for a page; None if no report is a page."""
    return Previews() if any(target.suffix.lower() in PAGE_SUFFIXES for target in targets) else None


def write_reports(report: EvalReport, targets: Sequence[Path], previews: Previews | None = None) -> None:
    """Write a report to files, each in the format of its suffix; bytes of names that are not UTF-8 become escapes.

    Raises:
        OutputError: A file cannot be written.
    """
    for target in targets:
        suffix = target.suffix.lower()
        if suffix in PAGE_SUFFIXES:
            from lumen.evaluation.page import page_of  # loads Jinja, which nothing else needs

            text = page_of(report, (previews or Previews()).album)
        else:
            text = {".json": json_of, ".csv": csv_of, ".md": markdown_of}[suffix](report)
        try:
            make_folder(target.parent)
            write_atomically(target, text.encode("utf-8", "backslashreplace"))
        except PictureError as error:  # of its name, but no picture's
            raise OutputError(str(error)) from error


def json_of(report: EvalReport) -> str:
    """Return the report as one JSON object."""
    pictures = [picture.as_dict() for picture in report.pictures]
    problems = [problem.as_dict() for problem in report.problems]
    return json.dumps({"pictures": pictures, "problems": problems} | report.as_dict(), indent=1) + "\n"


def csv_of(report: EvalReport) -> str:
    """Return a CSV line for each picture and method, at full precision; what was not measured is empty.

    Names that a spreadsheet would take for formulas begin with `'`.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["picture", "method", "width", "height", *(measure.key for measure in report.measures)])
    for picture in report.pictures:
        for column in (*picture.scores, REFERENCE):
            score = picture.score(column)
            if score is None:
                continue
            values = (repr(score.values[each.key]) if each.key in score.values else "" for each in report.measures)
            writer.writerow([as_text(picture.name), as_text(column), picture.width, picture.height, *values])
    return stream.getvalue()


def markdown_of(report: EvalReport) -> str:
    """Return the summary and the worst pictures as Markdown tables, with the protocol."""
    of = f" of {_cell(report.data)}" if report.data else ""
    parts = [f"# Scores{of}: {len(report.pictures)} pictures"]
    if report.warnings:
        parts.append("\n".join(f"> **Warning:** {_cell(warning)}" for warning in report.warnings))
    if report.pictures:
        parts += [_summary(report), f"The worst by {_cell(report.title(report.main or ''))}:", _worst(report)]
    if report.problems:
        lines = [f"- {_cell(problem.name)}: {_cell(problem.reason)}" for problem in report.problems]
        parts += ["Not scored:", "\n".join(lines)]
    parts += ["How it was measured:", "\n".join(f"- {_cell(part)}" for part in report.protocol.split("; "))]
    return "\n\n".join(parts) + "\n"


def _summary(report: EvalReport) -> str:
    rows = [
        [_cell(report.title(column)), statistic, *(measure.text(score) for measure in report.measures)]
        for column in report.described
        for statistic in STATISTICS
        for score in [report.summary(column, statistic)]
    ]
    return _table(["method", "", *(measure.title for measure in report.measures)], rows)


def _worst(report: EvalReport) -> str:
    measures = report.measures[:2]
    headers = [f"{_cell(report.title(column))} {measure.title}" for column in report.columns for measure in measures]
    rows = [
        [
            _cell(picture.name),
            *(measure.text(picture.score(column)) for column in report.columns for measure in measures),
        ]
        for picture in report.ranked()[:WORST]
    ]
    return _table(["picture", *headers], rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *("---:" for _ in headers[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return text on one line with the markup characters escaped."""
    return "".join(f"\\{c}" if c in r"\|*_`<>[]#" else c for c in printable(text))
