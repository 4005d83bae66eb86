"""Pairs the pictures of several folders by name, never by order."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from lumen.errors import NothingToDoError, UsageError
from lumen.evaluation.columns import INPUT, OUTPUT
from lumen.files.paths import is_plain_file, type_of
from lumen.files.patterns import is_hidden, is_picture_name


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A dark picture with its reference and results.

    Attributes:
        name: Path relative to the folder, without suffix, with forward slashes.
        low: The dark picture; None if there are only results.
        reference: What it should look like; None without references.
        results: Files that were made from it already, by the name of the method.
    """

    name: str
    low: Path | None = None
    reference: Path | None = None
    results: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Result:
    """A dark picture and the file that was made from it.

    Attributes:
        place: Path below the output folder, with the name of the picture; the suffix does not matter.
        low: The picture.
        result: The file that was made from it.
    """

    place: PurePath
    low: Path
    result: Path


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A picture without a score, and the reason."""

    name: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"name": self.name, "error": self.reason}


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How names are matched.

    Attributes:
        pattern: A regular expression that is searched in every name; its groups must match the same text. None compares
            whole names.
        gt_per_folder: One reference for all pictures of a folder: `HIGH/12.jpg`, or the one picture in `HIGH/12`, for
            those in `LOW/12`.
    """

    pattern: str | None = None
    gt_per_folder: bool = False

    def __post_init__(self) -> None:
        if self.pattern is None:
            return
        if self.gt_per_folder:
            raise UsageError("expected --pair or --gt-per-folder, got both")
        try:
            groups = re.compile(self.pattern).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise UsageError(f"expected a regular expression after --pair, got {self.pattern!r}: {error}") from error
        if not groups:
            raise UsageError(
                rf"expected a group in --pair for what must be equal, such as (\d+)$, got {self.pattern!r}"
            )

    def key(self, name: str) -> str | None:
        """Return the part of a picture's name that must be equal; None if the pattern does not match."""
        if self.pattern is None:
            return name.casefold()
        found = re.search(self.pattern, name, re.IGNORECASE)
        return None if found is None else "\0".join(group or "" for group in found.groups()).casefold()

    def reference_key(self, name: str) -> str | None:
        """Return the same for a reference."""
        parent = PurePosixPath(name).parent.as_posix()
        return parent.casefold() if self.gt_per_folder and parent != "." else self.key(name)

    def wanted(self, key: str) -> str | None:
        """Return the key of the reference for a picture with this key; None if it needs a folder and has none."""
        if not self.gt_per_folder:
            return key
        parent = PurePosixPath(key).parent.as_posix()
        return None if parent == "." else parent


def find_pairs(
    low: Path | None,
    reference: Path | None,
    results: Mapping[str, Path] | None = None,
    matching: Matching | None = None,
) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair the pictures of folders, or single files.

    Folders are searched with their sub-folders, except hidden ones. Pictures are paired by their relative path without
    suffix, ignoring case, unless `matching` says otherwise. `results` are folders by the name of the method. A pair
    needs a file in every folder that is given.

    Returns:
        The pairs, sorted by name, and a problem for every name without a partner or with several.

    Raises:
        UsageError: Files and folders are mixed.
        NothingToDoError: No name has a partner.
    """
    matching = matching or Matching()
    pictures = {INPUT: low} if low is not None else {}
    pictures |= results or {}
    places = [*pictures.values(), *([] if reference is None else [reference])]
    if all(is_plain_file(place) for place in places):
        name = next(iter(pictures.values())).stem
        return (Pair(name=name, low=low, reference=reference, results=dict(results or {})),), ()
    if any(is_plain_file(place) for place in places):
        raise UsageError(f"expected two folders or two files, got {' and '.join(map(str, places))}")
    return _paired(pictures, reference, matching)


def _paired(
    pictures: Mapping[str, Path], reference: Path | None, matching: Matching
) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair the pictures of folders, given by their role, with the references."""
    problems: list[Problem] = []
    found = {role: _by_key(folder, matching.key, problems) for role, folder in pictures.items()}
    references = {} if reference is None else _by_key(reference, matching.reference_key, problems)
    pairs, used = [], set()
    for key in sorted(set().union(*found.values())):
        files = {str(pictures[role]): keyed.get(key, []) for role, keyed in found.items()}
        name = next(_name(paths[0].relative_to(folder)) for folder, paths in files.items() if paths)
        if reference is not None:
            wanted = matching.wanted(key)
            used.add(wanted)
            if wanted is None:
                problems.append(
                    Problem(name=name, reason="expected a picture in a folder with the name of its reference")
                )
                continue
            files[str(reference)] = references.get(wanted, [])
        if all(len(paths) == 1 for paths in files.values()):
            one = {role: found[role][key][0] for role in pictures}
            truth = None if reference is None else files[str(reference)][0]
            pairs.append(Pair(name=name, low=one.pop(INPUT, None), reference=truth, results=one))
        else:
            problems.append(Problem(name=name, reason=_why_unpaired(files)))
    first = next(iter(pictures.values()))
    for key in references.keys() - used:
        assert reference is not None
        name = _name(references[key][0].relative_to(reference))
        problems.append(Problem(name=name, reason=f"expected a picture of this name in {first}, found none"))
    if not pairs:
        counts = {folder: sum(map(len, found[role].values())) for role, folder in pictures.items()}
        if reference is not None:
            counts[reference] = sum(map(len, references.values()))
        raise NothingToDoError(
            f"expected pictures of the same name in {len(counts)} folders, found "
            f"{' and '.join(f'{count} in {folder}' for folder, count in counts.items())}, and none in common"
        )
    return tuple(pairs), tuple(sorted(problems, key=lambda problem: problem.name.casefold()))


def pair_results(results: Iterable[Result], reference: Path) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair results with the references of the same names, by the rules of `find_pairs`.

    References without a result are ignored.

    Returns:
        The pairs, sorted by name, and a problem for every result without a reference, or with a name that occurs twice.
    """
    by_name: dict[str, list[Result]] = {}
    for result in results:
        by_name.setdefault(_name(result.place).casefold(), []).append(result)
    references = _by_key(reference, Matching().key, [])
    pairs, problems = [], []
    for key, same in sorted(by_name.items()):
        name, bright = _name(same[0].place), references.get(key, [])
        if len(same) == len(bright) == 1:
            made = {OUTPUT: same[0].result}
            pairs.append(Pair(name=name, low=same[0].low, reference=bright[0], results=made))
        else:
            found = {"the results": [each.result for each in same], str(reference): bright}
            problems.append(Problem(name=name, reason=_why_unpaired(found)))
    return tuple(pairs), tuple(problems)


def _by_key(folder: Path, key_of: Callable[[str], str | None], problems: list[Problem]) -> dict[str, list[Path]]:
    """Return the pictures below a folder by key; add a problem for each without one."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        # What cannot be looked at counts as a file: reading it reports why.
        is_file = type_of(path) in (stat.S_IFREG, 0)
        if is_picture_name(path.name) and not any(map(is_hidden, relative.parts)) and is_file:
            key = key_of(_name(relative))
            if key is None:
                reason = f"expected a name that --pair matches in {folder}"
                problems.append(Problem(name=_name(relative), reason=reason))
            else:
                found.setdefault(key, []).append(path)
    return found


def _name(place: PurePath) -> str:
    return place.with_suffix("").as_posix()


def _why_unpaired(found: Mapping[str, Sequence[Path]]) -> str:
    for where, paths in found.items():
        if len(paths) > 1:
            return f"expected one picture of this name in {where}, found {', '.join(path.name for path in paths)}"
    missing = next(where for where, paths in found.items() if not paths)
    return f"expected a picture of this name in {missing}, found none"
