"""Fills the templates of pages.

A page is one file that loads nothing else: its own content policy forbids it. Pictures are data URLs, which the script
shows when they come into view.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lumen.text import printable
from lumen.version import __version__


def render(template: str, **values: object) -> str:
    """Return a page as HTML. Values are escaped unless they are `Markup`.

    Args:
        template: Path of a template below `lumen/`, such as `evaluation/page.html`, that extends `pages/page.html`.
        values: Values for the names in the template.

    Raises:
        jinja2.UndefinedError: A name in the template has no value.
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lumen", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"asset": _asset, "version": __version__}
    environment.policies["json.dumps_kwargs"] = {}  # keep the order of keys
    return environment


def _shown(value: object) -> object:
    """Return text on one line without control characters, which file names may hold; anything else as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> Markup:
    """Return the style or script as it is; its braces are not those of a template."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))
