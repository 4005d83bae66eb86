"""Scores a clip against another one, frame by frame, and how much its light flickers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sequence import enhance_sequence
from lumen.errors import DataError, DecodeError, UsageError
from lumen.evaluation.columns import INPUT, OUTPUT, REFERENCE
from lumen.evaluation.options import EvalOptions
from lumen.evaluation.protocol import ModelFacts, protocol
from lumen.evaluation.report import EvalReport, PictureScores
from lumen.evaluation.scoring import Scorer
from lumen.files.inputs import open_named
from lumen.imaging.clip_formats import is_clip, require_package
from lumen.imaging.picture import Picture, Samples
from lumen.runtime.protocols import Models
from lumen.video.facts import ClipFacts
from lumen.video.process import FFmpegProcess
from lumen.video.source import frames_of, look_at
from lumen.video.tones import REACH_S, is_steady

CELLS = 8  # parts of a side, one of which is taken to be still
DARKEST = 1 / 255  # of a level: the logarithm of black is no number

Progress = Callable[[int, int, PictureScores], None]


def are_clips(low: Sequence[Path], reference: Path | None) -> bool:
    """Return whether clips are to be compared; raises `UsageError` if only some of the files are clips."""
    places = [*low, *([] if reference is None else [reference])]
    clips = [place for place in places if is_clip(place) and place.is_file()]
    if clips and len(clips) < len(places):
        other = next(place for place in places if place not in clips)
        raise UsageError(f"expected two clips, got {clips[0]} and {other}; cut the clip into pictures, or name a clip")
    return bool(clips)


def evaluate_clips(
    low: Path, reference: Path | None, models: Mapping[str, Models], options: EvalOptions, progress: Progress
) -> EvalReport:
    """Score a clip frame by frame.

    Args:
        low: The dark clip; with `options.as_is` the clip that is scored.
        reference: What it should look like; None computes only the numbers that need no reference.
        models: Enhance it, by the names of their columns; none with `options.as_is`.
        options: What is scored, and how.
        progress: Called after each frame with the number done, how many there are, and its scores.

    Raises:
        DataError: The clips have different sizes or numbers of frames.
        PictureError: A clip cannot be decoded.
        MissingExtraError: The package that reads clips is not installed.
    """
    require_package()
    scorer, found = Scorer(options), list[PictureScores]()
    with ExitStack() as stack:
        first, total = _opened(low, stack)
        columns = {OUTPUT: first()} if options.as_is else {INPUT: first()}
        for name, each in models.items():
            columns[name] = _enhanced(first(), each)
        if reference is not None:
            columns[REFERENCE] = _opened(reference, stack)[0]()
        levels: dict[str, list[NDArray[np.float64]]] = {name: [] for name in columns}
        for frames in _together(columns):
            pixels = {name: scorer.samples(frame) for name, frame in frames.items()}
            for name, samples in pixels.items():
                levels[name].append(_cell_levels(samples))
            found.append(_scores(len(found), pixels, scorer))
            progress(len(found), max(total, len(found)), found[-1])
    facts = {name: ModelFacts.of(each) for name, each in models.items()}
    words = protocol(facts, options, natural=scorer.natural, paired=None if reference is None else "frame by frame")
    return EvalReport(
        pictures=tuple(found),
        problems=(),
        protocol=words,
        data_range=options.data_range,
        data=low.name if reference is None else f"{low.name} against {reference.name}",
        method=_method(low, models),
        flicker=flicker(levels),
    )


def flicker(levels: Mapping[str, Sequence[NDArray[np.float64]]]) -> dict[str, float]:
    """Return the range of the level of a still region, in stops, by column.

    The region is the cell that moves least in the clip that was enhanced; without one in the reference, or in the clip
    itself.

    Args:
        levels: For each frame log2 of the mean level of each cell, float64 [K].
    """
    sure = next(name for name in (INPUT, REFERENCE, OUTPUT) if levels.get(name))
    still = int(np.ptp(np.stack(levels[sure]), axis=0).argmin())
    return {name: float(np.ptp([each[still] for each in cells])) for name, cells in levels.items() if cells}


def _opened(path: Path, stack: ExitStack) -> tuple[Callable[[], Iterator[tuple[float, Picture]]], int]:
    """Return what begins to read a clip, and how many frames it seems to have."""
    try:
        opened = open_named(path)
    except OSError as error:
        raise DecodeError(f"cannot read {path}: {error.strerror or error}") from error
    source, reading = stack.enter_context(opened.stream), EnhanceOptions()
    facts: ClipFacts = look_at(source, reading)

    def begin() -> Iterator[tuple[float, Picture]]:
        return frames_of(stack.enter_context(FFmpegProcess(source)), facts, reading)

    return begin, facts.frames


def _enhanced(frames: Iterator[tuple[float, Picture]], models: Models) -> Iterator[tuple[float, Picture]]:
    """Yield frames as `lumen enhance` makes them: with steady light where the model can."""
    options = EnhanceOptions()
    if is_steady(models.for_sample("uint8"), options):
        return ((0.0, picture) for picture in enhance_sequence(frames, models, options, reach=REACH_S))
    return ((time, enhance_picture(picture, models, options)) for time, picture in frames)


def _together(columns: Mapping[str, Iterator[tuple[float, Picture]]]) -> Iterator[dict[str, Picture]]:
    """Yield the frames of all columns side by side; raises `DataError` if one ends before the others."""
    for number in range(1 << 62):
        frames = {name: next(each, None) for name, each in columns.items()}
        there = {name: frame[1] for name, frame in frames.items() if frame is not None}
        if not there:
            return
        if len(there) < len(frames):
            ended = next(name for name, frame in frames.items() if frame is None)
            raise DataError(
                f"expected clips of as many frames, got {number} in {ended} and more in {next(iter(there))}"
            )
        yield there


def _scores(number: int, pixels: Mapping[str, Samples], scorer: Scorer) -> PictureScores:
    truth, dark = pixels.get(REFERENCE), pixels.get(INPUT)
    shown = next(iter(pixels.values()))
    if truth is not None and truth.shape != shown.shape:
        (height, width), (rows, columns) = shown.shape[:2], truth.shape[:2]
        raise DataError(f"expected clips of one size, got {width}x{height} and a reference of {columns}x{rows}")
    return PictureScores(
        name=f"frame {number:06}",
        width=shown.shape[1],
        height=shown.shape[0],
        scores={name: scorer.score(each, truth, dark) for name, each in pixels.items() if name != REFERENCE},
        reference=None if truth is None else scorer.score(truth, None),
    )


def _cell_levels(pixels: Samples) -> NDArray[np.float64]:
    """Return log2 of the mean level of each cell of a frame [H, W, 3], float64 [CELLS * CELLS]."""
    rows, columns = (np.linspace(0, side, CELLS + 1).astype(int)[:-1] for side in pixels.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(pixels.astype(np.float64).mean(axis=2), rows, axis=0), columns, axis=1)
    counts = np.outer(np.diff([*rows, pixels.shape[0]]), np.diff([*columns, pixels.shape[1]]))
    return np.asarray(np.log2(np.maximum(sums / counts / np.iinfo(pixels.dtype).max, DARKEST)).ravel())


def _method(low: Path, models: Mapping[str, Models]) -> str:
    if OUTPUT in models:
        return models[OUTPUT].for_sample("uint8").spec.name
    return OUTPUT if models else low.name
