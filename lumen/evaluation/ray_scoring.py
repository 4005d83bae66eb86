"""The workers of a Ray cluster score pairs: each a small block, as `score_pairs` does in one process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from lumen.cluster.blocks import Blocks, memory_of
from lumen.cluster.connection import Cluster, require_ray
from lumen.cluster.nodes import SharedFile, expected_of, marked
from lumen.cluster.shipping import ShippedModel
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.errors import DataError, PictureError
from lumen.evaluation.options import EvalOptions
from lumen.evaluation.pairs import Pair, Problem
from lumen.evaluation.previews import Previews
from lumen.evaluation.protocol import ModelFacts
from lumen.evaluation.run import PairResult, score_pairs
from lumen.evaluation.scoring import Scorer
from lumen.files.paths import exists
from lumen.pages.album import Shots
from lumen.runtime.open import ModelSet
from lumen.stages import in_order

SCORING_BYTES = 1 << 30  # of the pictures that are scored, beside a model

NumberedPair = tuple[int, Pair]
ScoredPair = tuple[PairResult, Shots | None]


class RayScoring:
    """Scores pairs on a Ray cluster, for the length of a `with` block.

    Attributes:
        facts: Which models run, and where.
    """

    facts: Mapping[str, ModelFacts]

    def __init__(self, models: Mapping[str, RuntimeOptions], options: EvalOptions, previews: Previews | None) -> None:
        """Take the models by the names of their columns, what is scored, and the previews to fill.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: A GPU is asked for by its number.
        """
        self._models, self._options, self._previews = models, options, previews
        self._runtime = next(iter(models.values()), RuntimeOptions(device="cpu", threads=options.threads))
        require_ray(self._runtime)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            UnavailableError: There is no cluster.
        """
        cluster = Cluster()
        self._held.callback(cluster.close)
        self._blocks: Blocks[NumberedPair, ScoredPair] = Blocks(cluster, self._runtime)
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.close()
        self._held.close()

    def open(self, pairs: Sequence[Pair]) -> None:
        """Look at the nodes, and open the models in one worker.

        Raises:
            UnavailableError: A node has other versions, or a model cannot be used.
            UsageError: A node does not see the files.
            OutputError: The folder for saved results cannot be written.
        """
        files = [*_files_of(pairs[0]), *self._options.lpips, *filter(None, [self._options.niqe_model])]
        seen = [SharedFile.of(path) for path in files if exists(path)]
        if (save := self._options.save) is not None:
            seen.append(self._held.enter_context(marked(save, "cluster")))
        threads, total = self._blocks.worker.threads, None if self._previews is None else len(pairs)
        shipped = [ShippedModel.of(replace(each, threads=threads)) for each in self._models.values()]
        options = replace(self._options, threads=threads)
        sessions = PairSessions(names=tuple(self._models), options=options, total=total)
        self.facts = self._blocks.open(sessions, tuple(shipped), expected_of(seen))

    def score(self, pairs: Sequence[Pair]) -> Iterator[PairResult]:
        """Yield what `score_pairs` does."""
        for pair, ending in zip(pairs, in_order(self._endings(pairs)), strict=True):
            if isinstance(ending, PictureError | DataError):
                yield Problem(name=pair.name, reason=str(ending))
            elif isinstance(ending, Exception):
                raise ending
            else:
                result, shots = ending
                if self._previews is not None and shots is not None:
                    self._previews.album.keep(result.name, shots)
                yield result

    def _endings(self, pairs: Sequence[Pair]) -> Iterator[tuple[int, ScoredPair | Exception] | None]:
        for ended in self._blocks.run(enumerate(pairs)):
            yield None if ended is None else (ended[0][0], ended[1])


@dataclass(frozen=True, kw_only=True)
class PairSessions:
    """What a worker is sent to score pairs.

    Attributes:
        names: The columns of the models.
        options: What is scored.
        total: How many pairs share the room for previews; None makes none.
    """

    names: tuple[str, ...]
    options: EvalOptions
    total: int | None

    def open(self, options: Sequence[RuntimeOptions]) -> PairSession:
        """Open the models in this process."""
        return PairSession(self, {name: ModelSet(each) for name, each in zip(self.names, options, strict=True)})


class PairSession:
    """A worker process that scores one block after the other."""

    def __init__(self, asked: PairSessions, models: Mapping[str, ModelSet]) -> None:
        """Open the models; raises `LumenError`."""
        self._models = models
        self._facts = {name: ModelFacts.of(each) for name, each in models.items()}
        self._scorer = Scorer(asked.options)
        self._previews = None if asked.total is None else Previews()
        if self._previews is not None:
            self._previews.album.begin(asked.total or 1)
        self._is_leaving = False

    def facts(self) -> Mapping[str, Any]:
        """Return the facts about the models."""
        return self._facts

    def memory(self) -> int:
        """Return the memory for the largest windows and the pictures that are scored."""
        opened = (each.for_sample("uint8") for each in self._models.values())
        return SCORING_BYTES + sum(memory_of(model, [EnhanceOptions()]) for model in opened)

    def run(self, pairs: Sequence[NumberedPair]) -> Iterator[tuple[int, ScoredPair | Exception] | None]:
        """Score the pairs of a block."""
        self._is_leaving = False
        results = score_pairs([pair for _, pair in pairs], self._models, self._scorer, previews=self._previews)
        for number, result in enumerate(results):
            shots = None if self._previews is None else self._previews.album.taken(result.name)
            yield number, (result, shots)
            if self._is_leaving:
                return

    def leave(self) -> None:
        """Score no other pair."""
        self._is_leaving = True

    def close(self) -> list[tuple[int, ScoredPair | Exception]]:
        """Return nothing: a pair that is not scored to its end has no score."""
        return []


def _files_of(pair: Pair) -> list[Path]:
    return [path for path in (pair.low, pair.reference, *pair.results.values()) if path is not None]
