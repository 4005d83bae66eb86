"""Fills the templates of pages.

A page is one file that loads nothing from anywhere, which its own content policy forbids; previews are data URLs that
the script shows when a picture comes into view.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lumen import __version__
from lumen.text import printable


def render(template: str, **values: object) -> str:
    """Return a page as HTML; values are text, escaped, unless they are `Markup`.

    Args:
        template: Path of a template below the package, such as `evaluation/page.html`; it extends `pages/page.html`.
        values: What the template names.

    Raises:
        jinja2.UndefinedError: The template names something else.
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
    environment.policies["json.dumps_kwargs"] = {}  # keys stay in their order
    return environment


def _shown(value: object) -> object:
    """Return text on one line, whatever names and reasons hold."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> Markup:
    """Return the style or the script as it is: braces are not the template's there."""
    return Markup(files(__package__).joinpath(name).read_text(encoding="utf-8"))
