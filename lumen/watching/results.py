"""Files of results in the output folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lumen.errors import OutputError, PictureError
from lumen.files.atomic import make_folder, write_atomically, writing_atomically
from lumen.files.inputs import NotPlainError
from lumen.files.paths import is_folder


def write_result(target: Path, data: bytes, output: Path, modified_ns: int, extended: Mapping[str, bytes]) -> None:
    """Write a picture's result, in a folder that is made if it is missing; raises as `write_atomically` does."""
    with _in_folder(target.parent, output):
        write_atomically(target, data, modified_ns=modified_ns, extended=extended, below=output)


@contextmanager
def clip_writing(target: Path, output: Path, modified_ns: int, extended: Mapping[str, bytes]) -> Iterator[BinaryIO]:
    """Yield the file of a clip's result, which gets its name when the block ends; raises as `write_result` does."""
    with (
        _in_folder(target.parent, output),
        writing_atomically(target, modified_ns=modified_ns, extended=extended, below=output) as file,
    ):
        yield file


@contextmanager
def _in_folder(folder: Path, output: Path) -> Iterator[None]:
    """Make the output folder if it has gone; a link on the way is a fault of it, not of the picture."""
    if not is_folder(output):
        make_folder(output)
    try:
        yield
    except PictureError as error:
        if isinstance(link := error.__cause__, NotPlainError):
            reason = f"cannot write to {str(folder)!r}: {link.strerror}; put a folder or a mount there"
            raise OutputError(reason) from link
        raise
