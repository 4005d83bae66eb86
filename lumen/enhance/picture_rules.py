"""Options that differ from picture to picture, by its path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from lumen.config import EnhanceOptions
from lumen.files.patterns import Selection


@dataclass(frozen=True, kw_only=True)
class PictureRule:
    """Other options for some pictures.

    Attributes:
        match: Which ones: a pattern like those of `--include`, for the path below the input folder.
        changes: Values by the names of fields of `EnhanceOptions`.
    """

    match: str
    changes: Mapping[str, Any]


class PictureOptions:
    """The options of every picture: those of the run, with the changes of the rules that match its path."""

    def __init__(self, options: EnhanceOptions, rules: Iterable[PictureRule] = ()) -> None:
        """Take the options of the run and the rules; of several that match, later ones win."""
        self.options = options
        self.rules = tuple(rules)
        self._selections = [Selection((rule.match,)) for rule in self.rules]

    def changes(self, relative: PurePath) -> dict[str, Any]:
        """Return what differs for a picture, by its path below the input folder."""
        found: dict[str, Any] = {}
        for rule, selection in zip(self.rules, self._selections, strict=True):
            if selection.takes(relative):
                found |= rule.changes
        return found

    def of(self, relative: PurePath) -> EnhanceOptions:
        """Return the options of a picture, by its path below the input folder."""
        changes = self.changes(relative)
        return replace(self.options, **changes) if changes else self.options

    def variants(self) -> list[EnhanceOptions]:
        """Return the options of the run, and those that each rule makes of them."""
        return [self.options, *(replace(self.options, **rule.changes) for rule in self.rules)]

    def reading(self) -> EnhanceOptions:
        """Return options that read every picture which its own options read: to score results beside their inputs."""
        ways = self.variants()
        return replace(
            self.options,
            frames="first" if any(each.frames == "first" for each in ways) else "refuse",
            max_pixels=max(each.max_pixels for each in ways),
            strict=all(each.strict for each in ways),
        )

    def as_list(self) -> list[dict[str, Any]]:
        """Return the rules as JSON values."""
        return [{"match": rule.match, **rule.changes} for rule in self.rules]


class UnmatchedRules:
    """Which patterns of rules have matched no file so far."""

    def __init__(self, rules: Iterable[PictureRule]) -> None:
        """Take the rules."""
        self._left = {rule.match: Selection((rule.match,)) for rule in rules}

    def __iter__(self) -> Iterator[str]:
        """Yield the patterns, in the order of the rules."""
        return iter(self._left)

    def look(self, files: Iterable[PurePath]) -> None:
        """Look at files, by their paths below the input folder."""
        if not self._left:
            return
        for file in files:
            for match in [match for match, selection in self._left.items() if selection.takes(file)]:
                del self._left[match]
