"""Files of results in the output folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lumen.errors import OutputError
from lumen.files.atomic import make_folder, output_error, writing_atomically
from lumen.files.inputs import NotPlainError, hold_folder
from lumen.files.paths import is_folder


@contextmanager
def clip_writing(target: Path, output: Path, modified_ns: int, extended: Mapping[str, bytes]) -> Iterator[BinaryIO]:
    """Yield the file of a clip's result, which gets its name when the block ends; raises `OutputError`."""
    make_durable_folder(target.parent, output)
    with writing_atomically(target, modified_ns=modified_ns, extended=extended, below=output) as file:
        yield file


def make_durable_folder(folder: Path, output: Path) -> None:
    """Make a folder below the output folder, and flush names of folders to the disk: the input may be removed next.

    A link on the way is a fault of the output folder, not of the picture.
    """
    if not is_folder(output):
        make_folder(output)
    try:
        with hold_folder(folder, below=output, make=True):
            pass
    except NotPlainError as error:
        reason = f"cannot write to {str(folder)!r}: {error.strerror}; put a folder or a mount there"
        raise OutputError(reason) from error
    except OSError as error:
        raise output_error(folder, error) from error
