"""Pairs pictures of two folders by their names, never by their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
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
    """

    name: str
    low: Path
    reference: Path


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
        name = _name(dark[0], low) if dark else _name(bright[0], reference)
        if len(dark) == len(bright) == 1:
            pairs.append(Pair(name=name, low=dark[0], reference=bright[0]))
        else:
            problems.append(Problem(name=name, reason=_why_unpaired({low: dark, reference: bright})))
    if not pairs:
        raise NothingToDoError(
            f"expected pictures of the same name in two folders, found {len(lows)} in {low} and {len(references)} in "
            f"{reference}, and none in common"
        )
    return tuple(pairs), tuple(problems)


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures below a folder by their name in lower case."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            found.setdefault(_name(path, folder).casefold(), []).append(path)
    return found


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _why_unpaired(found: dict[Path, Sequence[Path]]) -> str:
    for folder, paths in found.items():
        if len(paths) > 1:
            return f"expected one picture of this name in {folder}, found {', '.join(path.name for path in paths)}"
    missing = next(folder for folder, paths in found.items() if not paths)
    return f"expected a picture of this name in {missing}, found none"
