"""Fills the templates of pages.

A page runs no script and loads no style but its own, which its content policy names by their digests. Pictures are data
URLs, which the script shows when they come into view, or files beside the page.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lumen.text import printable
from lumen.version import __version__


def render(template: str, **values: object) -> str:
    """Return a page as HTML, from a template such as `evaluation/page.html` that extends `pages/page.html`.

    Values are escaped unless they are `Markup`.

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
    environment.globals |= {"asset": _asset, "digest": _digest, "version": __version__}
    environment.policies["json.dumps_kwargs"] = {}  # keep the order of keys
    return environment


def _shown(value: object) -> object:
    """Return text on one line without control characters, which file names may hold; anything else as it is."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> Markup:
    """Return a style or script below `lumen/` as it is; its braces are not those of a template."""
    return Markup(files("lumen").joinpath(name).read_text(encoding="utf-8"))


@cache
def _digest(name: str) -> Markup:
    """Return how a content policy names a style or script."""
    digest = hashlib.sha256(_asset(name).encode("utf-8")).digest()
    return Markup(f"'sha256-{base64.b64encode(digest).decode('ascii')}'")
