"""Scores a folder of pictures, or results that were made from one, against references."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.errors import UsageError
from lumen.evaluation.columns import INPUT, OUTPUT, REFERENCE
from lumen.evaluation.options import EvalOptions
from lumen.evaluation.pairs import Matching, Pair, Problem, Result, find_pairs, pair_results
from lumen.evaluation.previews import Previews
from lumen.evaluation.protocol import ModelFacts, protocol
from lumen.evaluation.report import EvalReport, PictureScores
from lumen.evaluation.run import PairResult, score_pairs
from lumen.evaluation.scoring import Scorer
from lumen.files.paths import real_path, require_input
from lumen.files.store_path import path_of
from lumen.runtime.open import ModelSet
from lumen.runtime.protocols import Models

StrPath = str | os.PathLike[str]
PairProgress = Callable[[int, int, PairResult], None]


def evaluate(
    low: StrPath | None,
    reference: StrPath | None,
    models: Models | StrPath | Mapping[str, Models | StrPath] | None = None,
    options: EvalOptions | None = None,
    *,
    results: Mapping[str, StrPath] | None = None,
    matching: Matching | None = None,
    progress: PairProgress | None = None,
    previews: Previews | None = None,
) -> EvalReport:
    """Score a folder (or a file) against its references.

    Args:
        low: Dark pictures; with `options.as_is` and no `results`, the pictures to score. None if there are only
            `results`.
        reference: What they should look like; None computes only the numbers that need no reference.
        models: Name of a bundled model or path of a model file, an open model (`lumen.ModelSet`), or several of these
            by name. None is the bundled model, or none at all with `options.as_is`.
        options: What is scored, and how; None for the plain scores.
        results: Folders (or files) of existing results, by the name of the method.
        matching: How names are matched.
        progress: Called after each name with the number done, the number of names, and the scores or problem.
        previews: Filled with the pictures, for a page.

    Raises:
        UsageError: Files and folders are mixed, models are missing, a name occurs twice, or results would be saved
            among the inputs.
        NothingToDoError: No name has a partner.
        UnavailableError: A model cannot be loaded or run.
        OutputError: `options.save` cannot be written.
    """
    options = options or EvalOptions()
    named = _named_models(models, options)
    dark, reference = (None if place is None else path_of(place) for place in (low, reference))
    dark, made = _roles(dark, {name: path_of(place) for name, place in (results or {}).items()}, named, options)
    for place in (dark, reference, *made.values()):
        if place is not None:
            require_input(place)
    _check_names([*named, *made, *options.baselines])
    _check_save(options.save, [place for place in (dark, reference, *made.values()) if place is not None])
    pairs, problems, rule = find_pairs(dark, reference, made, matching)
    scorer = Scorer(options)
    if previews is not None:
        previews.album.begin(len(pairs))
    with _scoring(pairs, named, scorer, previews) as (facts, scored):
        words = protocol(facts, options, natural=scorer.natural, paired=None if reference is None else rule)
        report = _report(chain(problems, scored), len(pairs) + len(problems), words, options, progress)
    return replace(report, data=data_title(dark, reference, made), method=_method(facts, made))


def evaluate_results(
    results: Sequence[Result],
    reference: Path,
    reading: EnhanceOptions | None = None,
    *,
    progress: PairProgress | None = None,
) -> EvalReport:
    """Score results beside the pictures they were made from, against a folder of references, as `evaluate` does.

    Other files in the folder of references are ignored. `reading` says how pictures are read.
    """
    options = EvalOptions(as_is=True)
    pairs, problems, rule = pair_results(results, reference)
    scored = chain(problems, score_pairs(pairs, {}, Scorer(options), reading))
    words = protocol({}, options, written=True, paired=rule)
    return _report(scored, len(pairs) + len(problems), words, options, progress)


def _named_models(
    models: Models | StrPath | Mapping[str, Models | StrPath] | None, options: EvalOptions
) -> dict[str, Models]:
    """Return the models by the names of their columns, opened if they are only named."""
    if models is None and not options.as_is:
        return {OUTPUT: ModelSet()}
    if isinstance(models, Mapping):
        return {name: _opened(each) for name, each in models.items()}
    return {} if models is None else {OUTPUT: _opened(models)}


def _opened(model: Models | StrPath) -> Models:
    return ModelSet(RuntimeOptions(model=os.fspath(model))) if isinstance(model, str | os.PathLike) else model


@contextmanager
def _scoring(
    pairs: Sequence[Pair], models: Mapping[str, Models], scorer: Scorer, previews: Previews | None
) -> Iterator[tuple[Mapping[str, ModelFacts], Iterator[PairResult]]]:
    """Give the facts about the models, and the scores of the pairs by the engine in the options."""
    if scorer.options.engine == "local":
        facts = {name: ModelFacts.of(each) for name, each in models.items()}
        yield facts, score_pairs(pairs, models, scorer, previews=previews)
        return
    from lumen.evaluation.ray_scoring import RayScoring

    asked = {name: each.options for name, each in models.items() if isinstance(each, ModelSet)}
    if len(asked) < len(models):
        raise UsageError("expected models by name or path, or as lumen.ModelSet, with engine='ray'")
    with RayScoring(asked, scorer.options, previews) as scoring:
        scoring.open(pairs)
        yield scoring.facts, scoring.score(pairs)


def _roles(
    low: Path | None, results: dict[str, Path], models: Mapping[str, Models], options: EvalOptions
) -> tuple[Path | None, dict[str, Path]]:
    """Check that models, pictures and results fit together; return the dark pictures and the results."""
    if options.as_is:
        if models:
            raise UsageError("expected no models with as_is=True: they would not run")
        if not results and low is not None:
            return None, {OUTPUT: low}
        if not results:
            raise UsageError("expected pictures to score, got no folder of them")
        if low is None and options.baselines and len(results) > 1:
            raise UsageError("expected --input with --baseline and several folders: a baseline is made from the input")
        return low, results
    if not models:
        raise UsageError("expected models, or as_is=True to score the files themselves")
    if low is None:
        raise UsageError("expected pictures to enhance, got no folder of them")
    return low, results


def data_title(low: Path | None, reference: Path | None, results: Mapping[str, Path]) -> str:
    """Return what is scored against what, each by the last two parts of its path.

    >>> data_title(Path("/data/lol/low"), Path("/data/lol/high"), {})
    'lol/low against lol/high'
    """
    places = [_end_of(low)] if low is not None else list(map(_end_of, results.values()))
    return ", ".join(places) + (f" against {_end_of(reference)}" if reference is not None else "")


def _end_of(place: Path) -> str:
    parts = [part for part in place.absolute().parts if part != place.anchor]
    return PurePath(*parts[-2:]).as_posix()


def _method(models: Mapping[str, ModelFacts], results: Mapping[str, Path]) -> str:
    """Return what makes the column `output`: a model, or a folder or file that is scored as it is."""
    if OUTPUT in models:
        return models[OUTPUT].name
    return results[OUTPUT].absolute().name if OUTPUT in results else OUTPUT


def _check_names(names: Sequence[str]) -> None:
    """Refuse two columns of the same name."""
    for name in names:
        if names.count(name) > 1 or name in (INPUT, REFERENCE):
            raise UsageError(f"expected each method under a name of its own, got {name!r}, which is taken")


def _check_save(save: Path | None, folders: Sequence[Path]) -> None:
    """Refuse a folder whose results the next run would read as inputs."""
    for folder in folders:
        if save is not None and real_path(save).is_relative_to(real_path(folder)):
            raise UsageError(
                f"expected --save outside of {folder}, got {save}: the next run would score its own results"
            )


def _report(
    results: Iterable[PairResult], total: int, words: str, options: EvalOptions, progress: PairProgress | None
) -> EvalReport:
    """Collect the results into a report, and pass each to `progress`."""
    found: list[PairResult] = []
    for result in results:
        found.append(result)
        if progress is not None:
            progress(len(found), total, result)
    return EvalReport(
        pictures=tuple(result for result in found if isinstance(result, PictureScores)),
        problems=tuple(result for result in found if isinstance(result, Problem)),
        protocol=words,
        data_range=options.data_range,
    )
