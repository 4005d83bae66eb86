"""Shows scores: progress and problems on stderr, the table or JSON lines on stdout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click

from lumen.cli.console import log_console, print_json, print_table
from lumen.cli.state import State
from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import Exit, UsageError
from lumen.evaluation import EvalReport, PairResult, Progress, Score, evaluate_results
from lumen.finding import real_path, type_of
from lumen.pairing import Problem, Result
from lumen.report import Report, printable
from lumen.sources import Plan

TITLES = {"input": "input", "output": "output", "gt_mean": "GT-mean", "match_brightness": "brightness matched"}


@contextmanager
def scoring(state: State, *, as_json: bool) -> Iterator[Progress]:
    """Show how far it is on stderr, name what cannot be scored, and write JSON lines when asked."""
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


def print_scores(state: State, report: EvalReport, *, as_json: bool) -> None:
    """Print scores, means and the protocol on stdout: a table, or as JSON the line that `scoring` has not printed."""
    if as_json:
        print_json(report.as_dict())
        return
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


def check_reference(plan: Plan, reference: Path) -> None:
    """Refuse to write among the references.

    Raises:
        UsageError: A result would go into the folder of references.
    """
    folder = real_path(reference)
    for parent in {job.target.parent for job in plan.jobs}:
        if real_path(parent).is_relative_to(folder):
            raise UsageError(
                f"expected --out apart from --gt, got results in {printable(parent)}: references are inputs"
            )


def score_results(
    state: State, results: Sequence[Result], reference: Path, reading: EnhanceOptions, *, as_json: bool
) -> Exit:
    """Score results, print the report, and return 3 where one has no score, else 0."""
    if not results:
        return Exit.OK
    with scoring(state, as_json=as_json) as show:
        report = evaluate_results(results, reference, reading, progress=show)
    print_scores(state, report, as_json=as_json)
    return Exit.SOME_FAILED if report.problems else Exit.OK


def results_of(plan: Plan, report: Report, options: BatchOptions) -> list[Result]:
    """Return what a run into a folder has written, and what was there for it already.

    Args:
        plan: What the run had to do.
        report: What became of it.
        options: Where results went, and what was put into their names.
    """
    assert options.output is not None
    failed = {outcome.source for outcome in report.failures}
    results = []
    for job in plan.jobs:
        if job.source not in failed and type_of(job.target):
            place = job.target.relative_to(options.output)
            named = place.with_name(place.stem.removesuffix(options.suffix) + place.suffix)
            results.append(Result(place=named, low=job.source, result=job.target))
    return results
