"""Scores many pairs: they are loaded, enhanced and scored side by side, and memory is bounded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np

from lumen.codecs.codec import encode_picture
from lumen.color.srgb import srgb_to_linear
from lumen.config import EV_LIMIT, EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.model_choice import chosen_brightness
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.progress import PictureProgress
from lumen.enhance.sharing import Cores, Share
from lumen.errors import DataError, PictureError
from lumen.evaluation.baselines import make_baseline
from lumen.evaluation.columns import GT_MEAN, INPUT, MATCHED, OUTPUT, aim_column, variant
from lumen.evaluation.measures import Score
from lumen.evaluation.pairs import Pair, Problem
from lumen.evaluation.previews import Previews
from lumen.evaluation.report import PictureScores
from lumen.evaluation.scoring import Scorer
from lumen.files.atomic import write_atomically
from lumen.imaging.picture import Picture, Samples, to_8bit
from lumen.metrics.fidelity import gt_mean
from lumen.runtime.cores import usable_cores
from lumen.runtime.devices import helper_threads
from lumen.runtime.protocols import Models
from lumen.runtime.runs import terminate_runs
from lumen.stages import Stages, Steps, drive, in_order

MAX_WAITING_PX = 32_000_000  # of pictures that are loaded and scored at the same time; one is always allowed

PairResult = PictureScores | Problem


def matching_ev(asked: float, automatic: float) -> float:
    """Return the exposure, in stops, that takes a model from its own mean brightness to another.

    Both are mean sRGB levels in [0, 1]. The exposure is their ratio in linear light, as a power of two, within the
    limits of `--ev`.
    """
    light = srgb_to_linear(np.clip([asked, automatic], 1e-4, 1.0))
    return float(np.clip(np.log2(light[0] / light[1]), -EV_LIMIT, EV_LIMIT))


def enhanced_at(
    asked: float,
    source: Picture,
    models: Models,
    options: EnhanceOptions | None = None,
    progress: PictureProgress = lambda _: None,
    share: Share | None = None,
) -> tuple[float, Picture]:
    """Ask a model for a mean brightness, by an exposure.

    Args:
        asked: Mean sRGB level in [0, 1] of the result.
        source: The dark picture.
        models: The model.
        options: How it is enhanced; the exposure is replaced.
        progress: As for `enhance_picture`.
        share: As for `enhance_picture`.

    Returns:
        The exposure in stops, and the result.
    """
    ev = matching_ev(asked, automatic=chosen_brightness(source, models))
    return ev, enhance_picture(source, models, replace(options or EnhanceOptions(), ev=ev), progress, share)


def score_pairs(
    pairs: Sequence[Pair],
    models: Mapping[str, Models],
    scorer: Scorer,
    reading: EnhanceOptions | None = None,
    previews: Previews | None = None,
) -> Iterator[PairResult]:
    """Yield the scores of each pair, or the problem with it, in order; `previews` are filled with what was scored.

    The models have the names of their columns; there are none if the pairs have results already.

    Raises:
        UnavailableError: A model cannot be loaded or run.
        OutputError: The folder for saved results cannot be written.
    """
    reading = reading or EnhanceOptions()
    work = _Work(models=models, scorer=scorer, reading=reading, previews=previews, progress=lambda _: stages.check())
    cores = Cores(models.values(), [reading])
    helpers = scorer.options.threads or usable_cores()
    largest_px = MAX_WAITING_PX  # one at a time, until one has told how large they are

    def fits(count: int) -> bool:
        # Two more than there are threads, so that none is idle; fewer while pictures are large.
        return count <= 1 or (count <= helpers + 2 and count * largest_px <= MAX_WAITING_PX)

    devices = [each.for_sample("uint8").device for each in models.values()]
    is_serial = not scorer.options.threads and helper_threads(devices) == 0

    def has_room() -> bool:
        if is_serial:
            return not stages.inside
        if not models:
            return fits(stages.inside + 1)
        # While the models work on some pairs the next are being loaded.
        return fits(stages.inside) and len(stages.reading) + len(stages.ready) <= cores.runs

    stages: Stages[int, _Job, PictureScores, Cores] = Stages(
        Steps(
            read=lambda index: work.load(pairs[index]),
            work=lambda cores, jobs: [work.enhance(job, cores, lambda: len(pairs) - stages.begun) for job in jobs],
            write=work.finish,
        ),
        [cores] * cores.runs,
        helpers=helpers,
        is_behind=lambda: not fits(len(stages.writing) + 1),
        interrupt=terminate_runs,
    )
    ended = drive(stages, range(len(pairs)), has_room)
    try:
        for pair, result in zip(pairs, in_order(ended), strict=True):
            if isinstance(result, PictureError | DataError):
                yield Problem(name=pair.name, reason=str(result))
            elif isinstance(result, Exception):
                raise result
            else:
                px = result.width * result.height
                largest_px = max(px, 0 if largest_px == MAX_WAITING_PX else largest_px)
                yield result
    finally:
        stages.close()


@dataclass(frozen=True, kw_only=True)
class _Made:
    """The result of a model: the picture for `save`, and its pixels as they are scored.

    `match_brightness` adds the exposure that takes it to the brightness of the reference, and the pixels at that;
    `aim` the pixels at that level.
    """

    picture: Picture
    pixels: Samples
    ev: float | None = None
    matched: Samples | None = None
    aimed: Samples | None = None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A pair on its way: pixels as they are scored; existing results by column, and those of models by name."""

    pair: Pair
    source: Picture | None  # what the models take, until they have run
    low: Samples | None
    reference: Samples | None
    results: Mapping[str, Samples]
    made: Mapping[str, _Made] = field(default_factory=dict)

    def candidates(self, aim: float | None) -> dict[str, Samples]:
        """Return what is scored, by column: the input, the results of models, the existing results."""
        found = {} if self.low is None else {INPUT: self.low}
        for name, made in self.made.items():
            found[name] = made.pixels
            if aim is not None and made.aimed is not None:
                found[aim_column(name, aim)] = made.aimed
        return found | dict(self.results)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What is done to every pair."""

    models: Mapping[str, Models]
    scorer: Scorer
    reading: EnhanceOptions
    previews: Previews | None
    progress: PictureProgress

    def load(self, pair: Pair) -> _Job:
        """Read all files of a pair, none of which may be damaged: what a decoder puts in gaps is not to be scored."""
        source = None if pair.low is None else self._read(pair.low)
        job = _Job(
            pair=pair,
            source=source,
            low=None if source is None else self.scorer.samples(source),
            reference=None if pair.reference is None else self._samples(pair.reference),
            results={name: self._samples(path) for name, path in pair.results.items()},
        )
        _check_sizes(job)
        return job

    def _read(self, path: Path) -> Picture:
        picture = read_source(path, self.reading)
        picture.refuse_damaged()
        return picture

    def _samples(self, path: Path) -> Samples:
        return self.scorer.samples(self._read(path))

    def enhance(self, job: _Job, cores: Cores, others: Callable[[], int]) -> _Job:
        """Run the models on a pair, with the threads that are lent to it."""
        with cores.lend(others) as share:
            made = {name: self._made(job, models, share) for name, models in self.models.items()}
        return replace(job, source=None, made=made)

    def _made(self, job: _Job, models: Models, share: Share) -> _Made:
        """Run a model; with `match_brightness` and `aim` once more for each, at another brightness."""
        assert job.source is not None and job.low is not None
        options = self.scorer.options
        picture = enhance_picture(job.source, models, self.reading, self.progress, share)
        made = _Made(picture=picture, pixels=self.scorer.samples(picture))
        if options.match_brightness and job.reference is not None:
            asked = self._level(job.reference)
            ev, again = enhanced_at(asked, job.source, models, self.reading, self.progress, share)
            made = replace(made, ev=ev, matched=self.scorer.samples(again))
        if options.aim is not None:
            asked = max(options.aim, self._level(job.low))  # never darker than it is
            _, again = enhanced_at(asked, job.source, models, self.reading, self.progress, share)
            made = replace(made, aimed=self.scorer.samples(again))
        return made

    def _level(self, pixels: Samples) -> float:
        """Return the mean level of pixels, in [0, 1]."""
        return float(pixels.mean(dtype=np.float64)) / self.scorer.options.data_range

    def finish(self, job: _Job) -> PictureScores:
        """Score every candidate of a pair, and save the results of the models if asked."""
        candidates = job.candidates(self.scorer.options.aim)
        shown = next(iter(candidates.values()))  # the input, if there is one
        for name in self.scorer.options.baselines:
            candidates[name] = self.scorer.deep(make_baseline(name)(to_8bit(shown)))
        scores = self._scores(job, candidates)
        described = None if job.reference is None else self.scorer.score(job.reference, None)
        if self.scorer.options.save is not None:
            _save(job, self.scorer.options.save)
        found = PictureScores(
            name=job.pair.name,
            width=shown.shape[1],
            height=shown.shape[0],
            scores=scores,
            reference=described,
            evs={variant(name, MATCHED): made.ev for name, made in job.made.items() if made.ev is not None},
        )
        if self.previews is not None:
            self.previews.add(found, candidates, job.reference)
        return found

    def _scores(self, job: _Job, candidates: Mapping[str, Samples]) -> dict[str, Score]:
        """Return the scores by column: each method, followed by its variants."""
        scores = {}
        for name, pixels in candidates.items():
            scores[name] = self.scorer.score(pixels, job.reference, job.low)
            if job.reference is None or name == INPUT:
                continue
            if self.scorer.options.gt_mean:
                scaled = _scaled(pixels, job.reference)
                scores[variant(name, GT_MEAN)] = self.scorer.compare(scaled, job.reference)
            if name in job.made and (matched := job.made[name].matched) is not None:
                scores[variant(name, MATCHED)] = self.scorer.compare(matched, job.reference)
        return scores


def _scaled(pixels: Samples, reference: Samples) -> Samples:
    """Return `gt_mean` of 8-bit or 16-bit samples."""
    if pixels.dtype == np.uint8:
        return gt_mean(np.asarray(pixels, np.uint8), np.asarray(reference, np.uint8))
    return gt_mean(np.asarray(pixels, np.uint16), np.asarray(reference, np.uint16))


def _save(job: _Job, folder: Path) -> None:
    """Save the results of the models as `NAME.png`; with several models, each in its own folder."""
    for name, made in job.made.items():
        path = (folder if name == OUTPUT else folder / _folder_of(name)) / f"{job.pair.name}.png"
        data, _ = encode_picture(replace(made.picture, format="png"), "png")
        write_atomically(path, data, below=folder)


def _folder_of(name: str) -> PurePath:
    """Return where the results of a model go below a folder; its name may be a path to anywhere."""
    path = PurePath(name)
    return PurePath(*("__" if part == os.pardir else part for part in path.relative_to(path.anchor).parts))


def _check_sizes(job: _Job) -> None:
    """Refuse a picture that differs in size from the reference, or without a reference from the first."""
    candidates = list(job.candidates(aim=None).values())
    expected = candidates[0] if job.reference is None else job.reference
    for each in candidates:
        if each.shape != expected.shape:
            (height, width), (rows, columns) = each.shape[:2], expected.shape[:2]
            raise DataError(f"expected one size, got {width}x{height} and a reference of {columns}x{rows}")
