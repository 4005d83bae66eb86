"""Which pictures are skipped, and why: how their results were made, and what to add to have them made again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, compress
from pathlib import Path

from lumen.batch.block import Block
from lumen.batch.destinations import Destination
from lumen.batch.history import EarlierResults, History, Made, differences, settings_of
from lumen.batch.job import Job
from lumen.batch.sidecars import sidecar_names
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.picture_rules import PictureOptions, UnmatchedRules
from lumen.files.paths import is_plain_file
from lumen.files.patterns import COMPARISON_SUFFIX
from lumen.files.store_path import StorePath
from lumen.imaging.clip_formats import is_clip
from lumen.text import printable

AGAIN = "add --existing overwrite to make it again"
PART = 1000  # pictures of a large folder that go on together


@dataclass(frozen=True, kw_only=True)
class ToDo:
    """What is to be done with the pictures of a block.

    Attributes:
        block: The pictures.
        reasons: Why each can be skipped; None for those to enhance.
        uncompared: Which of those that can be skipped lack their comparison.
    """

    block: Block
    reasons: Sequence[str | None]
    uncompared: Sequence[bool]

    @property
    def pending(self) -> int:
        """How many pictures there is work on."""
        return sum(reason is None for reason in self.reasons) + sum(self.uncompared)

    @property
    def pending_clips(self) -> int:
        """How many of those are clips."""
        return sum(map(is_clip, compress(self.block.names, (reason is None for reason in self.reasons))))

    def jobs(self) -> Iterator[tuple[Job, str | None, bool]]:
        """Yield each job with the reason, and whether it lacks its comparison."""
        yield from zip(self.block.jobs(), self.reasons, self.uncompared, strict=True)


class Sorter:
    """Sorts blocks of a plan: what is to be done, and what can be skipped.

    Attributes:
        variants: The options of the pictures to enhance, so far.
        earlier: Which pictures are results of earlier runs, so far.
        unmatched: Which patterns of the settings have matched no file, so far.
    """

    def __init__(
        self, destination: Destination, options: BatchOptions, enhance: PictureOptions, model: str | None
    ) -> None:
        """Take what decides; `model` is what was asked for as model."""
        self.variants: set[EnhanceOptions] = set()
        self.earlier = EarlierResults()
        self.unmatched = UnmatchedRules(enhance.rules)
        self._destination, self._options, self._enhance, self._model = destination, options, enhance, model
        self._history = None if options.output is None else History(options.output)

    def sort(self, block: Block) -> Iterator[ToDo]:
        """Yield what is to be done with a block, in parts.

        Raises:
            UsageError: A result exists and must not.
        """
        if self._options.existing == "error":
            self._destination.refuse_existing(block)
        reasons = self._destination.skip_reasons(block)
        uncompared = [False] * len(reasons)
        if self._options.compare and any(reasons):
            compared = self._destination.skip_reasons(block.comparisons())
            uncompared = [
                reason is not None and other is None and not is_clip(name)
                for name, reason, other in zip(block.names, reasons, compared, strict=True)
            ]
        if block.sidecars is not None:
            # While its listings are at hand: asking for each picture would be many requests.
            block = replace(block, sidecars=None, alone=_alone(block, block.sidecars))
        for start in range(0, max(1, len(reasons)), PART):
            end = start + PART
            part = block.cut(start, end)
            explained = self._explained(part, reasons[start:end])
            self._look(part, explained)
            skipped = zip(explained, uncompared[start:end], strict=True)
            yield ToDo(block=part, reasons=explained, uncompared=[reason is not None and it for reason, it in skipped])

    def _look(self, block: Block, reasons: Sequence[str | None]) -> None:
        """Note what kinds of pictures there are."""
        self.earlier.look(block)
        names = chain(block.names, (failure.source.name for failure in block.failures))
        self.unmatched.look(block.place / name for name in names)
        if not self._enhance.rules:
            self.variants |= {self._enhance.options} if None in reasons else set()
        else:
            pending = compress(block.names, (reason is None for reason in reasons))
            self.variants |= {self._enhance.of(block.place / name) for name in pending}

    def _explained(self, block: Block, reasons: Sequence[str | None]) -> list[str | None]:
        """Return why each picture is skipped, from the records of the runs that made the results.

        With the policy `update`, one is not whose result was made with other options than those named for it alone.
        """
        if self._history is None or self._options.output is None or not any(reasons):
            return list(reasons)
        folder = block.target.relative_to(self._options.output)
        targets = [str(folder / name) for name in block.results]
        made = self._history.results_made(compress(targets, reasons))
        return [
            reason if reason is None or target not in made else self._reason(reason, job, made[target])
            for job, reason, target in zip(block.jobs(), reasons, targets, strict=True)
        ]

    def _reason(self, reason: str, job: Job, made: Made) -> str | None:
        is_named = self._options.existing == "update" and is_outdated(made, self._enhance.changes(job.relative))
        if is_named and not _are_others(made.source, job.source):
            return None
        return _with(reason, job, made, self._settings(job))

    def _settings(self, job: Job) -> Mapping[str, object]:
        return settings_of(asdict(self._enhance.of(job.relative)), self._model, vars(self._options))


def is_outdated(made: Made, changes: Mapping[str, object]) -> bool:
    """Tell whether a result was made with other options than those that were named for its picture alone.

    Options of the whole run do not count: `--existing update` would undo what was chosen for a picture before.
    """
    return any(name in made.settings and made.settings[name] != value for name, value in changes.items())


def _with(reason: str, job: Job, made: Made, now: Mapping[str, object]) -> str:
    """Return a reason with what the record of the result adds to it."""
    if _are_others(made.source, job.source):
        return f"a result of another picture, {printable(made.source)}, has its name; choose another --out"
    if changed := differences(made.settings, now):
        return f"the result exists, made with other settings ({changed}); {AGAIN}"
    return reason if ";" in reason else f"{reason}, made with the same settings"


def _are_others(first: Path, second: Path) -> bool:
    """Tell whether two paths lead to two files that are both there."""
    if first == second:
        return False
    return is_plain_file(first) and is_plain_file(second) and not first.samefile(second)


def _alone(block: Block, sidecars: frozenset[str]) -> Sequence[bool]:
    """Return `Job.is_alone` of the pictures of a block in a store; nothing if it is not known."""
    is_on_disk = not isinstance(block.target, StorePath)
    in_store: Collection[str] | None = ()
    if isinstance(block.target, StorePath):
        from lumen.files.stores import known_names

        in_store = known_names(block.target)
    if in_store is None:
        return ()
    return [
        sidecars.isdisjoint(sidecar_names(name))
        and (comparison := result + COMPARISON_SUFFIX) not in in_store
        and not (is_on_disk and is_plain_file(block.target / comparison))
        for name, result in zip(block.names, block.results, strict=True)
    ]
