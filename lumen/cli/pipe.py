"""One picture from stdin or a file to stdout."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import BinaryIO

import click

from lumen.cli.streams import own_stdout
from lumen.config import EnhanceOptions, OutputFormat, RuntimeOptions
from lumen.enhance.file_io import encode_result, read_source
from lumen.enhance.names import result_name
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.unchanged import is_left
from lumen.errors import DecodeError, Exit, OutputError, PictureError, UsageError, reason_of
from lumen.files.atomic import output_error
from lumen.runtime.open import ModelSet
from lumen.text import printable

STDIN = Path("-")
BYTES_PER_PX = 16  # no format needs more, even uncompressed
METADATA_BYTES = 256 << 20

log = logging.getLogger(__name__)


def enhance_to_stdout(
    source: Path, runtime: RuntimeOptions, options: EnhanceOptions, kind: OutputFormat = "same"
) -> Exit:
    """Enhance one picture, a file or `-` for stdin, write its file and nothing else to stdout; return the exit code.

    Raises:
        UsageError: stdin or stdout is a terminal, or there might be no picture to write.
        UnavailableError: The model or the device cannot be used.
        OutputError: stdout, or the folder for temporary files, cannot be written.
    """
    if options.unchanged == "skip":
        raise UsageError("--unchanged skip cannot be combined with a picture for stdout; use copy or encode")
    if sys.stdout.isatty():
        raise UsageError("expected stdout to go to a file or a program, got a terminal; write > FILE")
    if source == STDIN and sys.stdin.isatty():
        raise UsageError("expected a picture on stdin, got a terminal; write < FILE")
    with own_stdout() as stdout:
        models = ModelSet(runtime)
        models.for_sample("uint8")  # a missing model is not the fault of the picture
        try:
            with _as_file(source, options.max_pixels) as path:
                target = Path(result_name(source, "", kind, frames=options.frames))
                picture = read_source(path, options, target)
                enhanced = enhance_picture(picture, models, options)
                warnings: tuple[str, ...] = ()
                if is_left(picture, enhanced, source, target, options):
                    data = path.read_bytes()
                else:
                    data, warnings = encode_result(enhanced, source, target, options)
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
        with TemporaryDirectory(prefix="lumen-") as folder:
            path = Path(folder, "picture")
            with path.open("wb") as file:
                _copy(sys.stdin.buffer, file, METADATA_BYTES + max_pixels * BYTES_PER_PX)
            yield path
    except OSError as error:
        raise output_error(Path(gettempdir(), "the copy of stdin"), error) from error


def _copy(stdin: BinaryIO, file: BinaryIO, limit: int) -> None:
    copied = 0
    while chunk := stdin.read(1 << 20):
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
