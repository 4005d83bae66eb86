"""Reports as tables: JSON, CSV with one line for each picture and method, Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from lumen.evaluation import REFERENCE, EvalReport
from lumen.evaluation.measures import BY_KEY, STATISTICS, formatted
from lumen.evaluation.options import title
from lumen.text import printable

WORST = 10


def json_of(report: EvalReport) -> str:
    """Return everything as one JSON object."""
    pictures = [picture.as_dict() for picture in report.pictures]
    problems = [problem.as_dict() for problem in report.problems]
    return json.dumps({"pictures": pictures, "problems": problems} | report.as_dict(), indent=1) + "\n"


def csv_of(report: EvalReport) -> str:
    """Return one line for each picture and method, at full precision; empty where something was not measured."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["picture", "method", "width", "height", *report.measured])
    for picture in report.pictures:
        scores = dict(picture.scores)
        if picture.reference is not None:
            scores[REFERENCE] = picture.reference
        for column, score in scores.items():
            values = ("" if (value := score.get(key)) is None else repr(value) for key in report.measured)
            writer.writerow([picture.name, column, picture.width, picture.height, *values])
    return stream.getvalue()


def markdown_of(report: EvalReport) -> str:
    """Return the summary and the worst pictures as Markdown tables, with the protocol."""
    parts = [f"# Scores of {len(report.pictures)} pictures"]
    if report.warnings:
        parts.append("\n".join(f"> **Warning:** {_cell(warning)}" for warning in report.warnings))
    if report.pictures:
        parts += [_summary(report), f"The worst by {_cell(title(report.main or ''))}:", _worst(report)]
    if report.problems:
        parts.append("Not scored:")
        parts.append("\n".join(f"- {_cell(problem.name)}: {_cell(problem.reason)}" for problem in report.problems))
    parts += ["How it was measured:", "\n".join(f"- {_cell(part)}" for part in report.protocol.split("; "))]
    return "\n\n".join(parts) + "\n"


def _summary(report: EvalReport) -> str:
    rows = [
        [_cell(title(column)), statistic, *(formatted(score.get(key), key) for key in report.measured)]
        for column in report.described
        for statistic in STATISTICS
        for score in [report.summary(column, statistic)]
    ]
    return _table(["method", "", *(BY_KEY[key].title for key in report.measured)], rows)


def _worst(report: EvalReport) -> str:
    keys = report.measured[:2]
    headers = [f"{_cell(title(column))} {BY_KEY[key].title}" for column in report.columns for key in keys]
    rows = [
        [
            _cell(picture.name),
            *(formatted(picture.scores[column].get(key), key) for column in report.columns for key in keys),
        ]
        for picture in report.ranked()[:WORST]
    ]
    return _table(["picture", *headers], rows)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---", *("---:" for _ in headers[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return text that stays in its cell, and is no markup."""
    return "".join(f"\\{c}" if c in r"\|*_`<>[]#" else c for c in printable(text))
