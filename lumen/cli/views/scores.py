"""Shows scores: progress and problems on stderr, tables or JSON lines on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.progress import MofNCompleteColumn, TimeRemainingColumn

from lumen.batch.plan import Plan
from lumen.batch.report import Report
from lumen.cli.state import State
from lumen.cli.views.console import log_console, print_colored, print_json, print_line, progress_bar
from lumen.cli.views.tables import print_table
from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import Exit
from lumen.evaluation import EvalReport, PairProgress, PairResult, PictureScores, evaluate_results
from lumen.evaluation.measures import STATISTICS, TONE, Measure, Score
from lumen.evaluation.pairs import Problem, Result
from lumen.evaluation.report import WORST
from lumen.evaluation.suspicions import read_scores, suspicions
from lumen.files.paths import type_of
from lumen.text import printable

FEW = 20  # up to this many pictures, each gets a line if there is no progress bar; of more, each tenth part


@contextmanager
def scoring(state: State, *, as_json: bool) -> Iterator[PairProgress]:
    """Show progress and problems on stderr, and write JSON lines if asked."""
    console = log_console(state)
    bar = progress_bar(state, MofNCompleteColumn(), TimeRemainingColumn())
    task = bar.add_task("loading", total=None)

    def show(done: int, total: int, result: PairResult) -> None:
        if as_json:
            print_json(result.as_dict())
        name = printable(result.name)
        bar.update(task, completed=done, total=total, description=name)
        is_due = total <= FEW or done * 10 // total > (done - 1) * 10 // total
        if isinstance(result, Problem):
            print_colored(console, f"not scored: {name}: {printable(result.reason)}", "red")
        elif is_due and state.verbosity >= 0 and not console.is_terminal:
            console.print(f"[{done}/{total}] {name}")

    with bar:
        yield show


def print_scores(state: State, report: EvalReport, *, as_json: bool) -> None:
    """Print scores, summary and protocol on stdout: as tables, or the last line of JSON after those of `scoring`."""
    for warning in report.warnings:
        print_colored(log_console(state), f"warning: {printable(warning)}", "yellow")
    if as_json:
        print_json(report.as_dict())
        return
    if report.pictures:
        _print_pictures(state, report)
        _print_means(state, report, [measure for measure in report.measures if measure.key not in TONE])
        _print_tone(state, report, [measure for measure in report.measures if measure.key in TONE])
    for column in report.columns:
        if equal := report.equal(column):
            print_line(f"{report.title(column)}: {equal} equal to the reference, left out of the mean PSNR")
    if report.flicker:
        told = ", ".join(f"{report.title(column)} {stops:.3f}" for column, stops in report.flicker.items())
        print_line(f"flicker of a still part, in stops: {told}")
    if report.problems:
        print_line(f"not scored: {len(report.problems)}, listed on stderr")
    print_line("protocol:")
    parts = report.protocol.split("; ")
    for part in parts:
        print_line(f"  {part}{'' if part is parts[-1] else ';'}")


def print_places(state: State, reports: Sequence[Path], save: Path | None) -> None:
    """Say on stderr, as the last line, where reports and results lie."""
    names = ", ".join(map(printable, reports))
    places = [f"the report{' is' if len(reports) == 1 else 's are'} {names}"] if reports else []
    places += [] if save is None else [f"the results are in {printable(save)}"]
    if places and state.verbosity >= 0:
        log_console(state).print("; ".join(places))


def _print_pictures(state: State, report: EvalReport) -> None:
    """Print the worst pictures (all with -v), and the summary below."""
    there = {measure.key: measure for measure in report.measures}
    wanted = ("psnr", "ssim") if "psnr" in there else ("niqe", "brightness")
    measures = [there[key] for key in wanted if key in there]
    ranked, shown = report.ranked(), _shown(state, report)
    evs = list(dict.fromkeys(column for picture in report.pictures for column in picture.evs))
    headers = [
        f"{report.title(column)} {measure.title}" if measure is measures[0] else measure.title
        for column in report.columns
        for measure in measures
    ]

    def cells(score_of: Callable[[str], Score | None]) -> list[str]:
        return [measure.text(score_of(column)) for column in report.columns for measure in measures]

    rows = [
        [printable(picture.name), *cells(picture.score), *(f"{picture.evs[column]:+z.2f}" for column in evs)]
        for picture in shown
    ]
    for statistic in STATISTICS:
        name = f"mean of {len(ranked)}" if statistic == "mean" else statistic
        rows.append([name, *cells(partial(report.summary, statistic=statistic)), *("" for _ in evs)])
    headers += ["EV" if len(evs) == 1 else f"EV {name}" for name in evs]
    print_table(state, ["picture", *headers], rows, group=len(measures))
    if len(shown) < len(ranked):
        print_line(f"the worst {len(shown)} of {len(ranked)} by {report.title(report.main or '')}; -v shows all")


def _shown(state: State, report: EvalReport) -> list[PictureScores]:
    """Return the worst pictures, or all with -v."""
    return report.ranked()[: None if state.verbosity > 0 else WORST]


def _print_means(state: State, report: EvalReport, measures: Sequence[Measure]) -> None:
    """Print the means of measures, one line for each method that has any."""
    means = {column: report.mean(column) for column in report.described}
    rows = [
        [report.title(column), *(measure.text(mean) for measure in measures)]
        for column, mean in means.items()
        if any(measure.key in mean.values for measure in measures)
    ]
    print_line()
    print_table(state, ["mean", *(measure.title for measure in measures)], rows)


def _print_tone(state: State, report: EvalReport, measures: Sequence[Measure]) -> None:
    """Print the faults of tone: their means, and those of each picture for the first method."""
    if not measures:
        return
    _print_means(state, report, measures)
    rows = [
        [printable(picture.name), *(measure.text(picture.score(report.main or "")) for measure in measures)]
        for picture in _shown(state, report)
    ]
    print_line()
    print_table(state, [report.title(report.main or ""), *(measure.title for measure in measures)], rows)


def check_scores(state: State, path: Path, *, as_json: bool) -> Exit:
    """Look for impossible scores in a CSV file, report them, and return 3 if there are any."""
    found = {who: (len(rows), suspicions(rows)) for who, rows in read_scores(path).items()}
    for who, (count, lines) in found.items():
        if as_json:
            print_json({"method": who or None, "pictures": count, "warnings": lines})
            continue
        print_line(f"{who or path.name}: {count} pictures, {'suspicious' if lines else 'nothing odd'}")
        for line in lines:
            print_colored(log_console(state), f"warning: {printable(line)}", "yellow")
    return Exit.SOME_FAILED if any(lines for _, lines in found.values()) else Exit.OK


def score_results(
    state: State, results: Sequence[Result], reference: Path, reading: EnhanceOptions, *, as_json: bool
) -> Exit:
    """Score results, print the report, and return 3 if one has no score, else 0."""
    if not results:
        return Exit.OK
    with scoring(state, as_json=as_json) as show:
        report = evaluate_results(results, reference, reading, progress=show)
    print_scores(state, report, as_json=as_json)
    return Exit.SOME_FAILED if report.problems else Exit.OK


def results_of(plan: Plan, report: Report, options: BatchOptions) -> list[Result]:
    """Return the results of a run into a folder, those from earlier runs included."""
    assert options.output is not None
    results = []
    for job in (job for block in plan.blocks for job in block.jobs()):
        if not report.has_failed(job.source) and type_of(job.target):
            named = job.target.with_name(job.target.stem.removesuffix(options.suffix) + job.target.suffix)
            place = job.relative if options.result else named.relative_to(options.output)
            results.append(Result(place=place, low=job.source, result=job.target))
    return results
