"""`--out better.jpg` with one picture: the result is that file, instead of a file in a folder of that name."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from lumen.config import BatchOptions
from lumen.enhance.names import result_name
from lumen.errors import UsageError
from lumen.files.paths import type_of, type_of_output
from lumen.imaging.clip_formats import CLIP_SUFFIXES, is_clip
from lumen.imaging.formats import CODECS, SUFFIXES
from lumen.text import printable

# A folder may have a dot in its name, such as `out.2024` or `v1.final`: only suffixes that nobody gives to one.
_DOCUMENTS = (
    ".doc",
    ".docx",
    ".odt",
    ".pdf",
    ".ppt",
    ".pptx",
    ".rtf",
    ".txt",
    ".xls",
    ".xlsx",
    ".csv",
    ".htm",
    ".html",
)
_OTHER_PICTURES = (".ai", ".eps", ".exr", ".heics", ".ico", ".j2k", ".jp2", ".psd", ".svg", ".xcf")
_SOUND_ARCHIVES = (
    ".mp3",
    ".wav",
    ".7z",
    ".gz",
    ".rar",
    ".tar",
    ".zip",
)
_NO_PICTURES = frozenset((*_DOCUMENTS, *_OTHER_PICTURES, *_SOUND_ARCHIVES, *CLIP_SUFFIXES))


def with_named_result(inputs: Sequence[Path], options: BatchOptions) -> BatchOptions:
    """Return options whose output is the folder around the result, if `--out` names a picture and one file is given.

    Args:
        inputs: All that is given.
        options: Options with what follows `--out` as their output.

    Raises:
        MissingExtraError: The package that writes the format is not installed.
        UsageError: Other options ask for another name, or it is that of a document or an archive, or of a clip for a
            picture or the other way round.
    """
    out = options.output
    if out is None or len(inputs) != 1 or type_of(inputs[0]) == stat.S_IFDIR:
        return options
    if is_clip(inputs[0]):
        return _with_named_clip(options, out)
    kind = type_of_output(out)
    if not kind and out.suffix.lower() in _NO_PICTURES:
        raise UsageError(
            f"expected a picture or a folder after --out, got {printable(out)}; use a suffix such as .jpg, or make the "
            "folder of that name first"
        )
    if kind == stat.S_IFDIR or out.suffix.lower() not in SUFFIXES:
        return options
    name = PurePath(out.name)
    if options.suffix:
        raise UsageError(
            f"--suffix cannot be combined with --out {printable(out)}, which is the whole name of the result"
        )
    if result_name(name, "", "same") != out.name:
        raise UsageError(
            f"expected --out with the suffix of a format that lumen writes, got {printable(out)}; use "
            f"{printable(result_name(name, '', 'same'))}"
        )
    if (wanted := result_name(name, "", options.format, frames=options.frames)) != out.name:
        raise UsageError(
            f"expected --out {printable(wanted)} with --format {options.format}, got {printable(out)}; leave one of "
            "the two out"
        )
    codec = CODECS[SUFFIXES[out.suffix.lower()]]
    if codec.package:
        codec.package.require(codec.label, "choose another suffix after --out")
    return replace(options, output=out.parent, result=out.name)


def _with_named_clip(options: BatchOptions, out: Path) -> BatchOptions:
    """Return options whose result is a clip of the name `out`, if that is one."""
    if type_of(out) == stat.S_IFDIR or out.suffix.lower() not in (*SUFFIXES, *_NO_PICTURES):
        return options
    if options.suffix:
        raise UsageError(
            f"--suffix cannot be combined with --out {printable(out)}, which is the whole name of the result"
        )
    wanted = result_name(PurePath(out.name), "", "same", options.video_codec) if is_clip(out) else f"{out.stem}.mp4"
    if wanted != out.name:
        codec = "" if options.video_codec == "auto" else f" with --video-codec {options.video_codec}"
        raise UsageError(
            f"expected --out with the suffix of a clip that lumen writes{codec}, got {printable(out)}; use "
            f"{printable(wanted)}"
        )
    return replace(options, output=out.parent, result=out.name)
