"""The result of an evaluation: scores of the pictures, problems, and summaries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from lumen.errors import Exit
from lumen.evaluation.columns import INPUT, OUTPUT, REFERENCE, column_title
from lumen.evaluation.measures import MEASURES, STATISTICS, Measure, Score, Statistic, summarise
from lumen.evaluation.pairs import Problem
from lumen.evaluation.suspicions import suspicions

WORST: Final = 10  # number of pictures listed in short tables


@dataclass(frozen=True, kw_only=True)
class PictureScores:
    """The scores of one picture.

    Attributes:
        name: Name of the pair.
        width: Pixels.
        height: Pixels.
        scores: Scores by column: `input`, the methods, and their variants.
        reference: Numbers of the reference alone; None without one.
        evs: Exposures in stops that `match_brightness` asked for, by column.
    """

    name: str
    width: int
    height: int
    scores: Mapping[str, Score]
    reference: Score | None = None
    evs: Mapping[str, float] = field(default_factory=dict)

    def score(self, column: str) -> Score | None:
        """Return the score of a column, `reference` included; None if there is none."""
        return self.reference if column == REFERENCE else self.scores.get(column)

    @property
    def ev(self) -> float | None:
        """The exposure in stops if exactly one model was asked for one, else None."""
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
    """The result of one evaluation.

    Attributes:
        pictures: Scores of the pairs, in the order of their names.
        problems: Pictures that could not be scored: unmatched names, damaged files, different sizes.
        protocol: How the numbers were computed, in words.
        data_range: Data range of the compared samples, 255 or 65535.
        data: What was scored and against what, for the title of a report; empty if not known.
        method: What made the column `output`, for people: the name of a model or of a folder.
        flicker: Of clips, the range of the level of a still region in stops, by column, `reference` included.
    """

    pictures: tuple[PictureScores, ...]
    problems: tuple[Problem, ...]
    protocol: str
    data_range: int = 255
    data: str = ""
    method: str = OUTPUT
    flicker: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns with scores, in order."""
        return tuple(dict.fromkeys(column for picture in self.pictures for column in picture.scores))

    def title(self, column: str) -> str:
        """Return the name of a column for people, no two alike."""
        return column_title(column, OUTPUT if self.method in (*self.columns, REFERENCE) else self.method)

    @property
    def main(self) -> str | None:
        """The column of the first method, which the report is about; the input if there is no method."""
        return next((column for column in self.columns if column != INPUT), None) or next(iter(self.columns), None)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that any picture has, in the order of `MEASURES`."""
        there = {key for column in (*self.columns, REFERENCE) for score in self.scores(column) for key in score.values}
        return tuple(measure for measure in MEASURES if measure.key in there)

    @property
    def described(self) -> tuple[str, ...]:
        """The columns, and `reference` if references were measured."""
        return (*self.columns, REFERENCE) if self.scores(REFERENCE) else self.columns

    @property
    def ranked_by(self) -> Measure | None:
        """The measure that ranks pictures: PSNR, or NIQE without references."""
        return next((measure for measure in self.measures if measure.key in ("psnr", "niqe")), None)

    @property
    def exit_code(self) -> Exit:
        """0; 3 if some pictures could not be scored; 4 if none could."""
        if not self.pictures:
            return Exit.ALL_FAILED
        return Exit.SOME_FAILED if self.problems else Exit.OK

    def scores(self, column: str) -> list[Score]:
        """Return the scores of a column, `reference` included, picture by picture."""
        return [score for picture in self.pictures if (score := picture.score(column)) is not None]

    def summary(self, column: str, statistic: Statistic = "mean") -> Score:
        """Return the mean, median or spread over the pictures."""
        return summarise(self.scores(column), statistic)

    def mean(self, column: str) -> Score:
        """Return the mean over the pictures; PSNR leaves out equal pictures, and is `inf` if all are equal."""
        return self.summary(column, "mean")

    def equal(self, column: str) -> int:
        """Return the number of pictures that equal their reference."""
        return sum(math.isinf(score.values.get("psnr", 0.0)) for score in self.scores(column))

    def ranked(self) -> list[PictureScores]:
        """Return the pictures, worst first, by PSNR of the main column, or by NIQE without references."""
        return sorted(self.pictures, key=lambda picture: badness(picture.scores.get(self.main or OUTPUT)))

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """Signs that the scores were computed wrongly, one line each."""
        return tuple(
            f"{self.title(column)}: {line}"
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
        flicker = {"flicker": dict(self.flicker)} if self.flicker else {}
        return {"summary": counts | {"mean": means} | more | flicker | words}


def badness(score: Score | None) -> float:
    """Return a number that is small for bad scores: PSNR, or negative NIQE without references."""
    if score is None:
        return -math.inf
    psnr, niqe = score.values.get("psnr"), score.values.get("niqe")
    return psnr if psnr is not None else -math.inf if niqe is None else -niqe
