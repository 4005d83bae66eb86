"""Files beside a picture that belong to it: XMP of photo managers, AAE of Apple's editor.

They are copied beside results by default: ratings, keywords and crops stand nowhere else, and whoever moves pictures by
a photo manager expects them to come along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from lumen.batch.job import Job
from lumen.errors import PictureError
from lumen.files.inputs import Identity, Input
from lumen.files.paths import exists
from lumen.imaging.formats import format_of
from lumen.text import printable

ENDINGS = (".xmp", ".XMP", ".aae", ".AAE")
MOST_BYTES = 16 << 20

Open = Callable[[Job], Input]


def copy_sidecars(
    job: Job, open_source: Open, put: Callable[[Job, bytes, Identity], None], *, replaces: bool
) -> Iterator[str]:
    """Copy the sidecars of a picture, and yield a warning for each that is not copied.

    `a.xmp` and `a.jpg.xmp` belong to `a.jpg`; they are called after the result. Those of camera raw files are left out:
    they say how to develop the raw data, and a result is developed.

    Args:
        job: The picture.
        open_source: Opens the source of a job, as links are followed or refused in this run.
        put: Writes a file for a job.
        replaces: Whether sidecars with other content that lie beside the result may be replaced.
    """
    for each, opened in _found(job, open_source):
        try:
            with opened.stream as stream:
                data = stream.read(MOST_BYTES + 1)
            _refuse(each, data, is_raw=format_of(job.source) == "raw", replaces=replaces)
            put(each, data, opened.identity)
        except (PictureError, OSError) as error:
            yield f"the sidecar {printable(each.source.name)} was left out: {error}"


def _refuse(sidecar: Job, data: bytes, *, is_raw: bool, replaces: bool) -> None:
    """Raise `PictureError` if a sidecar must not be copied."""
    if is_raw:
        raise PictureError("it says how to develop the raw data")
    if len(data) > MOST_BYTES:
        raise PictureError(f"it is larger than {MOST_BYTES >> 20} MiB")
    if not replaces and _is_other(sidecar.target, data):
        raise PictureError("another file is there already")


def is_sidecar(name: str) -> bool:
    """Tell whether a file may be a sidecar, by its name."""
    return name.endswith(ENDINGS)


def sidecar_names(name: str) -> Iterator[str]:
    """Yield the names that a sidecar of a picture may have.

    >>> list(sidecar_names("a.jpg"))[::4]
    ['a.jpg.xmp', 'a.xmp']
    """
    for base in (name, PurePath(name).stem):
        for ending in ENDINGS:
            yield base + ending


def _found(job: Job, open_source: Open) -> Iterator[tuple[Job, Input]]:
    """Yield the sidecars that there are, each once also on disks that ignore case."""
    seen = set[tuple[int, int]]()
    for source, target in zip(sidecar_names(job.source.name), sidecar_names(job.target.name), strict=True):
        each = replace(job, source=job.source.with_name(source), target=job.target.with_name(target))
        if not exists(each.source):
            continue
        with suppress(PictureError):  # a link or a pipe, or it has just gone
            opened = open_source(each)
            file = opened.identity[:2]
            if file in seen:
                opened.stream.close()
            else:
                seen.add(file)
                yield each, opened


def _is_other(path: Path, data: bytes) -> bool:
    """Tell whether a file of another content has a name, or something that is no file."""
    if not exists(path):
        return False
    try:
        is_plain = path.is_file() and not path.is_symlink()
        return not is_plain or path.stat().st_size != len(data) or path.read_bytes() != data
    except OSError:
        return True
