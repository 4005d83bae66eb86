"""Reads pages: their elements, and the pictures in data URLs."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

from PIL import Image


class Elements(HTMLParser):
    """The elements of a page; an unexpected closing tag is an error.

    Attributes:
        open: Elements that were not closed.
        found: All elements with their attributes, in order.
    """

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def opened(url: str) -> Image.Image:
    """Return the WebP picture of a data URL."""
    head, _, data = url.partition(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))
