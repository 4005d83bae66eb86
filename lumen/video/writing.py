"""Write a clip with FFmpeg: its new frames, and everything else as it was. Runs in the process of FFmpeg only."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lumen.errors import EncodeError
from lumen.video.codecs import ENCODERS
from lumen.video.color import Pixels, from_rgb, is_rgb, tags
from lumen.video.facts import ClipFacts, Storing
from lumen.video.reading import line_of
from lumen.video.tags import OWN_TAGS, STALE_TAGS, kept_tags, lost_tags, named

_MUXERS: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".3gp": "3gp",
    ".avi": "avi",
    ".ts": "mpegts",
    ".mts": "mpegts",
    ".m2ts": "mpegts",
}
DEEPEST_BITS: Final = 10
_REORDERING_US: Final = 1_000_000  # frames are decoded less than that before they are shown
_AMR_S = Fraction(1, 50)
_MDTA = "com."  # keys of QuickTime's own kind of metadata


class Output:
    """A result that is being written. The methods may be called on several threads.

    Attributes:
        lost: What the result does not hold, one line each.
    """

    def __init__(self, file: Any, clip: InputContainer, video: VideoStream, facts: ClipFacts, storing: Storing) -> None:
        """Begin the container, with a stream for each stream of the clip that it can hold.

        Raises:
            EncodeError: The encoder refuses the frames.
        """
        self.lost: list[str] = []
        self._file = file
        self._clip = clip
        self._facts = facts
        self._suffix = PurePath("a" + storing.suffix).suffix
        self._storing = storing
        self._lock = threading.Lock()
        self._refused: dict[int, int] = {}
        self._muxer = muxer = _MUXERS[storing.suffix.lower()]
        self._codec, self._pix_fmt = _encoding(facts, storing, muxer, self.lost)
        self._out = av.open(file, "w", format=muxer, container_options=_muxer_options(muxer, clip))
        self._streams: dict[int, Stream] = {}
        try:
            for stream in clip.streams:
                if stream.index == video.index:
                    self._video = self._add_video(video, muxer)
                elif _is_of_chapters(stream, clip):
                    continue
                elif _holds(stream, muxer):
                    self._copy(stream)
                else:
                    self.lost.append(f"{named(stream)} is lost: {self._suffix} does not hold it")
            if not storing.strips:
                self._out.metadata.update(kept_tags(clip.metadata, OWN_TAGS))
            self._out.set_chapters(clip.chapters())
            self._out.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodeError(f"FFmpeg cannot begin the result: {line_of(error)}") from error

    def encode(self, pixels: Pixels, pts: int) -> None:
        """Encode a frame, RGB [H, W, 3], uint8 or uint16, with its time in units of the clip's video stream."""
        frame = from_rgb(pixels, self._facts, self._pix_fmt)
        frame.pts, frame.time_base = pts, self._time_base
        self._encode(frame)

    def copy(self, packet: Packet[Stream]) -> None:
        """Write a packet of another stream as it is."""
        stream = self._streams.get(packet.stream.index)
        if stream is None or (packet.dts is None and not packet.size):  # the last is how PyAV tells of the end
            return
        index = packet.stream.index
        for each in _parts(packet, self._muxer):
            each.stream = stream
            try:
                self._write(each)
            except av.error.FFmpegError:  # a fault of the disk is kept by the file, and raised in any case
                self._refused[index] = self._refused.get(index, 0) + 1

    def close(self) -> None:
        """Encode what is left, and end the container."""
        self._encode(None)
        with self._lock:
            self._out.close()
        for index, count in self._refused.items():
            self.lost.append(f"{count} packets of {named(self._streams[index])} are lost: the container refuses them")
        if not self._storing.strips:
            indices = {before: stream.index for before, stream in self._streams.items()}
            with suppress(av.error.FFmpegError):  # a result whose head it does not know again has its frames still
                self.lost += lost_tags(
                    self._file, self._clip, indices | {self._facts.video: self._video.index}, self._suffix
                )

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            for packet in self._video.encode_lazy(frame):
                packet.stream = self._video
                self._mux(packet)
        except (av.error.InvalidDataError, av.error.ArgumentError, av.error.ExternalError) as error:
            raise EncodeError(f"the frames cannot be encoded: {line_of(error)}") from error

    def _mux(self, packet: Packet[VideoStream]) -> None:
        try:
            self._write(packet)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as error:  # of this packet, or of one of another stream that waited for it
            raise EncodeError(f"{self._suffix} refuses a packet: {line_of(error)}; a name with .mkv may do") from error

    def _write(self, packet: Packet[Any]) -> None:
        with self._lock:
            self._out.mux_one(packet)

    def _add_video(self, video: VideoStream, muxer: str) -> VideoStream:
        facts, storing = self._facts, self._storing
        options = {} if self._codec == "ffv1" else {"crf": str(storing.crf)}
        if self._codec == "hevc":
            options["x265-params"] = "log-level=error"
        # AVI has no times of display, and a transport stream none below zero: frames that are reordered need both.
        if muxer == "avi" or (muxer == "mpegts" and (video.container.start_time or 0) < _REORDERING_US):
            options["bf"] = "0"
        stream = self._out.add_stream(ENCODERS[self._codec], rate=Fraction(facts.rate), options=options)
        context: VideoCodecContext = stream.codec_context
        context.width, context.height, context.pix_fmt = facts.width, facts.height, self._pix_fmt
        context.thread_count = storing.threads
        # The muxer of AVI counts frames: its unit is the length of one.
        unit = 1 / Fraction(facts.rate) if muxer == "avi" else video.time_base
        self._time_base = video.time_base
        context.time_base = stream.time_base = unit
        if facts.aspect:
            context.sample_aspect_ratio = Fraction(facts.aspect)
        context.color_range, context.colorspace = tags(facts, self._pix_fmt)
        context.color_primaries, context.color_trc = facts.primaries, facts.transfer
        if self._codec == "hevc" and muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the kind that Apple's players take
        if facts.matrix:
            stream.set_display_matrix(facts.matrix)
        if not storing.strips:
            stream.metadata.update(kept_tags(video.metadata, STALE_TAGS))
        stream.disposition = video.disposition
        return stream

    def _copy(self, stream: Stream) -> None:
        if isinstance(stream, AttachmentStream):
            self._out.add_attachment(stream.name or "", stream.mimetype or "", stream.data)
            return
        copied = self._out.add_stream_from_template(stream, opaque=True)
        if not self._storing.strips:
            copied.metadata.update(kept_tags(stream.metadata, OWN_TAGS))
        elif stream.language:
            copied.metadata["language"] = stream.language
        copied.disposition = stream.disposition
        self._streams[stream.index] = copied


def _encoding(facts: ClipFacts, storing: Storing, muxer: str, lost: list[str]) -> tuple[str, str]:
    """Return the codec and the layout of its frames; what that loses is added to `lost`."""
    codec, is_asked = storing.codec, storing.codec != "auto"
    if codec == "auto":
        codec = "hevc" if facts.is_deep and muxer not in ("3gp", "avi") else "h264"
    if codec == "ffv1":
        return codec, _lossless(facts)
    is_deep = facts.is_deep and not (is_asked and codec == "h264")
    if facts.is_deep and not is_deep:
        lost.append(f"{facts.bits} bits are stored as 8, as --video-codec h264 is; hevc keeps 10")
    elif facts.bits > DEEPEST_BITS:
        lost.append(f"{facts.bits} bits are stored as {DEEPEST_BITS}")
    # Chroma of half the size needs even sides, except in AV1.
    is_odd = codec != "av1" and (facts.width % 2 or facts.height % 2)
    return codec, ("yuv444p" if is_odd else "yuv420p") + ("10le" if is_deep else "")


def _lossless(facts: ClipFacts) -> str:
    """Return a layout of FFV1 for frames: their own, or else one that holds them."""
    held = [each.name for each in av.Codec(ENCODERS["ffv1"], "w").video_formats or ()]
    plain = facts.pix_fmt.replace("yuvj", "yuv").replace("yuva", "yuv")
    if plain in held:
        return plain
    if is_rgb(facts.pix_fmt):
        return "gbrp16le" if facts.is_deep else "bgr0"
    return "yuv444p16le" if facts.is_deep else "yuv444p"


def _muxer_options(muxer: str, clip: InputContainer) -> dict[str, str]:
    if muxer == "mpegts":
        return {"mpegts_copyts": "1"}
    if muxer in ("mp4", "mov") and any(key.startswith(_MDTA) for key in clip.metadata):
        return {"movflags": "use_metadata_tags"}
    return {}


def _holds(stream: Stream, muxer: str) -> bool:
    """Tell whether a container holds packets of a stream, by writing the head of an empty one."""
    if isinstance(stream, AttachmentStream):
        return muxer == "matroska"
    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError, TypeError, KeyError):
        return False
    return True


def _parts(packet: Packet[Stream], muxer: str) -> Sequence[Packet[Stream]]:
    """Return what a container takes of a packet: MP4 and its kin want each frame of AMR by itself."""
    context = packet.stream.codec_context
    if context is None or context.name != "amrnb" or muxer not in ("mp4", "mov", "3gp") or packet.pts is None:
        return [packet]
    splitter = av.CodecContext.create("amrnb", "r")
    parts: Sequence[Packet[Any]] = [*splitter.parse(bytes(packet)), *splitter.parse(None)]
    for number, part in enumerate(parts):
        part.time_base, part.duration = packet.time_base, round(_AMR_S / packet.time_base)
        part.pts = part.dts = packet.pts + number * part.duration
        part.is_keyframe = True
    return parts


def _is_of_chapters(stream: Stream, clip: InputContainer) -> bool:
    """Tell whether a stream holds nothing but the titles of the chapters, from which the muxer makes another one."""
    return stream.type == "data" and stream.discard == Discard.all and bool(clip.chapters())
