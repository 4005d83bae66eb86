"""JPEG files that are damaged, or look as if they were, made of sound ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from tests.support.files import saved

# A photograph in small: smooth, with detail everywhere, so that every block takes many bytes.
_noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
PHOTO = Image.fromarray(_noise).resize((640, 480), Image.Resampling.BICUBIC)
BLACK = Image.new("RGB", (1600, 1200))


def photo(**options: object) -> bytes:
    """Return a JPEG file of some 100 kB; the options are Pillow's."""
    return saved(PHOTO, "JPEG", **({"quality": 90} | options))


def zeros_to_the_end(data: bytes) -> bytes:
    return data[: len(data) // 3] + bytes(len(data) - len(data) // 3 - 2) + data[-2:]


def piece_missing(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + data[at + 3000 :]


def zeros_within(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes(4096) + data[at + 4096 :]


def foreign_bytes(data: bytes) -> bytes:
    """Replace a part by a part of another picture; random bytes would hold markers, which no decoder overlooks."""
    at = len(data) // 2
    other = saved(PHOTO.rotate(180), "JPEG", quality=50)
    piece = re.sub(rb"\xff[^\x00]", b"\x12\x34", other[1000:5096])
    return data[:at] + piece + data[at + 4096 :]


def end_of_samples_only(data: bytes) -> bytes:
    """Cut the file and end it properly, as a repair tool does."""
    return data[: len(data) * 2 // 3] + b"\xff\xd9"


DAMAGES: tuple[Callable[[bytes], bytes], ...] = (
    zeros_to_the_end,
    piece_missing,
    zeros_within,
    foreign_bytes,
    end_of_samples_only,
)


def stray(data: bytes, marker: int, extra: bytes) -> bytes:
    """Put bytes before every marker of a kind."""
    mark = bytes([0xFF, marker])
    return data.replace(mark, extra + mark)


def pieces(data: bytes, rounds: int) -> Iterator[bytes]:
    """Yield the file again and again, each time with 4 KiB of zeros elsewhere."""
    rng = random.Random(0)
    start = data.index(b"\xff\xda") + 20
    for _ in range(rounds):
        at = rng.randrange(start, len(data) - 4100)
        yield data[:at] + bytes(4096) + data[at + 4096 :]
