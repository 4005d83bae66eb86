"""The page of an evaluation: summary, distributions, a sortable table, and a slider for each picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup

from lumen.evaluation.columns import INPUT, REFERENCE, column_title
from lumen.evaluation.measures import STATISTICS, TONE, Measure, Score
from lumen.evaluation.previews import ERROR_TOP, preview_titles
from lumen.evaluation.report import EvalReport, PictureScores
from lumen.pages.album import Album
from lumen.pages.page import render
from lumen.pages.plots import strip_plot

SHOWN: Final = ("psnr", "ssim", "lpips", "niqe")  # measures of each picture, before those of tone
PLOTTED: Final = (*SHOWN, "brightness", *TONE)


def page_of(report: EvalReport, album: Album) -> str:
    """Return the page as HTML; the worst pictures come first."""
    ranked = report.ranked()
    shown = [measure for measure in report.measures if measure.key in SHOWN]
    shown = shown or [measure for measure in report.measures if measure.key == "brightness"]
    tone = [measure for measure in report.measures if measure.key in TONE]
    summaries = {column: [report.summary(column, statistic) for statistic in STATISTICS] for column in report.described}
    means = {column: mean for column, (mean, *_) in summaries.items()}
    columns = [
        (column, measure)
        for group in (shown, tone)
        for column in report.columns
        for measure in group
        if measure.key in means[column].values
    ]
    return render(
        "evaluation/page.html",
        heading=f"Scores of {report.data}" if report.data else "Scores",
        report=report,
        summaries=summaries,
        tables=[
            ("Against the references", [measure for measure in report.measures if measure.needs_reference]),
            ("Without a reference", [measure for measure in report.measures if not measure.needs_reference]),
        ],
        best={measure.key: _best(means, measure) for measure in report.measures},
        plots=_plots(report),
        heads=[_head(report, column, measure) for column, measure in columns],
        rows=[(picture.name, [_cell(picture, *each) for each in columns]) for picture in ranked],
        cards=((picture, _stage(report, album.shots(picture.name))) for picture in ranked),
        shown=shown + tone,
        missing=sum(picture.name not in album for picture in ranked),
        compared=any(picture.reference is not None for picture in ranked),
        error_top=ERROR_TOP,
        title=report.title,
        count=f"{len(ranked)} picture{'' if len(ranked) == 1 else 's'}",
        INPUT=INPUT,
    )


def _best(means: Mapping[str, Score], measure: Measure) -> set[str]:
    """Return the best of several methods, without variants that use the reference; none if there is one method."""
    values = {
        column: mean.values[measure.key]
        for column, mean in means.items()
        if measure.key in mean.values and column not in (INPUT, REFERENCE) and column_title(column) == column
    }
    if not measure.better or len(values) < 2:
        return set()
    wanted = max(values.values()) if measure.better == "higher" else min(values.values())
    return {column for column, value in values.items() if value == wanted}


def _plots(report: EvalReport) -> Iterator[tuple[Measure, Markup]]:
    """Yield a plot for each of the main measures."""
    for measure in (measure for measure in report.measures if measure.key in PLOTTED):
        columns = report.described if measure.key == "brightness" else report.columns
        rows = {report.title(column): _dots(report, column, measure.key) for column in columns}
        label = f"{measure.title} of each picture, by method"
        plot = strip_plot({name: dots for name, dots in rows.items() if dots}, measure.digits, label)
        if plot:
            yield measure, plot


def _dots(report: EvalReport, column: str, key: str) -> list[tuple[str, float]]:
    """Return name and value of each picture with a value."""
    scores = [(picture.name, picture.score(column)) for picture in report.pictures]
    return [(name, score.values[key]) for name, score in scores if score is not None and key in score.values]


def _head(report: EvalReport, column: str, measure: Measure) -> Mapping[str, str]:
    """Return the heading of a column; the table is sorted by the measure that ranks the pictures."""
    order = "ascending" if measure.better == "higher" else "descending"
    return {
        "group": report.title(column),
        "title": measure.title,
        "better": measure.better,
        "sorted": order if (column, measure) == (report.main, report.ranked_by) else "",
    }


def _cell(picture: PictureScores, column: str, measure: Measure) -> Mapping[str, str]:
    """Return a number of the table, as printed and as the script sorts it."""
    score = picture.score(column)
    value = None if score is None else score.values.get(measure.key)
    if value is not None and measure.signed:
        value = abs(value)
    exact = "" if value is None else "Infinity" if math.isinf(value) else f"{value:.9g}"
    return {"exact": exact, "text": measure.text(score)}


def _stage(report: EvalReport, shots: Mapping[str, str]) -> Mapping[str, Any] | None:
    """Return the previews of a picture and the two shown first; None if it has none."""
    if not shots:
        return None
    left = INPUT if INPUT in shots else report.main or next(iter(shots))
    right = report.main if report.main != left and report.main in shots else REFERENCE
    sides = {"left": left, "right": right if right in shots else left}
    return sides | {"shots": shots, "titles": preview_titles(shots, report.title)}
