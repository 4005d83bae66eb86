"""Options: made from the fields of `lumen.config`, how their values are parsed, and those that commands share.

The dataclass states each default once. An option is named like the field it sets, so a command builds its
configuration from the values as they are: `options_of(EnhanceOptions, values)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from lumen.cli.values import FormatChoice, OnDisk, Place, parse_number
from lumen.config import (
    QUALITY_PASSES,
    BatchOptions,
    EnhanceOptions,
    OnSuccess,
    OutputFormat,
    Quality,
    ResultOptions,
    RuntimeOptions,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Command = TypeVar("Command", bound=Callable[..., Any])
Options = TypeVar("Options", bound="DataclassInstance")
Decorator = Callable[[Any], Any]

PATH = OnDisk()
PLACE = Place()

_types = cache(get_type_hints)
_PREFIXES = "kmgt"
_UNITS = {"": 1}
_UNITS |= {prefix: 1000**power for power, prefix in enumerate(_PREFIXES, 1)}
_UNITS |= {f"{prefix}i": 1024**power for power, prefix in enumerate(_PREFIXES, 1)}
_AMOUNT = re.compile(rf"(\d+(?:\.\d+)?)\s*([{_PREFIXES}]i?)?\s*(?:b|p|px)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(filter(None, _SECONDS))})?", re.IGNORECASE)


class BareOption(click.Option):
    """An option whose value may be left out: `--steady`, or `--steady=time`; what follows a space is never its value.

    Args:
        *arguments: As for `click.Option`.
        bare: The value of the option without one.
        **settings: As for `click.Option`.
    """

    def __init__(self, *arguments: Any, bare: str, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.bare = bare


def with_bare_values(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command with the values that were left out."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    bare = {name: each.bare for each in command.params if isinstance(each, BareOption) for name in each.opts}
    return [f"{each}={bare[each]}" if each in bare else each for each in arguments[:end]] + list(arguments[end:])


# From fields to options and back


def field_option(
    options: type, *spellings: str, show: Callable[[Any], object] | None = None, **settings: Any
) -> Decorator:
    """Return the option that sets a field of a dataclass, with the name, default and choices of the field.

    Args:
        options: The dataclass.
        spellings: As for `click.option`, with the name of the field if it differs.
        show: Returns the default as people would type it, if they type it in another form.
        settings: As for `click.option`; they override what the field says.
    """
    name = click.Option(spellings).name or ""
    default, hint = getattr(options, name), _types(options)[name]
    found: dict[str, Any] = {"default": show(default) if show else default, "show_default": default != ""}
    if default is False:
        found = {"is_flag": True}
    elif default == ():
        found = {"multiple": True}
    elif get_origin(hint) is Literal:
        found["type"] = click.Choice(get_args(hint), case_sensitive=False)
    elif hint is float and show is None:
        found |= {"type": parse_number, "metavar": "NUMBER", "default": f"{default:g}"}
    return click.option(*spellings, **(found | settings))


def options_of(kind: type[Options], values: Mapping[str, Any], **more: Any) -> Options:
    """Return a dataclass filled from the values of a command line; `more` overrides them, others are ignored.

    Raises:
        UsageError: The options contradict each other.
    """
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names} | more)


def given_options(ctx: click.Context) -> dict[str, str]:
    """Return the parameters of a command given on its line or by `--settings`, by name, with their long spelling."""
    given = (ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP)
    return {
        parameter.name: parameter.opts[-1]
        for parameter in ctx.command.params
        if parameter.name in ctx.params and ctx.get_parameter_source(parameter.name) in given
    }


# Parsing


def parse_amount(text: str) -> int:
    """Parse a positive number with an optional unit: powers of 1000 (k, M, G, T) or of 1024 (Ki, Mi, Gi, Ti).

    >>> parse_amount("512M"), parse_amount("2GiB")
    (512000000, 2147483648)
    """
    match = _AMOUNT.fullmatch(text.strip())
    number = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
    if number < 1:
        raise click.BadParameter(f"expected a number above 0 such as 512M or 2GiB, got {text!r}")
    return number


def amount_as_typed(number: int) -> str:
    """Return the text that `parse_amount` parses to `number`, in the largest unit that divides it.

    >>> amount_as_typed(512_000_000), amount_as_typed(1500)
    ('512M', '1500')
    """
    unit = next(unit for unit in ("T", "G", "M", "k", "") if number % _UNITS[unit.lower()] == 0)
    return f"{number // _UNITS[unit.lower()]}{unit}"


def parse_size(text: str) -> int:
    """Parse a positive number of bytes as `parse_amount` does; fewer than a million need a unit, if only `B`.

    Who types 5 means gigabytes.

    >>> parse_size("5GB"), parse_size("5B")
    (5000000000, 5)
    """
    return _with_unit(text, 10**6, "a size with a unit such as 5GB")


def parse_space(text: str) -> int:
    """Parse a number of bytes as `parse_size` does, or 0."""
    return 0 if text.strip() == "0" else parse_size(text)


def parse_pixels(text: str) -> int:
    """Parse a positive number of pixels as `parse_amount` does; fewer than a thousand need a unit, if only `px`."""
    return _with_unit(text, 1000, "a number of pixels with a unit such as 50MP")


def _with_unit(text: str, least: int, expected: str) -> int:
    number = parse_amount(text)
    if number < least and text.strip()[-1].isdecimal():
        raise click.BadParameter(f"expected {expected}, got {text.strip()}")
    return number


SIZES: Final = (parse_size, parse_space, parse_pixels)
"""Parsers of what is so large that people count it in thousands or more."""


def parse_span(text: str) -> float:
    """Parse a length of time to seconds: `2`, `2s`, `500ms`, `1.5m`, `1h` or `2d`.

    >>> parse_span("500ms"), parse_span("2m")
    (0.5, 120.0)
    """
    match = _SPAN.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[(match[2] or "").lower()] if match else 0.0
    if not seconds > 0:
        raise click.BadParameter(f"expected a length of time above 0 such as 2s, 500ms or 1m, got {text!r}")
    return seconds


def span_as_typed(seconds: float) -> str:
    """Return the text that `parse_span` parses to `seconds`.

    >>> span_as_typed(2.0)
    '2s'
    """
    return f"{seconds:g}s"


def parse_tile(text: str) -> int | None:
    """Parse a number of pixels; `auto` is None."""
    text = text.strip().lower()
    if text == "auto":
        return None
    if not text.isdecimal():
        raise click.BadParameter(f"expected auto or a number of pixels, got {text!r}")
    return int(text)


def parse_quality(text: str) -> Quality:
    """Parse a quality from 1 to 100, or `keep`."""
    text = text.strip().lower()
    if text == "keep":
        return "keep"
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise click.BadParameter(f"expected a number from 1 to 100, or keep, got {text!r}")
    return int(text)


def parse_shard(text: str) -> tuple[int, int]:
    """Parse the two numbers of `I/N`; `BatchOptions` checks that they fit together."""
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
    if match is None:
        raise click.BadParameter(f"expected I/N such as 1/4, got {text!r}")
    return int(match[1]), int(match[2])


def parse_on_success(text: str) -> tuple[OnSuccess, Path | None]:
    """Parse what to do with inputs, and the folder of `move:DIR`."""
    what, colon, folder = text.partition(":")
    if what == "move" and folder:
        return "move", Path(folder)
    if what in ("keep", "delete") and not colon:
        return ("keep" if what == "keep" else "delete"), None
    raise click.BadParameter(f"expected keep, move:DIR or delete, got {text!r}")


# Shared options


def json_option(what: str) -> Decorator:
    """Return `--json` for a command that writes one object per `what`."""
    return click.option("--json", "as_json", is_flag=True, help=f"Write one JSON object per {what}.")


_runtime = partial(field_option, RuntimeOptions)
_enhance = partial(field_option, EnhanceOptions)
_result = partial(field_option, ResultOptions)

device_option = _runtime("--device", metavar="auto|cpu|cuda[:N]|openvino[:CPU|GPU|NPU]", help="Where the model runs.")
precision_option = _runtime(
    "--precision",
    help="What 8-bit pictures are computed in; auto takes what the device is fastest in. bf16 needs OpenVINO; fp16 on "
    "an NVIDIA GPU or the CPU needs the half-precision file of the model.",
)

threads_option = _runtime(
    "--threads",
    type=click.IntRange(min=0),
    metavar="N",
    help="CPU threads that the models use together; 0 takes the cores that the process may use.",
)

engine_option = field_option(
    BatchOptions,
    "--engine",
    help="Work in this process, or on the Ray cluster at RAY_ADDRESS; without one, on this machine.",
)

_PICTURE_OPTIONS: tuple[Decorator, ...] = (
    _enhance("--ev", help="Brighter (+) or darker (-) than the automatic choice, in stops."),
    _enhance(
        "--shadows",
        help="How far dark parts are opened, such as a face before a window: 0 not at all, 1 as the model chooses, 2 "
        "twice as much. Models without a tone stage refuse it; lumen-s has one.",
    ),
    _enhance("--strength", help="Strength of the change: 0 keeps the input, 1 is the full result."),
    _enhance(
        "--quality-passes",
        type=click.Choice(QUALITY_PASSES),
        help="Average this many runs on mirrored and turned pictures; takes that many times longer.",
    ),
    _enhance(
        "--max-pixels",
        type=parse_pixels,
        show=amount_as_typed,
        metavar="SIZE",
        help="Refuse pictures with more pixels.",
    ),
    _enhance(
        "--frames",
        help="Refuse animations and files with several pages, take their first picture, or all frames of animations.",
    ),
    _result(
        "--format",
        type=FormatChoice(get_args(OutputFormat)),
        help="Format of the results; same stores camera raw as TIFF and GIF as PNG.",
    ),
    _result("--suffix", metavar="TEXT", help="Text added to the name of each result, before the extension."),
    _enhance(
        "--quality",
        type=parse_quality,
        metavar="keep|N",
        help="Quality of JPEG, WebP, AVIF, HEIC and JPEG XL, 1 to 100; keep is that of the input, or 95 for other "
        "formats.",
    ),
    _enhance(
        "--subsampling",
        help="Chroma subsampling of JPEG, AVIF and HEIC; keep is that of the input, auto too if its quality is kept, "
        "else 444 from quality 90 on.",
    ),
    _result("--video-codec", help="What clips are encoded with; auto is H.264, and HEVC for more than 8 bits."),
    _result(
        "--crf",
        type=click.IntRange(0, 51),
        metavar="N",
        help="Constant rate factor of clips: lower is better and larger.",
    ),
    _enhance(
        "--unchanged",
        help="Pictures whose change nobody would see: copy the file itself, encode it like others, or skip it.",
    ),
    _enhance("--metadata", help="Keep all metadata, or strip all but what decides how the picture looks."),
    _enhance("--allow-8bit", help="Allow storing 16-bit pictures in 8-bit formats."),
    _runtime("-m", "--model", metavar="MODEL", help="A bundled model (see `lumen models`) or an .onnx file."),
    _runtime(
        "--device",
        metavar="auto|cpu|cuda[:N,M]|openvino[:CPU|GPU|NPU]",
        help="Where the model runs; several GPUs share the pictures.",
    ),
    precision_option,
    threads_option,
    _enhance(
        "--max-memory",
        "max_memory_bytes",
        type=parse_size,
        metavar="SIZE",
        help="Working memory of the model, such as 500M.  [default: by free memory]",
    ),
    _enhance(
        "--tile",
        "tile_px",
        type=parse_tile,
        show=lambda px: px or "auto",
        metavar="auto|N",
        help="Largest window in pixels; does not change the result.",
    ),
)


def picture_options(command: Command) -> Command:
    """Give a command the options of a model and of each picture: those of `enhance` and `watch`."""
    for option in reversed(_PICTURE_OPTIONS):
        command = option(command)
    return command
