"""What an evaluation found: the scores of every picture, what has none, and the summary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from lumen.errors import Exit
from lumen.evaluation.columns import INPUT, OUTPUT, REFERENCE
from lumen.evaluation.measures import MEASURES, STATISTICS, Measure, Score, Statistic, summarise
from lumen.evaluation.pairs import Problem
from lumen.evaluation.suspicions import suspicions

WORST: Final = 10  # pictures that are named where not all are


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """The scores of one picture.

    Attributes:
        name: Name of the pair.
        width: Pixels.
        height: Pixels.
        scores: Column to score: `input`, the methods, and what the options added to each.
        reference: What can be said of the reference alone; None where there is none.
        evs: Stops that each method was asked for by `match_brightness`, by the column of its scores.
    """

    name: str
    width: int
    height: int
    scores: Mapping[str, Score]
    reference: Score | None = None
    evs: Mapping[str, float] = field(default_factory=dict)

    def score(self, column: str) -> Score | None:
        """Return the score of a column, or of the reference; None where there is none."""
        return self.reference if column == REFERENCE else self.scores.get(column)

    @property
    def ev(self) -> float | None:
        """Stops that the one model was asked for; None where it was not asked, or there are several."""
        return next(iter(self.evs.values())) if len(self.evs) == 1 else None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        facts: dict[str, Any] = {"name": self.name, "width": self.width, "height": self.height}
        facts |= {column: score.as_dict() for column, score in self.scores.items()}
        if self.reference is not None:
            facts[REFERENCE] = self.reference.as_dict()
        if self.evs:
            facts["ev"] = dict(self.evs) if self.ev is None else self.ev
        return facts


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """All that one evaluation found.

    Attributes:
        pictures: Scores of the pairs, in order of their names.
        problems: What could not be scored: unmatched names, damaged files, sizes that differ.
        protocol: How the numbers were made, in words.
        data_range: What the differences are relative to.
    """

    pictures: tuple[PictureScores, ...]
    problems: tuple[Problem, ...]
    protocol: str
    data_range: int = 255

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that have scores, in order."""
        return tuple(dict.fromkeys(column for picture in self.pictures for column in picture.scores))

    @property
    def main(self) -> str | None:
        """The column that the report is about: the first method's."""
        return next((column for column in self.columns if column != INPUT), None) or next(iter(self.columns), None)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """What any picture has, in the order of `MEASURES`."""
        scores = [score for column in (*self.columns, REFERENCE) for score in self.scores(column)]
        there = {key for score in scores for key in score.values}
        return tuple(measure for measure in MEASURES if measure.key in there)

    @property
    def described(self) -> tuple[str, ...]:
        """The columns, and the references where they were measured."""
        return (*self.columns, REFERENCE) if self.scores(REFERENCE) else self.columns

    @property
    def ranked_by(self) -> Measure | None:
        """The measure that tells good pictures from bad ones: PSNR, without references NIQE."""
        return next((measure for measure in self.measures if measure.key in ("psnr", "niqe")), None)

    @property
    def exit_code(self) -> Exit:
        """0; 3 when something could not be scored; 4 when nothing could."""
        if not self.pictures:
            return Exit.ALL_FAILED
        return Exit.SOME_FAILED if self.problems else Exit.OK

    def scores(self, column: str) -> list[Score]:
        """Return the scores of a column, picture by picture; `reference` is one."""
        return [score for picture in self.pictures if (score := picture.score(column)) is not None]

    def summary(self, column: str, statistic: Statistic = "mean") -> Score:
        """Return the mean, median or spread over pictures."""
        return summarise(self.scores(column), statistic)

    def mean(self, column: str) -> Score:
        """Return the mean over pictures; PSNR leaves equal pictures out, and is `inf` when all are equal."""
        return self.summary(column, "mean")

    def equal(self, column: str) -> int:
        """Return how many pictures equal their reference."""
        return sum(math.isinf(score.get("psnr") or 0.0) for score in self.scores(column))

    def ranked(self) -> list[PictureScores]:
        """Return the pictures, the worst of the main column first: by PSNR, without references by NIQE."""
        return sorted(self.pictures, key=lambda picture: badness(picture.scores.get(self.main or OUTPUT)))

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What looks like a mistake of measuring rather than a score, one line each."""
        return tuple(
            f"{column}: {line}"
            for column in self.columns
            for line in suspicions([score.values for score in self.scores(column)], data_range=self.data_range)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        means = {name: self.mean(name).as_dict() | {"equal": self.equal(name)} for name in self.columns}
        more = {
            statistic: {name: self.summary(name, statistic).as_dict() for name in self.columns}
            for statistic in STATISTICS[1:]
        }
        counts = {"pictures": len(self.pictures), "problems": len(self.problems)}
        words = {"warnings": list(self.warnings), "protocol": self.protocol}
        return {"summary": counts | {"mean": means} | more | words}


def badness(score: Score | None) -> float:
    """Return a number that is small for bad scores: PSNR, without references the negative NIQE."""
    if score is None:
        return -math.inf
    psnr, niqe = score.get("psnr"), score.get("niqe")
    return psnr if psnr is not None else -math.inf if niqe is None else -niqe
