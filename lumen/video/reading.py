"""Read a clip with FFmpeg: what it is, and its frames. Runs in the process of FFmpeg only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lumen.errors import DecodeError, UnsupportedError
from lumen.video.extent import promised_bytes
from lumen.video.facts import ClipFacts

# Containers only: a list of other files (HLS, concat) could make FFmpeg read any file of this machine, or ask a server.
_CONTAINERS = (
    "3g2,3gp,aiff,asf,avi,dv,flv,gxf,h264,hevc,ivf,m4a,m4v,matroska,mj2,mov,mp4,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,"
    "rm,swf,webm,wtv,y4m,yuv4mpegpipe"
)
_OPENING = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none", "enable_drefs": "0", "max_streams": "100"}
_ENCRYPTED = "the clip is encrypted; lumen reads none that need a key"
_ENCRYPTED_MARKS = (b"encv", b"pssh", b"drmi")  # boxes of MP4
_HEAD_BYTES = 1 << 20
_LOST_SIDES = {
    SideDataType.A53_CC: "closed captions inside the video, but for those in a stream of their own, are",
    SideDataType.SPHERICAL: "the tag of a 360-degree clip is",
    SideDataType.STEREO3D: "the tag of a stereoscopic clip is",
    SideDataType.ICC_PROFILE: "the colour profile (ICC) of the clip is",
}
_HDR = {16: "PQ", 18: "HLG"}
_SAMPLED = 8  # frames that are decoded to see what the clip is
_SLACK_BYTES = 16  # by which some writers are wrong
_LEAST_S, _LEAST_FRAMES, _LEAST_SHARE = 0.5, 2, 0.02  # no more is missing in sound clips


def open_clip(file: Any, max_pixels: int, threads: int) -> tuple[InputContainer, VideoStream]:
    """Open a clip and find the video stream that people see.

    Raises:
        DecodeError: FFmpeg cannot read it.
        UnsupportedError: It has no video stream, or is encrypted.
    """
    try:
        clip = av.open(
            file, "r", container_options=_OPENING, options={"max_pixels": str(max_pixels)}, metadata_errors="replace"
        )
    except (av.error.FFmpegError, ValueError) as error:
        _refuse_if_encrypted(file)
        raise DecodeError(f"FFmpeg cannot read the clip: {line_of(error)}") from error
    found = [each for each in clip.streams.video if not each.disposition & av.stream.Disposition.attached_pic]
    if not found:
        raise UnsupportedError("expected a clip, got a file without a video stream")
    video = found[0]
    if any("enc_key_id" in each.metadata for each in found):  # of WebM
        raise UnsupportedError(_ENCRYPTED)
    if video.codec_context is None:
        _refuse_if_encrypted(file)
    if video.codec_context is None or not video.codec_context.is_decoder:
        raise UnsupportedError(f"FFmpeg has no decoder for the video stream ({video.name or 'of an unknown codec'})")
    video.thread_type = "AUTO"
    video.codec_context.thread_count = threads
    return clip, video


def _refuse_if_encrypted(file: Any) -> None:
    """Raise `UnsupportedError` if the head of a file that FFmpeg cannot read says that it is encrypted."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if head[4:8] in (b"ftyp", b"styp", b"moov") and any(mark in head for mark in _ENCRYPTED_MARKS):
        raise UnsupportedError(_ENCRYPTED)


def look(file: Any, max_pixels: int, alive: Callable[[], None]) -> dict[str, Any]:
    """Return the fields of `ClipFacts`, from all packets of a clip and its first frames.

    Raises:
        DecodeError: It cannot be read, or no frame of it can be decoded.
        UnsupportedError: It is of a kind that lumen does not handle.
    """
    clip, video = open_clip(file, max_pixels, 1)
    frames: list[VideoFrame] = []
    packets = damaged = 0
    ends, fault = {0.0}, ""
    try:
        for packet in clip.demux():
            alive()
            if packet.pts is not None and packet.time_base and packet.size:
                ends.add(max(ends.pop(), float((packet.pts + (packet.duration or 0)) * packet.time_base)))
            if packet.has_sidedata("encryption_info"):
                raise UnsupportedError(_ENCRYPTED)
            if packet.stream.index != video.index:
                continue
            packets += packet.size > 0 or packet.dts is not None
            damaged += packet.is_corrupt
            if len(frames) < _SAMPLED:
                with suppress(av.error.FFmpegError):
                    frames += video.codec_context.decode(packet)
    except av.error.FFmpegError as error:
        fault = line_of(error)
    if len(frames) < _SAMPLED:
        with suppress(av.error.FFmpegError):
            frames += video.codec_context.decode(None)
    if not packets:
        raise DecodeError(f"the video stream has no frames{': ' if fault else ''}{fault}")
    if not frames:
        raise DecodeError("no frame of the video stream can be decoded")
    _refuse(frames[0], video, max_pixels)
    cut = fault or _cut(clip, video, packets, ends.pop()) or _missing(file)
    return asdict(_facts(video, frames, packets, damaged=damaged, cut=cut, seconds=(clip.duration or 0) / 1e6))


def _refuse(frame: VideoFrame, video: VideoStream, max_pixels: int) -> None:
    transfer = _HDR.get(int(frame.color_trc)) or _HDR.get(int(video.codec_context.color_trc))
    if transfer:
        raise UnsupportedError(
            f"the clip is for HDR screens ({transfer}), which lumen does not handle; convert it to an "
            "ordinary one first"
        )
    if frame.width * frame.height > max_pixels:
        raise UnsupportedError(
            f"expected at most {max_pixels / 1e6:g} megapixels a frame, got {frame.width}x{frame.height}; raise the "
            "limit with --max-pixels"
        )


def _cut(clip: InputContainer, video: VideoStream, packets: int, end: float) -> str:
    """Return why a clip seems to be cut off."""
    if video.frames - packets > max(_LEAST_FRAMES, _LEAST_SHARE * video.frames):
        return f"{packets} of its {video.frames} frames are there"
    promised = (clip.duration or 0) / 1e6 + max(0.0, (clip.start_time or 0) / 1e6)
    if packets and clip.format.name != "mpegts" and promised - end > max(_LEAST_S, _LEAST_SHARE * promised):
        return f"it should last {promised:.1f} s and ends after {end:.1f} s"
    return ""


def _missing(file: Any) -> str:
    """Return what a file lacks of the bytes that its container names."""
    promised, found = promised_bytes(file), file.seek(0, os.SEEK_END)
    return f"{found} of its {promised} bytes are there" if found + _SLACK_BYTES < promised else ""


def _facts(video: VideoStream, frames: list[VideoFrame], packets: int, **more: Any) -> ClipFacts:
    frame, context = frames[0], video.codec_context
    sides, lost = _side_data(frame), list[str]()
    matrix = sides.get(SideDataType.DISPLAYMATRIX)
    if matrix is None and frame.rotation:
        lost.append("the rotation of the clip is lost")
    lost += [f"{what} lost" for kind, what in _LOST_SIDES.items() if sides.get(kind) is not None]
    if any(component.is_alpha for component in frame.format.components):
        lost.append("the transparency of the clip is lost")
    aspect = video.sample_aspect_ratio or context.sample_aspect_ratio
    is_full = frame.format.name.startswith("yuvj")
    return ClipFacts(
        width=frame.width,
        height=frame.height,
        pix_fmt=frame.format.name,
        bits=max(component.bits for component in frame.format.components),
        frames=packets,
        rate=str(video.average_rate or video.guessed_rate or Fraction(25)),
        video=video.index,
        interlaced=any(each.interlaced_frame for each in frames),
        matrix=() if matrix is None else tuple(int(value) for value in np.frombuffer(bytes(matrix), np.int32)),
        aspect="" if not aspect else str(aspect),
        range=2 if is_full else int(frame.color_range),
        space=int(frame.colorspace),
        primaries=int(frame.color_primaries),
        transfer=int(frame.color_trc),
        lost=tuple(lost),
        **more,
    )


def _side_data(frame: VideoFrame) -> dict[SideDataType, Any]:
    """Return what a frame has beside its pixels; nothing if there is a kind among it that PyAV does not know."""
    try:
        return {each: frame.side_data.get(each) for each in SideDataType}
    except ValueError:
        return {}


class Frames:
    """Decodes the frames of a clip in order.

    Attributes:
        damaged: How many packets could not be decoded, or frames are marked as damaged.
        is_interlaced: Whether frames of two fields were among them, which were deinterlaced.
    """

    def __init__(self, video: VideoStream, facts: ClipFacts) -> None:
        """Take the stream, and what `look` found out."""
        self.damaged = 0
        self._video = video
        self._facts = facts
        self._graph: Graph | None = None
        self.is_interlaced = facts.interlaced

    def of(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        """Yield the frames that a packet completes, deinterlaced; None is the end."""
        if packet is not None and packet.is_corrupt:
            self.damaged += 1
        try:
            frames = self._video.codec_context.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            frames = []
        for frame in frames:
            self._check(frame)
            self.damaged += bool(frame.is_corrupt and not (packet is not None and packet.is_corrupt))
            yield from self._progressive(frame)
        if packet is None and self._graph is not None:
            self._graph.vpush(None)
            yield from self._pulled(self._graph)

    def _check(self, frame: VideoFrame) -> None:
        facts = self._facts
        if (frame.width, frame.height) != (facts.width, facts.height):
            raise UnsupportedError(
                f"the clip changes its size from {facts.width}x{facts.height} to {frame.width}x{frame.height}; cut it "
                "into clips of one size each"
            )

    def _progressive(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        self.is_interlaced |= frame.interlaced_frame
        if not self.is_interlaced:
            yield frame
            return
        if self._graph is None:
            self._graph = _deinterlacer(frame, self._video)
        self._graph.vpush(frame)
        yield from self._pulled(self._graph)

    @staticmethod
    def _pulled(graph: Graph) -> Iterator[VideoFrame]:
        while True:
            try:
                yield graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _deinterlacer(frame: VideoFrame, video: VideoStream) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        template=None, width=frame.width, height=frame.height, format=frame.format, time_base=video.time_base
    )
    # One frame for two fields, as many as before; frames that are not interlaced pass as they are.
    yadif = graph.add("yadif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(yadif)
    yadif.link_to(sink)
    graph.configure()
    return graph


def line_of(error: BaseException) -> str:
    """Return what FFmpeg says of an error."""
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(str(said).split()) or type(error).__name__
