"""The order of the pictures of a folder that are a sequence: by number in their names, or by time."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

from lumen.batch.block import Block
from lumen.batch.job import Job, open_source
from lumen.codecs.taken import time_taken
from lumen.config import Steady
from lumen.errors import DecodeError

_DIGITS = re.compile(r"([0-9]+)")


def in_sequence(block: Block, order: Steady) -> Block:
    """Return a block with its pictures in the order of a sequence.

    Args:
        block: Pictures of one folder.
        order: By `name`, or by `time`: that of the EXIF data if all pictures have one, else that of the files.
    """
    if order == "off" or len(block.names) < 2:
        return block
    numbers = sorted(range(len(block.names)), key=lambda each: natural_key(block.names[each]))
    if order == "time":
        jobs = list(block.jobs())
        taken = [_taken(job) for job in jobs]
        written = [_written(job) for job in jobs]
        times = written if None in taken else taken
        numbers.sort(key=lambda each: times[each] or 0.0)  # stable: equal times stay in the order of the names
    names, results = ([listed[each] for each in numbers] for listed in (block.names, block.results))
    return replace(block, names=names, results=results)


def natural_key(name: str) -> tuple[tuple[str, int, str], ...]:
    """Return the key by which names are sorted as people number them: img2 before img10.

    >>> sorted(["img10.jpg", "img2.jpg", "img01.jpg"], key=natural_key)
    ['img01.jpg', 'img2.jpg', 'img10.jpg']
    """
    parts = _DIGITS.split(name)
    pairs = zip(parts[::2], [*parts[1::2], ""], strict=True)
    # The digits themselves last: img01 and img1 are two names, and one of them is always first.
    return tuple((text.casefold(), int(digits or -1), digits) for text, digits in pairs)


def _taken(job: Job) -> float | None:
    """Return when a picture was taken; None if it does not tell, or cannot be read, which reading it reports."""
    with suppress(DecodeError, OSError), open_source(job).stream as stream:
        return time_taken(stream)
    return None


def _written(job: Job) -> float:
    """Return the modification time of a file, in seconds; 0 if it is lost, which reading it reports."""
    with suppress(OSError):
        return job.source.stat().st_mtime_ns / 1e9
    return 0.0
