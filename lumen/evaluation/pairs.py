"""Pairs the pictures of several folders by name, never by order."""

from __future__ import annotations

import re
import shlex
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, NamedTuple

from lumen.errors import NothingToDoError, UsageError
from lumen.evaluation.columns import INPUT, OUTPUT
from lumen.evaluation.naming import Rule, derived_rules, one_to_one, rough_rules, sure_rules
from lumen.files.paths import is_plain_file, type_of
from lumen.files.patterns import is_hidden, is_picture_name
from lumen.files.store_path import StorePath


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
            whole names, and if no name has a partner, names without the usual beginnings or endings.
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

    @property
    def words(self) -> str:
        """What is compared, for the protocol."""
        if self.gt_per_folder:
            return "one reference for all pictures of a folder"
        return (
            "by name" if self.pattern is None else f"by the groups of --pair {shlex.quote(self.pattern)} in their names"
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


class Pairing(NamedTuple):
    """The pairs of folders, sorted by name; a problem for every name without a partner or with several; the rule."""

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]
    rule: str


def find_pairs(
    low: Path | None,
    reference: Path | None,
    results: Mapping[str, Path] | None = None,
    matching: Matching | None = None,
) -> Pairing:
    """Pair the pictures of folders, or single files.

    Folders are searched with their sub-folders, except hidden ones. Pictures are paired by their relative path without
    suffix, ignoring case, unless `matching` says otherwise. If no name has a partner, beginnings and endings that data
    sets give their names are left out, where that pairs names one to one. `results` are folders by the name of the
    method. A pair needs a file in every folder that is given.

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
        pair = Pair(name=name, low=low, reference=reference, results=dict(results or {}))
        return Pairing((pair,), (), "as they were given")
    if any(is_plain_file(place) for place in places):
        raise UsageError(f"expected two folders or two files, got {' and '.join(map(str, places))}")
    listed = {folder: _pictures_in(folder) for folder in places}
    sides = [[name for name, _ in listed[folder]] for folder in places]
    chosen, proposed = _choose(sides, matching)
    if chosen is not None:
        matching = Matching(pattern=chosen.pattern)
    pairs, problems = _paired(pictures, reference, matching, listed, _proposal(proposed))
    if proposed is not None:
        problems = _with_proposal(problems, sides, proposed)
    return Pairing(pairs, problems, _words(matching, chosen))


def _paired(
    pictures: Mapping[str, Path],
    reference: Path | None,
    matching: Matching,
    listed: Mapping[Path, Sequence[tuple[str, Path]]],
    proposal: str,
) -> tuple[tuple[Pair, ...], tuple[Problem, ...]]:
    """Pair the pictures of folders, given by their role, with the references.

    `listed` is what the folders hold, and `proposal` what to say where nothing pairs.
    """
    problems: list[Problem] = []
    found = {role: _by_key(folder, listed[folder], matching.key, problems) for role, folder in pictures.items()}
    references = {}
    if reference is not None:
        references = _by_key(reference, listed[reference], matching.reference_key, problems)
    pairs, used = [], set()
    several = ""  # the first reason that is not a missing partner
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
            several = several or (problems[-1].reason if all(files.values()) else "")
    first = next(iter(pictures.values()))
    for key in references.keys() - used:
        assert reference is not None
        name = _name(references[key][0].relative_to(reference))
        problems.append(Problem(name=name, reason=f"expected a picture of this name in {first}, found none"))
    if not pairs:
        counts = {folder: sum(map(len, found[role].values())) for role, folder in pictures.items()}
        if reference is not None:
            counts[reference] = sum(map(len, references.values()))
        raise NothingToDoError(several + proposal if several else _nothing_in_common(counts, proposal))
    return tuple(pairs), tuple(sorted(problems, key=lambda problem: problem.name.casefold()))


def _nothing_in_common(counts: Mapping[Path, int], proposal: str) -> str:
    return (
        f"expected pictures of the same name in {len(counts)} folders, found "
        f"{' and '.join(f'{count} in {folder}' for folder, count in counts.items())}, and none in common"
        + (proposal or "; --pair REGEX pairs names by the groups of a pattern")
    )


def pair_results(results: Iterable[Result], reference: Path) -> Pairing:
    """Pair results with the references of the same names, by the rules of `find_pairs`.

    References without a result are ignored.
    """
    results = tuple(results)
    matching = Matching()
    there = _pictures_in(reference)
    sides = [[_name(each.place) for each in results], [name for name, _ in there]]
    chosen, proposed = _choose(sides, matching)
    if chosen is not None:
        matching = Matching(pattern=chosen.pattern)
    by_key: dict[str | None, list[Result]] = {}
    for result in results:
        by_key.setdefault(matching.key(_name(result.place)), []).append(result)
    references = _by_key(reference, there, matching.key, [])
    pairs, problems = [], []
    for key, same in sorted(by_key.items(), key=lambda item: item[0] or ""):
        name, bright = _name(same[0].place), references.get(key or "", [])
        if len(same) == len(bright) == 1:
            made = {OUTPUT: same[0].result}
            pairs.append(Pair(name=name, low=same[0].low, reference=bright[0], results=made))
        else:
            found = {"the results": [each.result for each in same], str(reference): bright}
            problems.append(Problem(name=name, reason=_why_unpaired(found)))
    unpaired = tuple(problems)
    if proposed is not None:
        # There is no --pair where these results are scored: the folders can be scored by themselves.
        unpaired = _with_proposal(unpaired, sides, proposed, " of lumen eval")
    return Pairing(tuple(pairs), unpaired, _words(matching, chosen))


def _choose(sides: Sequence[Sequence[str]], matching: Matching) -> tuple[Rule | None, Rule | None]:
    """Return the rule to use instead of the names themselves, and one to propose because it pairs more."""
    if matching.gt_per_folder or len(sides) < 2:
        return None, None

    # A name that stands twice, with two suffixes, is a problem of its own and speaks against no rule.
    once = [list({name.casefold(): name for name in names}.values()) for names in sides]

    def count(rule: Matching) -> int:
        return one_to_one([[rule.key(name) for name in names] for names in once])

    def best(rules: Iterable[Rule], above: int) -> Rule | None:
        counted = [(count(Matching(pattern=rule.pattern)), rule) for rule in rules]
        most = max((pairs for pairs, _ in counted), default=0)
        return next((rule for pairs, rule in counted if pairs == most), None) if most > above else None

    exact = len(set.intersection(*({matching.key(name) for name in names} - {None} for names in sides)))
    sure = best(sure_rules([name for names in sides for name in names]), exact)
    if sure is not None:
        return (sure, None) if not exact and matching.pattern is None else (None, sure)
    most = max(exact, min(map(len, sides)) // 2)  # a rough rule that pairs less is a coincidence
    return None, best(chain(rough_rules(), derived_rules(once)), most)


def _words(matching: Matching, chosen: Rule | None) -> str:
    return matching.words if chosen is None else f"{chosen.words}, as with --pair {shlex.quote(chosen.pattern)}"


def _proposal(rule: Rule | None, where: str = "") -> str:
    return "" if rule is None else f"; --pair {shlex.quote(rule.pattern)}{where} would pair them"


def _with_proposal(
    problems: Iterable[Problem], sides: Sequence[Sequence[str]], rule: Rule, where: str = ""
) -> tuple[Problem, ...]:
    """Add the proposed rule to the problem of each name that it would pair."""
    matching = Matching(pattern=rule.pattern)
    common = set.intersection(*({matching.key(name) for name in names} - {None} for names in sides))
    added = _proposal(rule, where)
    return tuple(
        replace(problem, reason=problem.reason + added) if matching.key(problem.name) in common else problem
        for problem in problems
    )


def _pictures_in(folder: Path) -> list[tuple[str, Path]]:
    """Return name and path of the pictures below a folder, sorted, without hidden ones."""
    if isinstance(folder, StorePath):
        return _pictures_below(folder)
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        # What cannot be looked at counts as a file: reading it reports why.
        is_file = is_picture_name(path.name) and type_of(path) in (stat.S_IFREG, 0)
        if is_file and not any(map(is_hidden, relative.parts)):
            found.append((_name(relative), path))
    return found


def _pictures_below(prefix: StorePath) -> list[tuple[str, Path]]:
    """Return the same for a prefix of a store.

    Raises:
        StoreError: It cannot be listed.
    """
    from lumen.files.stores import store_error, walk_prefix

    try:
        found = [
            below / name
            for below, listing in walk_prefix(prefix, lambda inner: not is_hidden(inner.name))
            for name in listing.files
            if is_picture_name(name)
        ]
    except OSError as error:
        raise store_error(prefix, error) from error
    return [(_name(path.relative_to(prefix)), path) for path in sorted(found)]


def _by_key(
    folder: Path,
    pictures: Iterable[tuple[str, Path]],
    key_of: Callable[[str], str | None],
    problems: list[Problem],
) -> dict[str, list[Path]]:
    """Return the pictures of a folder by key; add a problem for each without one."""
    found: dict[str, list[Path]] = {}
    for name, path in pictures:
        key = key_of(name)
        if key is None:
            problems.append(Problem(name=name, reason=f"expected a name that --pair matches in {folder}"))
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
