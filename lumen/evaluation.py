"""Scores pictures against their references: pairs by name, PSNR and SSIM beside the input's own, the protocol in words.

Loading and scoring run on threads while the calling thread enhances; what is held in memory at once is bounded whatever
the number of pairs.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.config import EV_LIMIT, EnhanceOptions
from lumen.errors import DataError, Exit, PictureError, UsageError
from lumen.imaging.atomic import make_folder
from lumen.imaging.codec import Picture, displayed_8bit, write_picture
from lumen.imaging.color import srgb_to_linear
from lumen.imaging.metrics import gt_mean, psnr, ssim
from lumen.pairing import Pair, Problem, Result, find_pairs, pair_results
from lumen.pipeline import chosen_brightness, enhance_picture, read_source
from lumen.runtime.model import Models

INPUT, OUTPUT, GT_MEAN, MATCHED = "input", "output", "gt_mean", "match_brightness"
COLUMNS = (INPUT, OUTPUT, GT_MEAN, MATCHED)

MAX_WORKERS = 4
MAX_WAITING_PX = 16_000_000  # pixels that wait for their score; one pair is always let in

PROTOCOL = (
    "PSNR in dB and SSIM of sRGB pictures, 8 bit after rounding, all three RGB channels, data range 255, in float64; "
    "SSIM with an 11x11 Gaussian window (sigma 1.5), per channel, valid region; means over pictures of each "
    "picture's own value, PSNR without pictures that equal their reference"
)
PROTOCOL_AS_IS = "output is the file as it is"
PROTOCOL_WRITTEN = "output is the result file as it stands on the disk, with the loss of its format"
PROTOCOL_GT_MEAN = (
    f"{GT_MEAN}: the output scaled to the reference's mean grey level, never to be set beside plain scores"
)
PROTOCOL_MATCHED = (
    f"{MATCHED}: the model is asked, by an exposure in stops, for the reference's mean brightness, "
    "never to be set beside plain scores"
)


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is scored.

    Attributes:
        as_is: Score the files themselves; no model runs.
        gt_mean: Add the score after scaling to the reference's mean grey level.
        match_brightness: Add the score of the model asked for the reference's brightness.
        save: Folder that receives what was scored, as PNG; None keeps nothing.
    """

    as_is: bool = False
    gt_mean: bool = False
    match_brightness: bool = False
    save: Path | None = None

    def __post_init__(self) -> None:
        for name, asked in (("--match-brightness", self.match_brightness), ("--save", self.save is not None)):
            if self.as_is and asked:
                raise UsageError(
                    f"expected --as-is or {name}, got both: {name} needs the model that --as-is leaves out"
                )


@dataclass(frozen=True, kw_only=True)
class Score:
    """PSNR in dB (`inf` for equal pictures) and SSIM (at most 1)."""

    psnr: float
    ssim: float

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; an infinite PSNR, which JSON has not, is null."""
        return {"psnr": self.psnr if math.isfinite(self.psnr) else None, "ssim": self.ssim}


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """The scores of one pair.

    Attributes:
        name: Name of the pair.
        width: Pixels.
        height: Pixels.
        scores: Column (one of `COLUMNS`) to score.
        ev: Stops that `match_brightness` asked for; None where it was not asked.
    """

    name: str
    width: int
    height: int
    scores: Mapping[str, Score]
    ev: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        facts = {"name": self.name, "width": self.width, "height": self.height}
        exposure = {} if self.ev is None else {"ev": self.ev}
        return facts | {column: score.as_dict() for column, score in self.scores.items()} | exposure


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """All that one evaluation found.

    Attributes:
        pictures: Scores of the pairs, in order of their names.
        problems: What could not be scored: unmatched names, damaged files, sizes that differ.
        protocol: How the numbers were made, in words.
    """

    pictures: tuple[PictureScores, ...]
    problems: tuple[Problem, ...]
    protocol: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that have scores, in the order of `COLUMNS`."""
        return tuple(name for name in COLUMNS if any(name in picture.scores for picture in self.pictures))

    @property
    def exit_code(self) -> Exit:
        """0; 3 when something could not be scored; 4 when nothing could."""
        if not self.pictures:
            return Exit.ALL_FAILED
        return Exit.SOME_FAILED if self.problems else Exit.OK

    def mean(self, column: str) -> Score:
        """Return the mean over pictures; PSNR leaves equal pictures out, and is `inf` when all are equal."""
        scores = [picture.scores[column] for picture in self.pictures]
        finite = [score.psnr for score in scores if math.isfinite(score.psnr)]
        mean_psnr = math.fsum(finite) / len(finite) if finite else math.inf
        return Score(psnr=mean_psnr, ssim=math.fsum(score.ssim for score in scores) / len(scores))

    def equal(self, column: str) -> int:
        """Return how many pictures equal their reference."""
        return sum(math.isinf(picture.scores[column].psnr) for picture in self.pictures)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        means = {name: self.mean(name).as_dict() | {"equal": self.equal(name)} for name in self.columns}
        counts = {"pictures": len(self.pictures), "problems": len(self.problems)}
        return {"summary": counts | {"mean": means, "protocol": self.protocol}}


PairResult = PictureScores | Problem
Progress = Callable[[int, int, PairResult], None]


def score(candidate: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Score:
    """Score an 8-bit picture [H, W, 3] against a reference of the same shape, by `PROTOCOL`.

    Raises:
        DataError: Shapes differ, or a side is shorter than the 11 pixels of the SSIM window.
    """
    return Score(psnr=psnr(candidate, reference, data_range=255), ssim=ssim(candidate, reference, data_range=255))


def matching_ev(asked: float, automatic: float) -> float:
    """Return the stops that bring a model from its own mean brightness to another one.

    Args:
        asked: Mean sRGB level in [0, 1] that is wanted.
        automatic: Mean sRGB level in [0, 1] the model aims at by itself.

    Returns:
        Ratio of the two in linear light, as a power of two, within the limits of `--ev`.
    """
    light = srgb_to_linear(np.clip([asked, automatic], 1e-4, 1.0))
    return float(np.clip(np.log2(light[0] / light[1]), -EV_LIMIT, EV_LIMIT))


def score_pairs(
    pairs: Sequence[Pair], models: Models | None, options: EvalOptions, reading: EnhanceOptions | None = None
) -> Iterator[PairResult]:
    """Score pairs one after the other, in order.

    Args:
        pairs: What to score.
        models: The twins of the model; None only with `options.as_is`, or where the pairs hold results.
        options: What to score.
        reading: How the pictures are read; None for the defaults.

    Yields:
        The scores of each pair, or the problem with it.

    Raises:
        UnavailableError: The model cannot be loaded or run.
        OutputError: `options.save` cannot be written.
    """
    reading = reading or EnhanceOptions()
    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    waiting: deque[tuple[int, Future[PairResult]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="lumen-eval") as pool:
        for pair, loaded in _load_ahead(pool, pairs, reading):
            size = 0 if isinstance(loaded, Problem) else loaded.low.height * loaded.low.width
            while waiting and (len(waiting) >= workers or sum(px for px, _ in waiting) + size > MAX_WAITING_PX):
                yield waiting.popleft()[1].result()
            # The model runs here, one picture at a time: it has threads, or a device, of its own.
            job = loaded if isinstance(loaded, Problem) else _enhance(pair, loaded, models, options)
            waiting.append((size, pool.submit(_finish, job, options)))
        while waiting:
            yield waiting.popleft()[1].result()


def evaluate(
    low: Path,
    reference: Path,
    models: Models | None,
    options: EvalOptions | None = None,
    *,
    progress: Progress | None = None,
) -> EvalReport:
    """Score a folder (or a file) against its references.

    Args:
        low: Dark pictures, or with `options.as_is` the pictures to score.
        reference: What they should look like.
        models: The twins of the model (`lumen.runtime.session.ModelSet`); None only with `options.as_is`.
        options: What to score; None for the plain scores.
        progress: Called after each name with the number done, the number of names, and what came out.

    Raises:
        UsageError: One is a file and the other a folder, models are missing, or results would go among the inputs.
        NothingToDoError: No name has a partner.
        UnavailableError: The model cannot be loaded or run.
        OutputError: `options.save` cannot be written.
    """
    options = options or EvalOptions()
    if models is None and not options.as_is:
        raise UsageError("expected models, or as_is=True to score the files themselves")
    _check_save(options.save, low, reference)
    pairs, problems = find_pairs(low, reference)
    results = chain(problems, score_pairs(pairs, models, options))
    return _report(results, len(pairs) + len(problems), protocol(models, options), progress)


def evaluate_results(
    results: Sequence[Result],
    reference: Path,
    reading: EnhanceOptions | None = None,
    *,
    progress: Progress | None = None,
) -> EvalReport:
    """Score what was made of pictures, beside the pictures themselves, against a folder of references.

    Args:
        results: Pictures and the files they became.
        reference: What they should look like; what is in there beyond is left alone.
        reading: How the pictures are read; None for the defaults.
        progress: As for `evaluate`.
    """
    pairs, problems = pair_results(results, reference)
    scored = chain(problems, score_pairs(pairs, None, EvalOptions(as_is=True), reading))
    return _report(scored, len(pairs) + len(problems), f"{PROTOCOL}; {PROTOCOL_WRITTEN}", progress)


def _report(results: Iterable[PairResult], total: int, protocol: str, progress: Progress | None) -> EvalReport:
    """Collect results, telling each."""
    found: list[PairResult] = []
    for result in results:
        found.append(result)
        if progress is not None:
            progress(len(found), total, result)
    return EvalReport(
        pictures=tuple(result for result in found if isinstance(result, PictureScores)),
        problems=tuple(result for result in found if isinstance(result, Problem)),
        protocol=protocol,
    )


def protocol(models: Models | None, options: EvalOptions) -> str:
    """Return how the numbers are made, in words, with the model and the device that made them."""
    parts = [PROTOCOL]
    if models is None or options.as_is:
        parts.append(PROTOCOL_AS_IS)
    else:
        model = models.for_sample("uint8")
        parts.append(f"output by model {model.spec.name} on {model.device}")
    if options.gt_mean:
        parts.append(PROTOCOL_GT_MEAN)
    if options.match_brightness:
        parts.append(PROTOCOL_MATCHED)
    return "; ".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """A pair from disk: the picture for the model, and all as they are scored."""

    low: Picture
    pixels: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    result: NDArray[np.uint8] | None


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A pair ready to be scored: 8-bit pictures by column, and what `save` keeps."""

    pair: Pair
    reference: NDArray[np.uint8]
    candidates: dict[str, NDArray[np.uint8]]
    enhanced: Picture | None = None
    ev: float | None = None


def _load_ahead(
    pool: ThreadPoolExecutor, pairs: Sequence[Pair], reading: EnhanceOptions
) -> Iterator[tuple[Pair, _Loaded | Problem]]:
    """Yield the pairs in order, the next one being loaded meanwhile."""
    loading: deque[tuple[Pair, Future[_Loaded | Problem]]] = deque()
    for pair in pairs:
        loading.append((pair, pool.submit(_load, pair, reading)))
        if len(loading) > 1:
            first, future = loading.popleft()
            yield first, future.result()
    for last, future in loading:
        yield last, future.result()


def _load(pair: Pair, reading: EnhanceOptions) -> _Loaded | Problem:
    try:
        low = read_source(pair.low, reading)
        pixels, reference = displayed_8bit(low), displayed_8bit(read_source(pair.reference, reading))
        result = None if pair.result is None else displayed_8bit(read_source(pair.result, reading))
        for each in (pixels, result):
            if each is not None and each.shape != reference.shape:
                raise DataError(f"expected one size, got {_size(each)} and a reference of {_size(reference)}")
    except (PictureError, DataError) as error:
        return Problem(name=pair.name, reason=str(error))
    return _Loaded(low=low, pixels=pixels, reference=reference, result=result)


def _enhance(pair: Pair, loaded: _Loaded, models: Models | None, options: EvalOptions) -> _Job | Problem:
    if loaded.result is not None:
        candidates = {INPUT: loaded.pixels, OUTPUT: loaded.result}
        return _Job(pair=pair, reference=loaded.reference, candidates=candidates)
    if models is None or options.as_is:
        return _Job(pair=pair, reference=loaded.reference, candidates={OUTPUT: loaded.pixels})
    try:
        enhanced = enhance_picture(loaded.low, models, EnhanceOptions())
        candidates = {INPUT: loaded.pixels, OUTPUT: displayed_8bit(enhanced)}
        ev = None
        if options.match_brightness:
            asked = float(loaded.reference.mean()) / 255.0
            ev = matching_ev(asked, automatic=chosen_brightness(loaded.low, models))
            candidates[MATCHED] = displayed_8bit(enhance_picture(loaded.low, models, EnhanceOptions(ev=ev)))
    except PictureError as error:
        return Problem(name=pair.name, reason=str(error))
    return _Job(pair=pair, reference=loaded.reference, candidates=candidates, enhanced=enhanced, ev=ev)


def _finish(job: _Job | Problem, options: EvalOptions) -> PairResult:
    """Score every candidate of a pair, and keep the result if asked."""
    if isinstance(job, Problem):
        return job
    candidates = dict(job.candidates)
    if options.gt_mean:
        candidates[GT_MEAN] = gt_mean(candidates[OUTPUT], job.reference)
    try:
        scores = {column: score(pixels, job.reference) for column, pixels in candidates.items()}
        if options.save is not None and job.enhanced is not None:
            _save(job.enhanced, options.save / f"{job.pair.name}.png")
    except (PictureError, DataError) as error:
        return Problem(name=job.pair.name, reason=str(error))
    height, width = job.reference.shape[:2]
    return PictureScores(name=job.pair.name, width=width, height=height, scores=scores, ev=job.ev)


def _save(picture: Picture, path: Path) -> None:
    make_folder(path.parent)
    write_picture(replace(picture, format="png"), path)


def _size(pixels: NDArray[np.uint8]) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[0]}"


def _check_save(save: Path | None, low: Path, reference: Path) -> None:
    """Refuse a folder whose results the next run would take for inputs."""
    for folder in (low, reference):
        if save is not None and save.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"expected --save outside of {folder}, got {save}: the next run would score its own results"
            )
