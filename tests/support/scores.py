"""Pictures of noise, and made-up scores, for the tests of evaluations and their reports."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.evaluation import EvalReport, PictureScores, Score
from lumen.evaluation.pairs import Problem


def noise(seed: int, *, size: tuple[int, int] = (24, 32), low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(low, high, (*size, 3)).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def scored(name: str, *, reference: dict[str, float] | None = None, **columns: dict[str, float]) -> PictureScores:
    """Return the scores of a picture, by column and measure."""
    scores = {column: Score(values) for column, values in columns.items()}
    truth = None if reference is None else Score(reference)
    return PictureScores(name=name, width=3, height=2, scores=scores, reference=truth)


def report_of(*pictures: PictureScores, problems: tuple[Problem, ...] = (), protocol: str = "p") -> EvalReport:
    return EvalReport(pictures=pictures, problems=problems, protocol=protocol)


def two_pictures() -> EvalReport:
    """Return a report of a picture that equals its reference, one that scores suspiciously well, and a problem."""
    return report_of(
        scored(
            "a|b",
            input={"psnr": 7.123456789, "ssim": 0.25},
            output={"psnr": math.inf, "ssim": 1.0},
            reference={"brightness": 0.5},
        ),
        scored("c", input={"psnr": 8.0, "ssim": 0.5}, output={"psnr": 61.0, "ssim": 0.75}),
        problems=(Problem(name="<d>", reason="no *reference*"),),
        protocol="one; two",
    )
