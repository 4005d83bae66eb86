"""One HTML page that holds everything: summary, distributions, a sortable table, and a slider for each picture.

It loads nothing from anywhere, which its own content policy forbids; previews are data URLs that scripts set when a
picture comes into view.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

from lumen.evaluation import INPUT, REFERENCE, EvalReport, PictureScores
from lumen.evaluation.measures import BY_KEY, STATISTICS, Score, formatted
from lumen.evaluation.options import title
from lumen.pages.album import ERROR, ERROR_TOP, Album
from lumen.pages.plots import strip_plot
from lumen.text import printable
from lumen.version import __version__

PLOTTED: Final = ("psnr", "ssim", "lpips", "niqe", "brightness")
_ARROWS: Final = {"higher": " ↑", "lower": " ↓", "": ""}
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page_of(report: EvalReport, album: Album) -> str:
    """Return the page; the worst pictures come first."""
    ranked = report.ranked()
    what = f"{len(ranked)} picture{'' if len(ranked) == 1 else 's'}"
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<link rel="icon" href="data:,"><title>Scores of {what}</title>',
        f"<style>{_asset('page.css')}</style></head><body>",
        '<a class="skip" href="#pictures">Skip to the pictures</a>',
        f"<header><h1>Scores of {what}</h1>{_lead(report)}</header><main>",
        *(_notice(report) if report.warnings else []),
    ]
    if ranked:
        parts += [_summary(report), _plots(report), _table(report, ranked), *_cards(report, ranked, album)]
    parts += [_problems(report) if report.problems else "", _protocol(report)]
    parts.append(
        f"</main><footer>Made by lumen {__version__}.</footer><script>{_asset('page.js')}</script></body></html>\n"
    )
    return "".join(parts)


def _asset(name: str) -> str:
    return files("lumen.pages").joinpath(name).read_text(encoding="utf-8")


def _text(value: str) -> str:
    return escape(printable(value))


def _lead(report: EvalReport) -> str:
    """Return one sentence with what matters most."""
    main = report.main
    if main is None:
        return "<p>Nothing could be scored.</p>"
    key = report.ranked_by or report.measured[0]
    unit = " dB" if key == "psnr" else ""
    best = report.mean(main).get(key)
    parts = [f"{_text(title(main))}: <strong>{formatted(best, key)}{unit}</strong> {BY_KEY[key].title} on average"]
    if INPUT in report.columns and main != INPUT:
        parts.append(f"the input has {formatted(report.mean(INPUT).get(key), key)}{unit}")
    return f'<p class="lead">{", ".join(parts)}.</p>'


def _notice(report: EvalReport) -> list[str]:
    lines = "".join(f"<li>{_text(line)}</li>" for line in report.warnings)
    return [f'<section class="notice" role="note"><h2>These scores may be wrong</h2><ul>{lines}</ul></section>']


def _summary(report: EvalReport) -> str:
    """Return the tables of methods: what compares with references, and what needs none."""
    found = {column: [report.summary(column, statistic) for statistic in STATISTICS] for column in report.described}
    parts = [
        '<section><h2>Summary</h2><p class="hint">Means over the pictures; below each the median ± the spread.</p>'
    ]
    for compared, caption in ((True, "Against the references"), (False, "The pictures by themselves")):
        keys = [key for key in report.measured if BY_KEY[key].needs_reference == compared]
        columns = [column for column in found if any(found[column][0].get(key) is not None for key in keys)]
        if keys:
            parts.append(_methods_table(report, {column: found[column] for column in columns}, keys, caption))
    return "".join([*parts, "</section>"])


def _methods_table(report: EvalReport, found: Mapping[str, Sequence[Score]], keys: Sequence[str], caption: str) -> str:
    heads = "".join(
        f'<th scope="col"><abbr title="{escape(BY_KEY[key].definition)}">{BY_KEY[key].title}</abbr>'
        f"{_ARROWS[BY_KEY[key].better]}</th>"
        for key in keys
    )
    leading = {key: _best(report, found, key) for key in keys}
    rows = []
    for column, scores in found.items():
        cells = []
        for key in keys:
            mean, middle, spread = (formatted(score.get(key), key) for score in scores)
            more = f"<small>{middle} ± {spread}</small>" if mean != "–" else ""
            best = ' class="best"' if column in leading[key] else ""
            cells.append(f"<td{best}>{mean}{more}</td>")
        rows.append(f'<tr><th scope="row">{_text(title(column))}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}"><table class="summary"><thead><tr>'
        f'<th scope="col">{caption}</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _best(report: EvalReport, found: Mapping[str, Sequence[Score]], key: str) -> set[str]:
    """Return the best of several methods; those that looked at the reference are no rivals."""
    rivals = [column for column in report.columns if column in found and column != INPUT and title(column) == column]
    means = {column: mean for column in rivals if (mean := found[column][0].get(key)) is not None}
    if BY_KEY[key].better == "" or len(means) < 2:
        return set()
    wanted = max(means.values()) if BY_KEY[key].better == "higher" else min(means.values())
    return {column for column, mean in means.items() if mean == wanted}


def _plots(report: EvalReport) -> str:
    parts = []
    for key in (key for key in PLOTTED if key in report.measured):
        rows = {title(column): _dots(report, column, key) for column in report.columns}
        if key == "brightness":
            rows[REFERENCE] = _dots(report, REFERENCE, key)
        measure = BY_KEY[key]
        label = f"{measure.title} of each picture, by method"
        plot = strip_plot({name: dots for name, dots in rows.items() if dots}, measure.digits, label)
        if plot:
            parts.append(f"<figure><figcaption>{measure.title}{_ARROWS[measure.better]}</figcaption>{plot}</figure>")
    hint = "Each dot is a picture; the line is the median, the bar holds the middle half."
    return (
        f'<section><h2>Distributions</h2><p class="hint">{hint}</p><div class="plots">{"".join(parts)}</div></section>'
    )


def _dots(report: EvalReport, column: str, key: str) -> list[tuple[str, float]]:
    found = []
    for picture in report.pictures:
        score = picture.reference if column == REFERENCE else picture.scores.get(column)
        value = None if score is None else score.get(key)
        if value is not None:
            found.append((printable(picture.name), value))
    return found


def _keys(report: EvalReport) -> list[str]:
    shown = ("psnr", "ssim", "lpips", "niqe")
    return [key for key in report.measured if key in shown] or ["brightness"]


def _table(report: EvalReport, ranked: Sequence[PictureScores]) -> str:
    """Return the table of pictures."""
    shown = [(column, key) for column in report.columns for key in _keys(report)]
    shown = [(column, key) for column, key in shown if report.mean(column).get(key) is not None]
    heads = "".join(
        f'<th scope="col"{_sorted(report, column, key)}><button type="button" data-better="{BY_KEY[key].better}">'
        f"<span>{_text(title(column))}</span> {BY_KEY[key].title}</button></th>"
        for column, key in shown
    )
    rows = "".join(
        f'<tr data-id="{index}"><th scope="row" data-v="{_text(picture.name)}">'
        f'<a href="#p{index}">{_text(picture.name)}</a></th>{_values(picture, shown)}</tr>'
        for index, picture in enumerate(ranked)
    )
    return (
        '<section id="pictures"><h2>Pictures</h2><p class="hint">The worst first. A column sorts the table and the '
        'pictures below it; a name leads to its picture.</p><p><label>Find <input type="search" id="find" '
        'autocomplete="off"></label> <span id="count" role="status"></span></p>'
        '<div class="wide tall" tabindex="0" role="region" aria-label="All pictures"><table id="table"><thead><tr>'
        '<th scope="col"><button type="button" data-better="lower">picture</button></th>'
        f"{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _sorted(report: EvalReport, column: str, key: str) -> str:
    """Return the attribute of the column that the table is sorted by at first."""
    if (column, key) != (report.main, report.ranked_by):
        return ""
    return ' aria-sort="ascending"' if BY_KEY[key].better == "higher" else ' aria-sort="descending"'


def _values(picture: PictureScores, shown: Iterable[tuple[str, str]]) -> str:
    cells = []
    for column, key in shown:
        value = picture.scores[column].get(key) if column in picture.scores else None
        exact = "" if value is None else "Infinity" if math.isinf(value) else f"{value:.9g}"
        cells.append(f'<td data-v="{exact}">{formatted(value, key)}</td>')
    return "".join(cells)


def _cards(report: EvalReport, ranked: Sequence[PictureScores], album: Album) -> Iterable[str]:
    """Yield the section with a card for each picture."""
    legend = (
        f'<p class="legend">Error maps: none <span class="ramp"></span> {ERROR_TOP} of 255 levels and more</p>'
        if any(picture.reference is not None for picture in ranked)
        else ""
    )
    yield f'<section><h2>Before and after</h2>{legend}<div id="cards">'
    missing = 0
    for index, picture in enumerate(ranked):
        shots = album.shots(picture.name)
        missing += not shots
        yield _card(report, picture, index, shots)
    yield "</div>"
    if missing:
        yield f'<p class="hint">{missing} of {len(ranked)} pictures, the best, have no preview: pages stay small.</p>'
    yield "<noscript><p>The sliders need JavaScript; tables and plots do not.</p></noscript></section>"


def _card(report: EvalReport, picture: PictureScores, index: int, shots: dict[str, str]) -> str:
    name = _text(picture.name)
    head = f"<h3>{name} <small>{picture.width}×{picture.height}</small></h3>{_small_table(report, picture)}"
    stage = ""
    if shots:
        left = INPUT if INPUT in shots else report.main or next(iter(shots))
        right = report.main if report.main != left and report.main in shots else REFERENCE
        data = {"left": left, "right": right if right in shots else left, "shots": shots, "titles": _captions(shots)}
        packed = json.dumps(data).replace("<", "\\u003c")
        ratio = f"--w:{picture.width};--h:{picture.height}"
        stage = f'<div class="stage" style="{ratio}"></div><script type="application/json">{packed}</script>'
    return f'<article class="card" id="p{index}" data-id="{index}" data-name="{name}">{head}{stage}</article>'


def _captions(shots: Iterable[str]) -> dict[str, str]:
    """Return what the previews are called; the one error map of a single method just so."""
    maps = [name for name in shots if name.startswith(ERROR)]
    words = {name: f"error of {title(name.removeprefix(ERROR))}" if len(maps) > 1 else "error" for name in maps}
    return {name: words.get(name) or title(name) for name in shots}


def _small_table(report: EvalReport, picture: PictureScores) -> str:
    """Return the scores of one picture."""
    keys = _keys(report)
    heads = "".join(f'<th scope="col">{BY_KEY[key].title}</th>' for key in keys)
    rows = "".join(
        f'<tr><th scope="row">{_text(title(column))}</th>'
        f"{''.join(f'<td>{formatted(score.get(key), key)}</td>' for key in keys)}</tr>"
        for column, score in picture.scores.items()
    )
    return f'<table class="mini"><thead><tr><td></td>{heads}</tr></thead><tbody>{rows}</tbody></table>'


def _problems(report: EvalReport) -> str:
    lines = "".join(f"<li><b>{_text(problem.name)}</b>: {_text(problem.reason)}</li>" for problem in report.problems)
    return f"<section><h2>Not scored</h2><ul>{lines}</ul></section>"


def _protocol(report: EvalReport) -> str:
    lines: list[Any] = [f"<li>{_text(part)}</li>" for part in report.protocol.split("; ")]
    lines += [f"<li>{BY_KEY[key].title}: {escape(BY_KEY[key].definition)}</li>" for key in report.measured[2:]]
    return f"<section><h2>How it was measured</h2><ul>{''.join(lines)}</ul></section>"
