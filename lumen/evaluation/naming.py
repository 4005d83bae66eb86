"""Names that belong together though they differ: the beginnings and endings that data sets give their two sides."""

from __future__ import annotations

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
# Too rough to be used without being asked for: only proposed.
_ROUGH: Final = (r"([^/]+)$", r"(\d+)$", r"^(\d+)", r"^\D*(\d+)\D*$")


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


def one_to_one(sides: Sequence[Iterable[str | None]]) -> int:
    """Return how many keys stand on every side, or 0 if one stands twice on any; None is no key.

    >>> one_to_one([["a", "b"], ["b", "c"]]), one_to_one([["a", "a"], ["a"]])
    (1, 0)
    """
    counted = [Counter(key for key in side if key is not None) for side in sides]
    if any(count > 1 for counts in counted for count in counts.values()):
        return 0
    return len(set.intersection(*map(set, counted))) if counted else 0
