"""Error messages for recipes that msgspec refuses: the key, what was expected, and the value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct, ValidationError, structs

from lumen.errors import UsageError

KINDS = {
    "array": 'a list of names such as ["1", "2"]',
    "bool": "true or false",
    "float": "a finite number",
    "int": "a whole number",
    "str": "a text",
}
SHOWN = 200  # characters of a value
BOUNDS = {">=": "of at least", "<=": "of at most", "<": "below"}


def explained(error: ValidationError, kind: type[Struct], values: Mapping[str, Any]) -> UsageError:
    """Return what msgspec says, such as "Expected `int` >= 1 - at `$.data.batch`", as one line for people."""
    text, _, place = str(error).partition(" - at `$")
    key = place.strip(".`").partition("[")[0]  # a wrong item of a list is reported as the list
    if unknown := re.search("unknown field `(.*)`", text):
        return _unknown_key(kind, key, unknown[1])
    if not text.startswith(("Expected", "Invalid")):  # raised by a section itself
        return UsageError(f"recipe: {text}")
    value, declared = reduce(lambda table, part: table[part], key.split("."), values), _type_of(kind, key)
    if bound := re.fullmatch(r"Expected `\w+` (\S+) (\S+)", text):
        said = f"{key} {BOUNDS[bound[1]]} {bound[2].removesuffix('.0')}"
    elif get_origin(declared) is Literal:
        said = f"{key} out of {', '.join(get_args(declared))}"
    elif "`object`" in text:
        said = f"a table [{key}]"
    else:
        said = f"{key} to be {KINDS['array' if '[' in place else text.split('`')[1]]}"
    shown = repr(value)
    return UsageError(f"recipe: expected {said}, got {shown if len(shown) <= SHOWN else f'{shown[:SHOWN]}...'}")


def _unknown_key(kind: type[Struct], prefix: str, key: str) -> UsageError:
    """Return the error for an unknown key, with the most similar known one."""
    prefix = f"{prefix}." if prefix else ""
    known = sorted(field.name for field in structs.fields(_type_of(kind, prefix)))
    leaves = {leaf.rpartition(".")[2]: leaf for leaf in sorted(_leaves(kind, ""), reverse=True)}
    near = [prefix + name for name in difflib.get_close_matches(key, known, 1)]
    near += [leaves[name] for name in difflib.get_close_matches(key, leaves, 1, 0.9)]
    advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(prefix + name for name in known)}"
    return UsageError(f"expected a key of a recipe, got {prefix + key!r}; {advice}")


def _type_of(kind: Any, key: str) -> Any:
    """Return the declared type of a dotted key; for an empty key that of the whole."""
    for part in filter(None, key.split(".")):
        kind = next(field.type for field in structs.fields(kind) if field.name == part)
    return kind


def _leaves(kind: type[Struct], prefix: str) -> Iterator[str]:
    """Yield the dotted keys of all values."""
    for field in structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _leaves(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name
