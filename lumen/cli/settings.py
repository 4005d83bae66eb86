"""`--settings FILE`: defaults for the options of a command, and other options for some pictures.

The defaults take the way of click's own, as text, so each is checked as on the command line, which wins.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from lumen.cli.options import PATH, SIZES
from lumen.config import EnhanceOptions
from lumen.errors import UsageError
from lumen.text import printable

if TYPE_CHECKING:
    from lumen.enhance.picture_rules import PictureRule

Command = TypeVar("Command", bound=Callable[..., Any])

PICTURE, MATCH = "picture", "match"
PER_PICTURE = {field.name for field in fields(EnhanceOptions)}
COMMANDS = ("enhance", "watch")  # that may treat single pictures differently
FILE_BYTES = 1 << 22
# Beside those that may differ between pictures, what a further run of the same pictures is told again.
_REPEATED = [
    *("recursive", "follow_links", "include", "exclude", "format", "suffix", "sidecars"),
    *("model", "device", "precision"),
]

_META = "lumen.settings"


def settings_option(command: Command) -> Command:
    """Give a command the option `--settings`."""
    option = click.option(
        "--settings",
        metavar="FILE",
        type=PATH,
        is_eager=True,
        expose_value=False,
        callback=_take,
        help="Take defaults for these options from a TOML or JSON file; the command line wins.",
    )
    return option(command)


def rules_of(ctx: click.Context) -> list[PictureRule]:
    """Return which pictures the settings treat differently; what the command line says holds for all pictures."""
    from lumen.enhance.picture_rules import PictureRule

    rules: list[tuple[str, dict[str, Any]]] = ctx.meta.get(_META, [])
    typed = {name for name in PER_PICTURE if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    left = [(match, {name: value for name, value in found.items() if name not in typed}) for match, found in rules]
    return [PictureRule(match=match, changes=changes) for match, changes in left if changes]


def settings_given(ctx: click.Context) -> dict[str, Any]:
    """Return the options given to a command that decide how pictures look and which are taken, as such a file has them.

    What else a run was told, such as where results go and what is done with those that exist, is left out.
    """
    given = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
    names = {option.name: _long(option) for option in ctx.command.params if isinstance(option, click.Option)}
    found: dict[str, Any] = {}
    for name in (*PER_PICTURE, *_REPEATED):
        if name in ctx.params and ctx.get_parameter_source(name) in given:
            found[names[name]] = _as_json(name, ctx.params[name])
    rules = [
        {MATCH: rule.match, **{names[name]: _as_json(name, value) for name, value in rule.changes.items()}}
        for rule in rules_of(ctx)
    ]
    return found | ({PICTURE: rules} if rules else {})


def _as_json(name: str, value: object) -> object:
    if name == "tile_px" and value is None:
        return "auto"
    if isinstance(value, tuple):
        return [str(each) for each in value]
    return value if isinstance(value, bool | int | float) else str(value)


def _take(ctx: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Take the file as the defaults of the options that click parses next."""
    if path is None:
        return
    file = f"settings {printable(path)}"
    values = _read(path, file)
    options = {_long(each): each for each in ctx.command.params if isinstance(each, click.Option) and each.expose_value}
    pictures = values.pop(PICTURE, []) if ctx.command.name in COMMANDS else []
    named = _named(values, options, f"{file}: expected options of lumen {ctx.command.name}")
    if ctx.command.name in COMMANDS:
        _checked(ctx, {name: each for name, each in named.items() if each[0].name in PER_PICTURE}, file)
    ctx.default_map = {
        str(option.name): _typed(ctx, option, value, f"{file}: {name}")
        for name, (option, value) in named.items()
        if value is not False or option.secondary_opts  # false is the absence of a switch
    }
    ctx.meta[_META] = _rules(ctx, pictures, options, file)


def _rules(
    ctx: click.Context, pictures: object, options: Mapping[str, click.Option], file: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return the pattern and the changes of each `[[picture]]`."""
    if not isinstance(pictures, list) or not all(isinstance(each, dict) for each in pictures):
        raise UsageError(f"{file}: expected {PICTURE} to be a list of tables, each under [[{PICTURE}]]")
    allowed = {name: option for name, option in options.items() if option.name in PER_PICTURE}
    rules = []
    for number, table in enumerate(pictures, start=1):
        where = f"{file}: {PICTURE} {number}"
        values = dict(table)
        match = values.pop(MATCH, None)
        if not isinstance(match, str) or not match:
            raise UsageError(f'{where}: expected {MATCH} with a pattern such as "night/*.jpg", got {match!r}')
        for name in values:
            if (plain := _plain(name)) in options and plain not in allowed:
                raise UsageError(f"{where}: expected {name} outside of it: it holds for all pictures of a run")
        named = _named(values, allowed, f"{where}: expected options that may differ between pictures")
        rules.append((match, _checked(ctx, named, where)))
    return rules


def _checked(ctx: click.Context, named: Mapping[str, tuple[click.Option, object]], where: str) -> dict[str, Any]:
    """Return the values of options that may differ between pictures; raises `UsageError`."""
    values = {
        str(option.name): option.type_cast_value(ctx, _typed(ctx, option, value, f"{where}: {name}"))
        for name, (option, value) in named.items()
    }
    try:
        EnhanceOptions(**values)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return values


def _named(
    values: Mapping[str, object], options: Mapping[str, click.Option], expected: str
) -> dict[str, tuple[click.Option, object]]:
    """Return the option and value of each name; refuse unknown names, all at once, and those that stand twice."""
    found: dict[str, tuple[click.Option, object]] = {}
    for name, value in values.items():
        if (plain := _plain(name)) in options:
            if plain in found:
                raise UsageError(f"{expected} once each, got {plain} with - and with _")
            found[plain] = options[plain], value
    unknown = [_with_nearest(name, options) for name in values if _plain(name) not in options]
    if unknown:
        raise UsageError(f"{expected}, got {', '.join(unknown)}")
    return found


def _with_nearest(name: str, options: Iterable[str]) -> str:
    nearest = get_close_matches(_plain(name), list(options), n=1, cutoff=0.4)
    return f"{name!r} (nearest: {nearest[0]})" if nearest else repr(name)


def _typed(ctx: click.Context, option: click.Option, value: object, where: str) -> bool | str | tuple[str, ...]:
    """Return a value as it would be typed, checked by the type of its option; raises `UsageError`."""
    typed: bool | str | tuple[str, ...]
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: expected true or false, got {value!r}")
        typed = value
    elif option.multiple:
        typed = tuple(_text(each, where) for each in (value if isinstance(value, list) else [value]))
    else:
        typed = _text(value, where)
        is_size = isinstance(option.type, click.types.FuncParamType) and option.type.func in SIZES
        if is_size and isinstance(value, int) and value > 0:
            typed += "B"  # a number in a file is exact, as those that lumen writes itself
    try:
        option.type_cast_value(ctx, typed)
    except click.BadParameter as error:
        raise UsageError(f"{where}: {error.message}") from error
    return typed


def _text(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: expected text or a number, got {value!r}")
    return str(value)


def _plain(name: str) -> str:
    return name.replace("_", "-")


def _long(option: click.Option) -> str:
    return max(option.opts, key=len).removeprefix("--")


def _read(path: Path, file: str) -> dict[str, Any]:
    """Return the values of a file; raises `UsageError`."""
    from lumen.files.inputs import open_named

    kind = path.suffix.lower()
    if kind not in (".toml", ".json"):
        raise UsageError(f"{file}: expected a name that ends with .toml or .json")
    try:
        with open_named(path).stream as stream:
            data = stream.read(FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file}: cannot read it: {error.strerror or error}") from error
    if len(data) > FILE_BYTES:
        raise UsageError(f"{file}: expected at most {FILE_BYTES} bytes")
    try:
        found = _parsed(data.decode("utf-8-sig"), kind)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: expected {kind[1:].upper()}, got something else: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{file}: expected an object with the names of options, got {type(found).__name__}")
    return found


def _parsed(text: str, kind: str) -> object:
    if kind == ".toml":
        import tomllib

        return tomllib.loads(text)
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a name that stands twice, which TOML refuses too, raises `ValueError`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found
