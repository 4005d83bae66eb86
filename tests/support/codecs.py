"""Reading files from memory, and what is skipped without an extra."""

from __future__ import annotations

import importlib.util
from io import BytesIO
from typing import Any

import pytest

from lumen.codecs.codec import decode_picture
from lumen.imaging.picture import Picture

needs_heif = pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="pillow-heif is not installed")
needs_jxl = pytest.mark.skipif(not importlib.util.find_spec("pylibjxl"), reason="pylibjxl is not installed")
needs_raw = pytest.mark.skipif(not importlib.util.find_spec("rawpy"), reason="rawpy is not installed")


def read(data: bytes, **options: Any) -> Picture:
    """Decode a file; the options are those of `decode_picture`."""
    return decode_picture(BytesIO(data), **options)


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every optional package."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
