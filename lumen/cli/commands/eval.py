"""`lumen eval`: how close models, or any tool's files, come to references."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lumen.cli.help import GroupedCommand
from lumen.cli.options import device_option, precision_option
from lumen.cli.state import State, pass_state
from lumen.config import DEFAULT_MODEL, PrecisionChoice, RuntimeOptions
from lumen.errors import UsageError

if TYPE_CHECKING:
    from lumen.runtime.protocols import Models

_pictures = click.Path(exists=True, path_type=Path)
_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def _commas(_ctx: click.Context, _option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


@click.command("eval", cls=GroupedCommand)
@click.argument("low", metavar="LOW...", type=_pictures, nargs=-1)
@click.option("--gt", "reference", metavar="HIGH", type=_pictures, help="The references of LOW.")
@click.option(
    "-m",
    "--model",
    "names",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=True,
    help="A bundled model (see `lumen models`) or .onnx file; several are scored side by side.",
)
@device_option
@precision_option
@click.option("--as-is", is_flag=True, help="Score the files of LOW as they are: results of any tool, or of several.")
@click.option("--input", "dark", metavar="DIR", type=_pictures, help="With --as-is: what LOW was made of.")
@click.option(
    "--results", metavar="DIR", type=_pictures, multiple=True, help="Results of another tool, scored beside the model."
)
@click.option(
    "--baseline",
    "baselines",
    metavar="NAME,...",
    multiple=True,
    callback=_commas,
    help="Simple methods scored beside: autocontrast, equalize, gamma (2.2) or gamma:G.",
)
@click.option("--gt-mean", is_flag=True, help="Also score after scaling to the reference's mean brightness.")
@click.option("--match-brightness", is_flag=True, help="Also score the model asked for the reference's brightness.")
@click.option("--niqe", is_flag=True, help="Also NIQE, which needs no reference.")
@click.option("--niqe-model", metavar="FILE", type=_file, help="Another model of natural pictures for NIQE.")
@click.option(
    "--lpips", metavar="FILE", type=_file, multiple=True, help="Also LPIPS, with the weights in these files (AlexNet)."
)
@click.option(
    "--channel",
    type=click.Choice(["rgb", "y"]),
    default="rgb",
    show_default=True,
    help="What is compared: all three channels, or the luma alone.",
)
@click.option("--border", type=click.IntRange(0), default=0, show_default=True, help="Pixels left out along each edge.")
@click.option(
    "--data-range",
    type=click.Choice(["255", "65535"]),
    default="255",
    show_default=True,
    help="Compare 8-bit pictures, deeper ones rounded, or 16-bit ones.",
)
@click.option("--pair", "pattern", metavar="REGEX", help=r"Pair by the groups of this pattern, such as (\d+)$.")
@click.option("--gt-per-folder", is_flag=True, help="One reference for all of a folder: HIGH/12.jpg for LOW/12/*.")
@click.option(
    "--report",
    "reports",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    help="Write a report: .html with pictures, .json, .csv or .md; may be repeated.",
)
@click.option("--save", metavar="DIR", type=click.Path(path_type=Path), help="Keep what the model made, as PNG.")
@click.option("--check", metavar="FILE.csv", type=_file, help="Only look for impossible scores in this table.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per picture, then the summary, on stdout.")
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    low: tuple[Path, ...],
    reference: Path | None,
    names: tuple[str, ...],
    device: str,
    precision: PrecisionChoice,
    as_is: bool,
    dark: Path | None,
    results: tuple[Path, ...],
    baselines: tuple[str, ...],
    gt_mean: bool,
    match_brightness: bool,
    niqe: bool,
    niqe_model: Path | None,
    lpips: tuple[Path, ...],
    channel: str,
    border: int,
    data_range: str,
    pattern: str | None,
    gt_per_folder: bool,
    reports: tuple[Path, ...],
    save: Path | None,
    check: Path | None,
    as_json: bool,
) -> None:
    """Enhance the pictures in LOW and score them against those of the same names in HIGH.

    Prints the worst ten pictures beside their input, mean, median and spread, and the protocol. Names pair without
    their suffix. What has no partner, another size or a damaged file is listed.

    Exit codes: 0 all scored, 2 usage, 3 some pictures not scored, 4 none scored, 5 model or device unavailable,
    6 results unwritable.
    """
    given = {name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if check is not None:
        _only_check(given)
        from lumen.cli.views.scores import check_scores

        ctx.exit(check_scores(state, check, as_json=as_json))
    _check_folders(low, given, as_is=as_is, niqe=niqe, reference=reference)
    from lumen import evaluation
    from lumen.cli.views.scores import print_scores, scoring
    from lumen.pages import PAGES, Album, check_targets, write_reports

    options = evaluation.EvalOptions(
        as_is=as_is,
        baselines=baselines,
        gt_mean=gt_mean,
        match_brightness=match_brightness,
        channel="y" if channel == "y" else "rgb",
        border_px=border,
        data_range=int(data_range),
        niqe=niqe,
        niqe_model=niqe_model,
        lpips=lpips,
        save=save,
    )
    matching = evaluation.Matching(pattern=pattern, gt_per_folder=gt_per_folder)
    check_targets(reports, [*low, *results, *(path for path in (dark, reference) if path is not None)])
    models = {} if as_is else _models(names, device, precision, alone=not results)
    folders = _by_name(low if as_is and (len(low) > 1 or dark is not None) else results, alone=as_is)
    album = Album() if any(path.suffix.lower() in PAGES for path in reports) else None
    with scoring(state, as_json=as_json) as show:
        report = evaluation.evaluate(
            dark if as_is and folders else low[0],
            reference,
            models or None,
            options,
            results=folders,
            matching=matching,
            progress=show,
            look=album,
        )
    print_scores(state, report, as_json=as_json)
    write_reports(report, reports, album)
    ctx.exit(report.exit_code)


def _only_check(given: set[str]) -> None:
    others = given - {"check", "as_json"}
    if others:
        raise UsageError(f"expected --check alone, got {', '.join(sorted(others))} too: it looks at a table of scores")


def _check_folders(low: Sequence[Path], given: set[str], *, as_is: bool, niqe: bool, reference: Path | None) -> None:
    """Refuse options that do not go together."""
    if not low:
        raise UsageError("expected LOW, the pictures to score, got none")
    if reference is None and not niqe:
        raise UsageError("expected --gt HIGH, or --niqe to score without references")
    for option, name in (("--gt-mean", "gt_mean"), ("--match-brightness", "match_brightness"), ("--lpips", "lpips")):
        if reference is None and name in given:
            raise UsageError(f"expected --gt HIGH with {option}, which needs references")
    if "niqe_model" in given and not niqe:
        raise UsageError("expected --niqe with --niqe-model")
    if not as_is and len(low) > 1:
        raise UsageError(f"expected one LOW, got {len(low)}: several are scored with --as-is")
    if not as_is and "dark" in given:
        raise UsageError("expected --input with --as-is alone: without it LOW is the input")
    for option, name in (("--model", "names"), ("--device", "device"), ("--precision", "precision")):
        if as_is and name in given:
            raise UsageError(f"expected --as-is or {option}, got both: --as-is runs no model")
    if as_is and "results" in given:
        raise UsageError("expected --as-is or --results, got both: with --as-is, LOW may be several folders")


def _models(names: Sequence[str], device: str, precision: PrecisionChoice, *, alone: bool) -> dict[str, Models]:
    """Return the models by the names of their columns."""
    from lumen.evaluation import OUTPUT
    from lumen.runtime.open import ModelSet

    runtimes = [RuntimeOptions(model=name, device=device, precision=precision) for name in names]
    titles = [OUTPUT] if alone and len(names) == 1 else _titles(names)
    if len(set(titles)) < len(titles):
        raise UsageError(f"expected each --model once, got {', '.join(names)}")
    return {title: ModelSet(runtime) for title, runtime in zip(titles, runtimes, strict=True)}


def _by_name(folders: Sequence[Path], *, alone: bool) -> Mapping[str, Path]:
    """Return folders by the names of their columns."""
    from lumen.evaluation import OUTPUT

    titles = [OUTPUT] if alone and len(folders) == 1 else _titles([str(folder) for folder in folders])
    if len(set(titles)) < len(titles):
        raise UsageError(f"expected each folder once, got {', '.join(map(str, folders))}")
    return dict(zip(titles, folders, strict=True))


def _titles(paths: Sequence[str]) -> list[str]:
    """Return short names: the last part of each path, without `.onnx`; all of it where that is there twice."""
    short = [Path(path).name.removesuffix(".onnx") or path for path in paths]
    twice = Counter(short)
    return [path if twice[name] > 1 else name for path, name in zip(paths, short, strict=True)]
