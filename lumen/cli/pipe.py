"""One picture from stdin or a file to stdout."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from lumen.cli.streams import own_stdout
from lumen.config import EnhanceOptions, OutputFormat, RuntimeOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.names import result_name
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import DecodeError, Exit, OutputError, PictureError, UsageError, reason_of
from lumen.files.atomic import output_error
from lumen.runtime.open import ModelSet
from lumen.text import printable

STDIN = Path("-")
CHUNK_BYTES = 1 << 20
BYTES_PER_PX = 16  # no format needs more, even uncompressed
METADATA_BYTES = 256 << 20

log = logging.getLogger(__name__)


def enhance_to_stdout(
    source: Path, runtime: RuntimeOptions, options: EnhanceOptions, kind: OutputFormat = "same"
) -> Exit:
    """Enhance one picture and write its file to stdout, and nothing else.

    Args:
        source: A file, or `-` for stdin.
        runtime: How the model is run.
        options: What is done to the picture.
        kind: Format of the result; `same` is that of the input.

    Returns:
        The exit code.

    Raises:
        UsageError: stdin or stdout is a terminal.
        UnavailableError: The model or the device cannot be used.
        OutputError: stdout, or the folder for temporary files, cannot be written.
    """
    if sys.stdout.isatty():
        raise UsageError("expected stdout to go to a file or a program, got a terminal; write > FILE")
    if source == STDIN and sys.stdin.isatty():
        raise UsageError("expected a picture on stdin, got a terminal; write < FILE")
    with own_stdout() as stdout:
        models = ModelSet(runtime)
        models.for_sample("uint8")  # a missing model is not the fault of the picture
        try:
            with _as_file(source, options.max_pixels) as path:
                picture = enhance_picture(read_source(path, options), models, options)
                target = Path(result_name(source, "", kind))
                data, warnings = encode_result(picture, source, target, options)
        except (PictureError, MemoryError) as error:
            name = "stdin" if source == STDIN else printable(source)
            click.echo(f"failed: {name}: {printable(reason_of(error))}", err=True)
            return Exit.ALL_FAILED
        for warning in warnings:
            log.warning("%s", warning)
        _write(stdout, data)
    return Exit.OK


@contextmanager
def _as_file(source: Path, max_pixels: int) -> Iterator[Path]:
    """Yield a file to decode: decoders seek, which stdin cannot."""
    if source != STDIN:
        yield source
        return
    try:
        number, name = tempfile.mkstemp(prefix="lumen-")
        try:
            with os.fdopen(number, "wb") as file:
                _copy(sys.stdin.buffer, file, METADATA_BYTES + max_pixels * BYTES_PER_PX)
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise output_error(Path(tempfile.gettempdir(), "the copy of stdin"), error) from error


def _copy(stdin: BinaryIO, file: BinaryIO, limit: int) -> None:
    copied = 0
    while chunk := stdin.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > limit:
            raise DecodeError(f"expected at most {limit} bytes: no picture within --max-pixels needs more")
        file.write(chunk)


def _write(stdout: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[stdout.write(view) or 0 :]
    except BrokenPipeError as error:
        raise OutputError("stdout was closed before the picture was written") from error
    except OSError as error:
        raise output_error(Path("stdout"), error) from error
