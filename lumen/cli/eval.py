"""`lumen eval`: how close a model, or any tool's files, come to references."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from lumen.cli.params import device_option, model_option
from lumen.cli.state import State, pass_state
from lumen.config import RuntimeOptions
from lumen.errors import UsageError
from lumen.report import printable

if TYPE_CHECKING:
    from lumen.evaluation import EvalReport, PairResult, Score

TITLES = {"input": "input", "output": "output", "gt_mean": "GT-mean", "match_brightness": "brightness matched"}

_pictures = click.Path(exists=True, path_type=Path)


@click.command("eval", short_help="Score a model on pairs of dark and well-lit pictures.")
@click.argument("low", metavar="LOW", type=_pictures)
@click.option("--gt", "reference", required=True, metavar="HIGH", type=_pictures, help="The references of LOW.")
@model_option
@device_option
@click.option("--as-is", is_flag=True, help="Score the files of LOW as they are: results of any tool.")
@click.option("--gt-mean", is_flag=True, help="Also score after scaling to the reference's mean brightness.")
@click.option("--match-brightness", is_flag=True, help="Also score the model asked for the reference's brightness.")
@click.option("--save", metavar="DIR", type=click.Path(path_type=Path), help="Keep what was scored, as PNG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per picture, then the summary, on stdout.")
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    low: Path,
    reference: Path,
    model: str,
    device: str,
    as_is: bool,
    gt_mean: bool,
    match_brightness: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Enhance the pictures in LOW and score them against those of the same names in HIGH.

    Prints PSNR and SSIM of every picture beside those of the input, the means, and the protocol. Names pair without
    their suffix. What has no partner, another size or a damaged file is listed.

    Exit codes: 0 all scored, 2 usage, 3 some pictures not scored, 4 none scored, 5 model or device unavailable,
    6 results unwritable.
    """
    for name in ("model", "device"):
        if as_is and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"expected --as-is or --{name}, got both: --as-is runs no model")
    runtime = RuntimeOptions(model=model, device=device)
    from lumen import evaluation
    from lumen.runtime.session import ModelSet

    options = evaluation.EvalOptions(as_is=as_is, gt_mean=gt_mean, match_brightness=match_brightness, save=save)
    models = None if as_is else ModelSet(runtime)
    with _progress(state, as_json=as_json) as show:
        report = evaluation.evaluate(low, reference, models, options, progress=show)
    if as_json:
        from lumen.cli.console import print_json

        print_json(report.as_dict())
    else:
        _print_report(state, report)
    ctx.exit(report.exit_code)


@contextmanager
def _progress(state: State, *, as_json: bool) -> Iterator[Callable[[int, int, PairResult], None]]:
    """Show how far it is on stderr, name what cannot be scored, and write JSON lines when asked."""
    from lumen.cli.console import log_console, print_json
    from lumen.pairing import Problem

    console = log_console(state)
    status = console.status("loading")
    with status if state.verbosity >= 0 else nullcontext():

        def show(done: int, total: int, result: PairResult) -> None:
            if as_json:
                print_json(result.as_dict())
            name = printable(result.name)
            if isinstance(result, Problem):
                console.print(f"not scored: {name}: {printable(result.reason)}", style="red")
            elif state.verbosity >= 0 and not console.is_terminal:
                console.print(f"[{done}/{total}] {name}")
            status.update(f"{done}/{total} {name}")

        yield show


def _print_report(state: State, report: EvalReport) -> None:
    from lumen.cli.console import print_table

    exposed = any(picture.ev is not None for picture in report.pictures)
    headers = ["picture"]
    for column in report.columns:
        headers += [f"{TITLES[column]} PSNR", "SSIM"]
    rows = []
    for picture in report.pictures:
        cells = [cell for column in report.columns for cell in _cells(picture.scores[column])]
        rows.append([printable(picture.name), *cells, *([f"{picture.ev:+.2f}"] if picture.ev is not None else [])])
    if report.pictures:
        means = [cell for column in report.columns for cell in _cells(report.mean(column))]
        rows.append([f"mean of {len(report.pictures)}", *means, *([""] if exposed else [])])
        print_table(state, [*headers, *(["EV"] if exposed else [])], rows)
    for column in report.columns:
        if report.equal(column):
            click.echo(f"{TITLES[column]}: {report.equal(column)} equal to the reference, left out of the mean PSNR")
    if report.problems:
        click.echo(f"not scored: {len(report.problems)}, named on stderr")
    click.echo("protocol:\n  " + report.protocol.replace("; ", ";\n  "))


def _cells(score: Score) -> tuple[str, str]:
    return f"{score.psnr:.2f}", f"{score.ssim:.4f}"
