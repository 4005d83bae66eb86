"""Pairs pictures of two folders by their names, never by their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from lumen.errors import NothingToDoError, UsageError
from lumen.imaging.codec import SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture and its reference.

    Attributes:
        name: Path relative to the folder, without suffix, with forward slashes.
        low: File to enhance or to score.
        reference: File with the truth.
        result: What was made of `low` already, where it is to be scored beside it.
    """

    name: str
    low: Path
    reference: Path
    result: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A picture and what was made of it.

    Attributes:
        place: Path below the output folder, as if the result had the name of the picture; the suffix does not matter.
        low: The picture.
        result: The file it became.
    """

    place: PurePath
    low: Path
    result: Path


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A picture that has no score, and why."""

    name: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"name": self.name, "error": self.reason}


def find_pairs(low: Path, reference: Path) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair two folders, or two files.

    Folders are read with their sub-folders, hidden ones left out. Names pair by relative path without suffix, upper and
    lower case being the same.

    Returns:
        The pairs, sorted by name, and a problem for every name without a partner or with more than one.

    Raises:
        UsageError: One is a file and the other a folder.
        NothingToDoError: No name has a partner.
    """
    if low.is_file() and reference.is_file():
        return (Pair(name=low.stem, low=low, reference=reference),), ()
    if low.is_file() or reference.is_file():
        raise UsageError(f"expected two folders or two files, got {low} and {reference}")
    lows, references = _by_name(low), _by_name(reference)
    pairs, problems = [], []
    for key in sorted(lows.keys() | references.keys()):
        dark, bright = lows.get(key, []), references.get(key, [])
        name = _name((dark or bright)[0].relative_to(low if dark else reference))
        if len(dark) == len(bright) == 1:
            pairs.append(Pair(name=name, low=dark[0], reference=bright[0]))
        else:
            problems.append(Problem(name=name, reason=_why_unpaired({str(low): dark, str(reference): bright})))
    if not pairs:
        raise NothingToDoError(
            f"expected pictures of the same name in two folders, found {len(lows)} in {low} and {len(references)} in "
            f"{reference}, and none in common"
        )
    return tuple(pairs), tuple(problems)


def pair_results(results: Iterable[Result], reference: Path) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair results with the references of their names, by the rules of `find_pairs`.

    References of other pictures are none of their concern.

    Returns:
        The pairs, sorted by name, and a problem for every result without a reference, or of which there are several of
        one name.
    """
    by_name: dict[str, list[Result]] = {}
    for result in results:
        by_name.setdefault(_name(result.place).casefold(), []).append(result)
    references = _by_name(reference)
    pairs, problems = [], []
    for key, same in sorted(by_name.items()):
        name, bright = _name(same[0].place), references.get(key, [])
        if len(same) == len(bright) == 1:
            pairs.append(Pair(name=name, low=same[0].low, reference=bright[0], result=same[0].result))
        else:
            found = {"the results": [each.result for each in same], str(reference): bright}
            problems.append(Problem(name=name, reason=_why_unpaired(found)))
    return tuple(pairs), tuple(problems)


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures below a folder by their name in lower case."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            found.setdefault(_name(path.relative_to(folder)).casefold(), []).append(path)
    return found


def _name(place: PurePath) -> str:
    return place.with_suffix("").as_posix()


def _why_unpaired(found: Mapping[str, Sequence[Path]]) -> str:
    for where, paths in found.items():
        if len(paths) > 1:
            return f"expected one picture of this name in {where}, found {', '.join(path.name for path in paths)}"
    missing = next(where for where, paths in found.items() if not paths)
    return f"expected a picture of this name in {missing}, found none"
