"""The settings of a run as TOML, to which a page adds what was chosen: the format of `--settings`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

PICTURE, MATCH = "picture", "match"


def settings_text(asked: Mapping[str, Any]) -> str:
    """Return the options of a run as lines of TOML, so that the next one only differs in what was chosen.

    Args:
        asked: The first line of its record.
    """
    settings = asked.get("settings")
    if not isinstance(settings, Mapping):
        return ""
    return "\n".join(f"{name} = {toml_value(value)}" for name, value in settings.items() if name != PICTURE)


def settings_rules(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules for single pictures that a run had: `match`, and values of TOML by the names of options."""
    settings = asked.get("settings")
    rules = settings.get(PICTURE, ()) if isinstance(settings, Mapping) else ()
    return [
        {MATCH: str(rule[MATCH]), "options": {name: toml_value(each) for name, each in rule.items() if name != MATCH}}
        for rule in rules
        if MATCH in rule
    ]


def toml_value(value: object) -> str:
    """Return a value of JSON as TOML; what TOML cannot hold of a text becomes `?`, as in patterns.

    >>> toml_value(["a", 0.5, True])
    '["a", 0.5, true]'
    """
    return json.dumps(_without_surrogates(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return re.sub(r"[\ud800-\udfff]", "?", value)
    if isinstance(value, list | tuple):
        return [_without_surrogates(each) for each in value]
    return value
