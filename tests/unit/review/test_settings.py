"""The settings on a page are those that `--settings` reads."""

from __future__ import annotations

import tomllib

from lumen.review.settings import settings_rules, settings_text

ASKED = {
    "settings": {
        "recursive": True,
        "strength": 0.9,
        "exclude": ['a"\\\n*', "caf\udce9", "\U0001f600\x7f"],
        "picture": [{"match": "night/*", "ev": 1.0, "unchanged": "encode"}],
    }
}


def test_any_text_is_toml() -> None:
    assert tomllib.loads(settings_text(ASKED)) == {
        "recursive": True,
        "strength": 0.9,
        "exclude": ['a"\\\n*', "caf?", "\U0001f600\x7f"],
    }


def test_rules_of_the_run_are_kept() -> None:
    assert settings_rules(ASKED) == [{"match": "night/*", "options": {"ev": "1.0", "unchanged": '"encode"'}}]


def test_a_record_of_a_former_version_has_none() -> None:
    assert settings_text({}) == "" and settings_rules({"settings": "x"}) == []
