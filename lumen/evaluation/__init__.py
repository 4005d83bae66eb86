"""Scores pictures against their references: pairs them by name, compares methods, and states the protocol in words.

::

    find_pairs -> score_pairs (load -> enhance -> score) -> EvalReport -> terminal, JSON, CSV, Markdown, page

`measures` defines the numbers and `options` the protocol; `scoring` scores pixels, `run` scores many files;
`suspicions` recognises impossible scores; `reports` writes the results.
"""

from __future__ import annotations

from lumen.evaluation.columns import GT_MEAN, INPUT, MATCHED, OUTPUT, REFERENCE
from lumen.evaluation.evaluate import PairProgress, evaluate, evaluate_results
from lumen.evaluation.measures import Score
from lumen.evaluation.options import EvalOptions
from lumen.evaluation.pairs import Matching
from lumen.evaluation.report import EvalReport, PictureScores
from lumen.evaluation.run import PairResult, enhanced_at, matching_ev
from lumen.evaluation.scoring import score

__all__ = [
    "GT_MEAN",
    "INPUT",
    "MATCHED",
    "OUTPUT",
    "REFERENCE",
    "EvalOptions",
    "EvalReport",
    "Matching",
    "PairProgress",
    "PairResult",
    "PictureScores",
    "Score",
    "enhanced_at",
    "evaluate",
    "evaluate_results",
    "matching_ev",
    "score",
]
