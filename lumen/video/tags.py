"""Which tags a result shall have, and which of them it does not hold. In the process of FFmpeg only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from lumen.text import counted

# What FFmpeg's own muxers write, or what was true of the former frames alone.
OWN_TAGS: Final = ("encoder", "major_brand", "minor_version", "compatible_brands")
STALE_TAGS: Final = ("bps", "duration", "number_of_", "_statistics_", "rotate", "vendor_id", "encoder")
_OF_A_KIND: Final = ("handler_name", "duration", "language-", "id3v2_priv")  # say nothing of this clip
_MEANT: Final = {  # what players go by, in their words
    Disposition.forced: "forced",
    Disposition.hearing_impaired: "for hard of hearing",
    Disposition.visual_impaired: "audio description",
    Disposition.comment: "commentary",
}
_MOST: Final = 8  # names in one line; files may have thousands


def kept_tags(metadata: Mapping[str, str], without: Sequence[str]) -> dict[str, str]:
    """Return the tags whose names do not begin like one of those."""
    return {key: value for key, value in metadata.items() if not key.lower().startswith(tuple(without))}


def lost_tags(file: Any, clip: InputContainer, streams: Mapping[int, int], suffix: str) -> Iterator[str]:
    """Yield what tags of a clip its result does not hold, one line each: muxers leave out what they do not know.

    Args:
        file: The result, which is complete.
        clip: The clip.
        streams: The index in the result of each stream of the clip that it has, by the index in the clip.
        suffix: Of the result.
    """
    file.seek(0)
    with av.open(file, "r", metadata_errors="replace") as result:
        yield from _said("", _missing(clip.metadata, result.metadata), suffix)
        there = {stream.index: stream for stream in result.streams}
        for before, after in streams.items():
            if after not in there:  # without packets
                continue
            stream, copied = clip.streams[before], there[after]
            # Streams of MP4 repeat when the clip was made; what became of that was said above.
            found = _missing(stream.metadata, {**copied.metadata, **clip.metadata})
            lost = stream.disposition & ~copied.disposition
            found += [f"the mark '{name}'" for each, name in _MEANT.items() if each & lost]
            yield from _said(f" of {named(stream)}", found, suffix)
        if (count := len(clip.chapters())) > len(result.chapters()):
            yield from _said("", [counted(count, "chapter")], suffix, count)


def named(stream: Stream) -> str:
    """Return a name of a stream for people, such as `subtitle stream 2 (mov_text)`."""
    codec = "" if stream.codec_context is None else f" ({stream.codec_context.name})"
    return f"{stream.type} stream {stream.index}{codec}"


def _missing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    wanted = kept_tags(before, (*OWN_TAGS, *STALE_TAGS, *_OF_A_KIND))
    held = {key.lower() for key in after}
    return [key for key, value in wanted.items() if value not in ("", "und") and key.lower() not in held]


def _said(of: str, names: Sequence[str], suffix: str, count: int = 0) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    verb, them = ("is", "it") if (count or len(names)) == 1 else ("are", "them")
    shown = ", ".join(name[:40] for name in names[:_MOST])
    return [f"{shown}{more}{of} {verb} lost: {suffix} does not hold {them}"]
