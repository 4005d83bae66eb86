"""Names that belong together though they differ: the beginnings and endings that data sets give their two sides."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

# What data sets call their dark pictures, their references, and what programs call their results.
_WORDS: Final = (
    r"low[-_ ]?light|lowlight|low|dark|inputs?|in|ll|lq|short|under|noisy|"
    r"normal[-_ ]?light|normal|high|bright|ground[-_ ]?truth|gt|targets?|labels?|references?|ref|nl|hq|long|clean|"
    r"outputs?|out|results?|enhanced|pred"
)
# Set off from the rest, or beside a digit: neither `lowland` nor `flow` has one.
_BEGINNING: Final = re.compile(rf"(?:.*/)?((?:{_WORDS})(?:[-_ ]|(?=\d)))[^/]+", re.IGNORECASE)
_ENDING: Final = re.compile(rf".*[^/]((?:[-_ ]|(?<=\d))(?:{_WORDS}))", re.IGNORECASE)
# Too rough to be used without being asked for: only proposed. The last ones take 7 and 0007 for the same number.
_ROUGH: Final = (
    *(r"([^/]+)$", r"(\d+)$", r"^(\d+)", r"^\D*(\d+)\D*$"),
    *(r"^0*(\d+)$", r"^\D*0*(\d+)\D*$", r"^\D*0*(\d+)\D+0*(\d+)\D*$"),
)
_LOOKED_AT: Final = 50  # names of a folder, from which is learnt how a program names its results
_LONGEST: Final = 120  # characters of a name that is looked at


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A pattern for `--pair`, and in words what it compares."""

    pattern: str
    words: str


def sure_rules(names: Collection[str]) -> Iterator[Rule]:
    """Yield the rules that leave out known beginnings, or known endings, of names that have any.

    >>> [rule.pattern for rule in sure_rules(["a", "b", "a_gt", "b_gt"])]
    ['^(.+?)(?:_gt)?$']
    """
    for expression, place in ((_BEGINNING, "beginning"), (_ENDING, "end")):
        found = [match and match[1].lower() for match in map(expression.fullmatch, names)]
        words = sorted({word for word in found if word}, key=lambda word: (-len(word), word))
        if not words:
            continue
        is_beginning, choice = expression is _BEGINNING, "|".join(words)
        if None in found:  # some names have none, and must not lose the start of another word
            digit = r"{}(?=\d)" if is_beginning else r"(?<=\d){}"
            choice = "|".join(digit.format(word) if word.isalpha() else word for word in words)
        optional = "?" if None in found else ""
        folder = "(.*/)?" if is_beginning and any("/" in name for name in names) else ""
        pattern = f"^{folder}(?:{choice}){optional}(.+)$" if is_beginning else f"^(.+?)(?:{choice}){optional}$"
        quoted = " or ".join(f"'{word}'" for word in sorted(words))
        yield Rule(pattern=pattern, words=f"by name without {quoted} at the {place}")


def rough_rules() -> Iterator[Rule]:
    """Yield the rules to propose, never to use unasked."""
    for pattern in _ROUGH:
        yield Rule(pattern=pattern, words="by a part of the name")


def derived_rules(sides: Sequence[Collection[str]]) -> Iterator[Rule]:
    """Yield rules that leave out what the names of a side have before and after the names of another.

    >>> next(derived_rules([["cat", "dog"], ["cat_v2", "dog_v2"], ["my-cat", "my-dog"]])).pattern
    '^(?:my-)?(.+?)(?:_v2)?$'
    """
    folded = [sorted(name.casefold() for name in side if len(name) <= _LONGEST) for side in sides]
    for plain in map(set, folded):
        around = [_around(plain, side) for side in folded]
        if all(around):
            yield from _leaving_out(around)
    yield from _leaving_out([_in_common(side) for side in folded])  # where no side has the plain names


def _leaving_out(around: Iterable[tuple[str, str] | None]) -> Iterator[Rule]:
    """Yield the rule that leaves out beginnings and ends, if there are any."""
    befores, afters = (
        "|".join(map(_escaped, sorted(filter(None, set(parts)), key=lambda part: (-len(part), part))))
        for parts in zip(*filter(None, around), strict=True)
    )
    if befores or afters:
        pattern = (f"^(?:{befores})?" if befores else "^") + "(.+?)" + (f"(?:{afters})?$" if afters else "$")
        yield Rule(pattern=pattern, words="by a part of the name")


def _around(plain: Collection[str], names: Sequence[str]) -> tuple[str, str] | None:
    """Return what most names have before and after one of the plain names; None if most contain none."""
    looked_at, found = names[:_LOOKED_AT], Counter[tuple[str, str]]()
    for name in looked_at:
        borders = [at for at in range(len(name) + 1) if _is_border(name, at)]
        found.update(
            (name[:first], name[last:])
            for first in borders
            for last in reversed(borders)
            if first < last and name[first:last] in plain
        )
    if not found:
        return None
    (around, count), *_ = found.most_common(1)
    return around if 2 * count > len(looked_at) else None


def _in_common(names: Sequence[str]) -> tuple[str, str]:
    """Return what all names begin and end with, up to a separator."""
    if len(names) < 2:
        return "", ""
    before = os.path.commonprefix(names)  # noqa: RUF071  # characters are meant
    after = os.path.commonprefix([name[::-1] for name in names])[::-1]  # noqa: RUF071
    begins, ends = re.match(r".*[\W_]", before, re.DOTALL), re.search(r"[\W_].*", after, re.DOTALL)
    return begins[0] if begins else "", ends[0] if ends else ""


def _is_border(name: str, at: int) -> bool:
    """Tell whether a part of a name may end here: not within a word, nor within a number."""
    if at in (0, len(name)):
        return True
    before, after = name[at - 1], name[at]
    return not (before.isalnum() and after.isalnum()) or before.isdigit() != after.isdigit()


def _escaped(text: str) -> str:
    """Return a pattern for just this text, as plain as it can be typed."""
    return re.escape(text).replace(r"\-", "-").replace(r"\ ", " ")


def one_to_one(sides: Sequence[Iterable[str | None]]) -> int:
    """Return how many keys stand on every side, or 0 if one stands twice on any; None is no key.

    >>> one_to_one([["a", "b"], ["b", "c"]]), one_to_one([["a", "a"], ["a"]])
    (1, 0)
    """
    counted = [Counter(key for key in side if key is not None) for side in sides]
    if any(count > 1 for counts in counted for count in counts.values()):
        return 0
    return len(set.intersection(*map(set, counted))) if counted else 0
