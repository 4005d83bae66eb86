"""`lumen eval`: scores models, or the results of any tool, against references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import (
    PATH,
    device_option,
    engine_option,
    given_options,
    options_of,
    precision_option,
    threads_option,
)
from lumen.cli.settings import settings_option
from lumen.cli.state import State, pass_state
from lumen.cli.values import OnDisk, Place, parse_number
from lumen.config import DEFAULT_MODEL, RuntimeOptions
from lumen.errors import UsageError
from lumen.text import printable

_Place = TypeVar("_Place", str, Path)

_pictures = Place(exists=True)
_file = OnDisk(exists=True, dir_okay=False)


def _commas(_ctx: click.Context, _option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


@click.command("eval", cls=GroupedCommand)
@click.argument("low", metavar="LOW...", type=_pictures, nargs=-1)
@click.option("--gt", "reference", metavar="HIGH", type=_pictures, help="References for LOW: a folder, or a file.")
@click.option(
    "-m",
    "--model",
    "names",
    metavar="MODEL",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    help="A bundled model (see `lumen models`) or an .onnx file; repeat to compare several.",
)
@device_option
@precision_option
@threads_option
@engine_option
@click.option("--as-is", is_flag=True, help="Score the files in LOW themselves, such as results of other tools.")
@click.option(
    "--input", "dark", metavar="DIR", type=_pictures, help="With --as-is: the dark pictures LOW was made from."
)
@click.option(
    "--results", metavar="DIR", type=_pictures, multiple=True, help="Results of another tool, scored beside the model."
)
@click.option(
    "--baseline",
    "baselines",
    metavar="NAME,...",
    multiple=True,
    callback=_commas,
    help="Simple methods to compare with: autocontrast, equalize, gamma (2.2) or gamma:G.",
)
@click.option("--gt-mean", is_flag=True, help="Also score results scaled to the mean of the reference.")
@click.option(
    "--match-brightness", is_flag=True, help="Also score the model when asked for the reference's brightness."
)
@click.option(
    "--aim",
    metavar="LEVEL",
    type=parse_number,
    help="Also score the model when it always aims at this mean level, such as 0.43; no picture gets darker.",
)
@click.option("--niqe", is_flag=True, help="Also compute NIQE, which needs no reference.")
@click.option("--niqe-model", metavar="FILE", type=_file, help="Model for NIQE instead of the bundled one.")
@click.option(
    "--lpips",
    metavar="FILE",
    type=_file,
    multiple=True,
    help="Also compute LPIPS, with the AlexNet weights in these files.",
)
@click.option(
    "--channel",
    type=click.Choice(["rgb", "y"], case_sensitive=False),
    default="rgb",
    show_default=True,
    help="Compare all three channels, or only the luma.",
)
@click.option(
    "--border",
    "border_px",
    metavar="PX",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Ignore this many pixels along each edge.",
)
@click.option(
    "--data-range",
    type=click.Choice([255, 65535]),
    default=255,
    show_default=True,
    help="Compare 8-bit pictures, rounding deeper ones, or 16-bit pictures.",
)
@click.option("--pair", "pattern", metavar="REGEX", help=r"Pair names by the groups of a pattern, such as (\d+)$.")
@click.option("--gt-per-folder", is_flag=True, help="One reference for a whole folder: HIGH/12.jpg for LOW/12/*.")
@click.option(
    "--report",
    "reports",
    metavar="FILE",
    type=OnDisk(dir_okay=False),
    multiple=True,
    help="Write a report: .html with pictures, .json, .csv or .md; may be repeated.",
)
@click.option("--save", metavar="DIR", type=PATH, help="Save the results of the model, as PNG.")
@click.option("--check", metavar="FILE.csv", type=_file, help="Only look for impossible scores in this table.")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object per picture, then the summary.")
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    /,
    low: tuple[Path, ...],
    reference: Path | None,
    reports: tuple[Path, ...],
    check: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Enhance the pictures in LOW and score them against those of the same names in HIGH.

    Prints the ten worst pictures beside their input, then mean, median and spread, and the protocol. Pictures are
    paired by name, whatever their extension. Pictures without a partner, damaged files and pairs of different size are
    listed.

    Exit codes: 0 all scored, 2 usage, 3 some pictures not scored, 4 none scored, 5 model or device unavailable,
    6 results unwritable.
    """
    given = given_options(ctx)
    if check is not None:
        others = sorted(option for name, option in given.items() if name not in ("check", "as_json"))
        if others:
            raise UsageError(
                f"expected --check alone, got {', '.join(others)} too: --check only reads a table of scores"
            )
        from lumen.cli.views.scores import check_scores

        ctx.exit(check_scores(state, check, as_json=as_json))
    _check_together(low, reference, options, given)
    from lumen.cli.views.scores import print_places, print_scores, scoring
    from lumen.evaluation import EvalOptions, Matching, evaluate
    from lumen.evaluation.clips import are_clips, evaluate_clips
    from lumen.evaluation.reports import check_targets, previews_for, write_reports
    from lumen.runtime.open import ModelSet

    scored = options_of(EvalOptions, options)
    matching = options_of(Matching, options)
    files = filter(None, (options["dark"], reference, options["niqe_model"]))
    check_targets(reports, [*low, *options["results"], *options["lpips"], *files], scored.save)
    models = {}
    if not scored.as_is:
        named = _by_title("--model", options["names"], alone=not options["results"])
        models = {title: ModelSet(options_of(RuntimeOptions, options, model=name)) for title, name in named.items()}
    is_of_clips = are_clips(low, reference) and _takes_clips(low, reports, given)
    dark, results = _folders(low, options)
    previews = previews_for(reports)
    with scoring(state, as_json=as_json) as show:
        if is_of_clips:
            report = evaluate_clips(low[0], reference, models, scored, show)
        else:
            more: dict[str, Any] = {"results": results, "matching": matching, "progress": show, "previews": previews}
            report = evaluate(dark, reference, models, scored, **more)
    try:
        write_reports(report, reports, previews)  # first: whoever reads stdout may have gone
    finally:
        print_scores(state, report, as_json=as_json)
    print_places(state, reports, scored.save)
    ctx.exit(report.exit_code)


def _check_together(
    low: Sequence[Path], reference: Path | None, options: Mapping[str, Any], given: Mapping[str, str]
) -> None:
    """Refuse options that do not go together."""
    as_is = options["as_is"]
    if not low:
        raise UsageError("expected LOW, the pictures to score, got none")
    if reference is None and not options["niqe"]:
        raise UsageError("expected --gt HIGH, or --niqe to score without references")
    for name in ("gt_mean", "match_brightness", "lpips"):
        if reference is None and name in given:
            raise UsageError(f"expected --gt HIGH with {given[name]}, which needs references")
    if "niqe_model" in given and not options["niqe"]:
        raise UsageError("expected --niqe with --niqe-model")
    if not as_is and len(low) > 1:
        raise UsageError(f"expected one LOW, got {len(low)}; several need --as-is")
    if not as_is and "dark" in given:
        raise UsageError("expected --input with --as-is only: otherwise LOW is the input")
    for name in ("names", "device", "precision"):
        if as_is and name in given:
            raise UsageError(f"expected --as-is or {given[name]}, got both: --as-is runs no model")
    if as_is and "results" in given:
        raise UsageError("expected --as-is or --results, got both: with --as-is, LOW may be several folders")


def _takes_clips(low: Sequence[Path], reports: Sequence[Path], given: Mapping[str, str]) -> bool:
    """Return True, and refuse options that are for pictures alone."""
    if len(low) > 1:
        raise UsageError(f"expected one clip to score, got {len(low)}")
    for name in ("baselines", "gt_mean", "match_brightness", "aim", "save", "results", "dark", "pattern"):
        if name in given:
            raise UsageError(f"expected no {given[name]} with clips, which are compared frame by frame")
    for report in reports:
        if report.suffix.lower() in (".html", ".htm"):
            raise UsageError(f"expected a report of clips that ends with .json, .csv or .md, got {printable(report)}")
    return True


def _folders(low: Sequence[Path], options: Mapping[str, Any]) -> tuple[Path | None, dict[str, Path]]:
    """Return the dark pictures, or what to score as it is, and the folders of results by the names of their columns."""
    if not options["as_is"]:
        return low[0], _by_title("folder", options["results"], alone=False)
    if len(low) == 1 and options["dark"] is None:
        return low[0], {}
    return options["dark"], _by_title("folder", low, alone=True)


def _by_title(what: str, places: Sequence[_Place], *, alone: bool) -> dict[str, _Place]:
    """Return models or folders by the names of their columns; a single one that is `alone` is `output`.

    The name is the last part of the path, without `.onnx`, or the whole path if that occurs twice.
    """
    from lumen.evaluation import OUTPUT

    if alone and len(places) == 1:
        return {OUTPUT: places[0]}
    short = [Path(place).name.removesuffix(".onnx") or str(place) for place in places]
    named = {str(place) if short.count(name) > 1 else name: place for name, place in zip(short, places, strict=True)}
    if len(named) < len(places):
        raise UsageError(f"expected each {what} once, got {', '.join(map(str, places))}")
    return named
