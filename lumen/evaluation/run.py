"""Scores many pairs: they are loaded, enhanced and scored side by side, and memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from lumen.codecs.codec import write_picture
from lumen.color.srgb import srgb_to_linear
from lumen.config import EV_LIMIT, EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.model_choice import chosen_brightness
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.progress import PictureProgress
from lumen.errors import DataError, PictureError
from lumen.evaluation.baselines import make_baseline
from lumen.evaluation.columns import GT_MEAN, INPUT, MATCHED, OUTPUT, variant
from lumen.evaluation.measures import Score
from lumen.evaluation.pairs import Pair, Problem
from lumen.evaluation.report import PictureScores
from lumen.evaluation.scoring import Scorer
from lumen.files.atomic import make_folder
from lumen.imaging.picture import Picture, Samples, to_8bit
from lumen.metrics.fidelity import gt_mean
from lumen.runtime.devices import usable_cores
from lumen.runtime.protocols import Models
from lumen.stages import Stages, Steps, drive, in_order

MAX_WAITING_PX = 32_000_000  # of pictures that are loaded and scored at the same time; one is always allowed

PairResult = PictureScores | Problem


class PairViewer(Protocol):
    """Receives the pixels of scored pictures, for reports with pictures."""

    def begin(self, total: int) -> None:
        """Take note of the largest possible number of pictures."""

    def add(self, scores: PictureScores, pixels: Mapping[str, Samples], reference: Samples | None) -> None:
        """Receive one: its scores, its pixels `[H, W, 3]` by column, the reference. Called on several threads."""


def worker_count() -> int:
    """Return the number of threads: one for each core that this process may use."""
    return usable_cores()


def matching_ev(asked: float, automatic: float) -> float:
    """Return the exposure, in stops, that takes a model from its own mean brightness to another.

    Args:
        asked: Wanted mean sRGB level in [0, 1].
        automatic: Mean sRGB level in [0, 1] that the model chooses by itself.

    Returns:
        Ratio of the two in linear light, as a power of two, within the limits of `--ev`.
    """
    light = srgb_to_linear(np.clip([asked, automatic], 1e-4, 1.0))
    return float(np.clip(np.log2(light[0] / light[1]), -EV_LIMIT, EV_LIMIT))


def score_pairs(
    pairs: Sequence[Pair],
    models: Mapping[str, Models],
    scorer: Scorer,
    reading: EnhanceOptions | None = None,
    look: PairViewer | None = None,
) -> Iterator[PairResult]:
    """Score pairs one after the other, in order.

    Args:
        pairs: What to score.
        models: The models by the name of their column; empty if the pairs have results already.
        scorer: Scores by the protocol.
        reading: How the pictures are read; None for the defaults.
        look: Receives the pixels of what was scored.

    Yields:
        The scores of each pair, or the problem with it.

    Raises:
        UnavailableError: A model cannot be loaded or run.
        OutputError: The folder for saved results cannot be written.
    """
    work = _Work(
        models=models,
        scorer=scorer,
        reading=reading or EnhanceOptions(),
        look=look,
        progress=lambda _: stages.check(),
    )
    helpers, largest_px = worker_count(), MAX_WAITING_PX  # one at a time, until one has told how large they are

    def fits(count: int) -> bool:
        # Two more than there are threads, so that none is idle; fewer while pictures are large.
        return count <= 1 or (count <= helpers + 2 and count * largest_px <= MAX_WAITING_PX)

    def has_room() -> bool:
        if not models:
            return fits(stages.inside + 1)
        # While the models work on one pair the next is being loaded.
        return fits(stages.inside) and len(stages.reading) + len(stages.ready) < 2

    def enhance(_: None, loaded: Sequence[_Loaded | Problem]) -> list[_Job | Problem]:
        return [each if isinstance(each, Problem) else work.enhance(each) for each in loaded]

    steps: Steps[int, Any, PairResult, None]
    steps = Steps(read=lambda index: work.load(pairs[index]), work=enhance, write=work.finish)
    # One worker: models have threads, or a device, of their own.
    stages = Stages(steps, [None], helpers=helpers, is_behind=lambda: not fits(len(stages.writing) + 1))
    ended = drive(stages, range(len(pairs)), has_room)
    try:
        for result in in_order(ended):
            if isinstance(result, Exception):
                raise result
            if isinstance(result, PictureScores):
                px = result.width * result.height
                largest_px = max(px, 0 if largest_px == MAX_WAITING_PX else largest_px)
            yield result
    finally:
        stages.close()


class _Matched(NamedTuple):
    """The result of a model that was asked for the brightness of the reference."""

    ev: float
    pixels: Samples


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The result of a model: the picture for `save`, and its pixels as they are scored."""

    picture: Picture
    pixels: Samples
    matched: _Matched | None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A pair ready to be scored: pixels as they are scored; existing results and those of models by column."""

    pair: Pair
    low: Samples | None
    reference: Samples | None
    results: Mapping[str, Samples]
    made: Mapping[str, _Made] = field(default_factory=dict)

    def candidates(self) -> dict[str, Samples]:
        """Return what is scored, by column: the input, the results of models, the existing results."""
        found = {} if self.low is None else {INPUT: self.low}
        return found | {name: made.pixels for name, made in self.made.items()} | dict(self.results)


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A pair that was read: the picture for the models, and the job without their results."""

    low: Picture | None
    job: _Job


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is done to every pair."""

    models: Mapping[str, Models]
    scorer: Scorer
    reading: EnhanceOptions
    look: PairViewer | None
    progress: PictureProgress

    def load(self, pair: Pair) -> _Loaded | Problem:
        """Read all files of a pair."""
        try:
            low = None if pair.low is None else read_source(pair.low, self.reading)
            job = _Job(
                pair=pair,
                low=None if low is None else self.scorer.samples(low),
                reference=None if pair.reference is None else self._read(pair.reference),
                results={name: self._read(path) for name, path in pair.results.items()},
            )
            _check_sizes(job)
        except (PictureError, DataError) as error:
            return Problem(name=pair.name, reason=str(error))
        return _Loaded(low=low, job=job)

    def _read(self, path: Path) -> Samples:
        return self.scorer.samples(read_source(path, self.reading))

    def enhance(self, loaded: _Loaded) -> _Job | Problem:
        """Run the models on a pair."""
        try:
            made = {name: self._made(loaded.low, loaded.job.reference, models) for name, models in self.models.items()}
        except PictureError as error:
            return Problem(name=loaded.job.pair.name, reason=str(error))
        return replace(loaded.job, made=made)

    def _made(self, low: Picture | None, reference: Samples | None, models: Models) -> _Made:
        """Run a model, and with `match_brightness` once more at the brightness of the reference."""
        assert low is not None
        picture = enhance_picture(low, models, self.reading, self.progress)
        matched = None
        if self.scorer.options.match_brightness and reference is not None:
            asked = float(reference.mean(dtype=np.float64)) / self.scorer.options.data_range
            ev = matching_ev(asked, automatic=chosen_brightness(low, models))
            again = enhance_picture(low, models, replace(self.reading, ev=ev), self.progress)
            matched = _Matched(ev, self.scorer.samples(again))
        return _Made(picture=picture, pixels=self.scorer.samples(picture), matched=matched)

    def finish(self, job: _Job | Problem) -> PairResult:
        """Score every candidate of a pair, and save the results of the models if asked."""
        if isinstance(job, Problem):
            return job
        candidates = job.candidates()
        shown = next(iter(candidates.values()))  # the input, if there is one
        for name in self.scorer.options.baselines:
            candidates[name] = self.scorer.deep(make_baseline(name)(np.asarray(to_8bit(shown), np.uint8)))
        try:
            scores = self._scores(job, candidates)
            described = None if job.reference is None else self.scorer.score(job.reference, None)
            if self.scorer.options.save is not None:
                _save(job, self.scorer.options.save)
        except (PictureError, DataError) as error:
            return Problem(name=job.pair.name, reason=str(error))
        found = PictureScores(
            name=job.pair.name,
            width=shown.shape[1],
            height=shown.shape[0],
            scores=scores,
            reference=described,
            evs={variant(name, MATCHED): made.matched.ev for name, made in job.made.items() if made.matched},
        )
        if self.look is not None:
            self.look.add(found, candidates, job.reference)
        return found

    def _scores(self, job: _Job, candidates: Mapping[str, Samples]) -> dict[str, Score]:
        """Return the scores by column: each method, followed by its variants."""
        scores = {}
        for name, pixels in candidates.items():
            scores[name] = self.scorer.score(pixels, job.reference)
            if job.reference is None or name == INPUT:
                continue
            if self.scorer.options.gt_mean:
                scaled = _scaled(pixels, job.reference)
                scores[variant(name, GT_MEAN)] = self.scorer.compare(scaled, job.reference)
            if name in job.made and (matched := job.made[name].matched):
                scores[variant(name, MATCHED)] = self.scorer.compare(matched.pixels, job.reference)
        return scores


def _scaled(pixels: Samples, reference: Samples) -> Samples:
    """Return `gt_mean` of 8-bit or 16-bit samples."""
    if pixels.dtype == np.uint8:
        return gt_mean(np.asarray(pixels, np.uint8), np.asarray(reference, np.uint8))
    return gt_mean(np.asarray(pixels, np.uint16), np.asarray(reference, np.uint16))


def _save(job: _Job, folder: Path) -> None:
    """Save the results of the models as `NAME.png`; with several models, each in its own folder."""
    for name, made in job.made.items():
        path = (folder if name == OUTPUT else folder / name) / f"{job.pair.name}.png"
        make_folder(path.parent)
        write_picture(replace(made.picture, format="png"), path)


def _check_sizes(job: _Job) -> None:
    """Refuse pictures of different sizes.

    Raises:
        DataError: One differs in size from the reference, or without a reference from the first.
    """
    candidates = list(job.candidates().values())
    expected = candidates[0] if job.reference is None else job.reference
    for each in candidates:
        if each.shape != expected.shape:
            raise DataError(f"expected one size, got {_size(each)} and a reference of {_size(expected)}")


def _size(pixels: Samples) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"
