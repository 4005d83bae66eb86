"""Small clips, made with PyAV, and what is in a clip, as PyAV sees it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT, FRAMES = 64, 48, 8
UNIT = Fraction(1, 1000)


def frame_times(count: int = FRAMES, *, steady: bool = False) -> list[int]:
    """Return times in milliseconds; unless `steady`, of a variable frame rate."""
    return [40 * number + (0 if steady else 7 * (number % 3)) for number in range(count)]


def write_clip(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times: Sequence[int] | None = None,
    level: int = 20,
    swing: float = 0.0,
    sound: bool = True,
    matrix: Sequence[int] = (),
    transfer: int = 1,
    interlaced: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip of noise around a level, with tags, a chapter, colour tags and oblong pixels; return its path.

    The level of every other frame is higher by `swing`, a factor.
    """
    import av

    rng, (width, height) = np.random.default_rng(0), size
    with av.open(str(path), "w") as clip:
        clip.metadata.update({"title": "night", "creation_time": "2020-01-02T03:04:05.000000Z"})
        quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        video = clip.add_stream(codec, rate=25, options={**quiet, **(options or {})})
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        context = video.codec_context
        context.time_base = Fraction(1, 25) if path.suffix == ".avi" else UNIT
        context.sample_aspect_ratio = Fraction(4, 3)
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, transfer
        if interlaced:
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
        if matrix:
            video.set_display_matrix(matrix)
        audio = clip.add_stream("aac", rate=16000, layout="mono") if sound else None
        clip.set_chapters([{"id": 1, "start": 0, "end": 200, "time_base": UNIT, "metadata": {"title": "one"}}])
        is_deep = pix_fmt.endswith("10le")
        for number, time in enumerate(times if times is not None else frame_times()):
            noise = rng.integers(0, 2 * level, (height, width, 3), np.uint8)
            pixels = (noise * (1 + swing * (number % 2))).astype(np.uint8)
            deep = pixels.astype(np.uint16) * np.uint16(257)
            frame = av.VideoFrame.from_ndarray(deep, "rgb48le") if is_deep else av.VideoFrame.from_ndarray(pixels)
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = (time // 40 if path.suffix == ".avi" else time), context.time_base
            clip.mux(video.encode(frame))
        if audio is not None:
            for number in range(5):
                tone = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (1, 1024)).astype(np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts, tone.time_base = 16000, number * 1024, Fraction(1, 16000)
                clip.mux(audio.encode(tone))
            clip.mux(audio.encode(None))
        clip.mux(video.encode(None))
    return path


def contents(path: Path) -> dict[str, Any]:
    """Return what a clip holds: frames and their times in seconds, sound packets, colours, tags and the rest."""
    import av

    with av.open(str(path)) as clip:
        video = clip.streams.video[0]
        context = video.codec_context
        sound = [bytes(packet) for stream in clip.streams.audio for packet in clip.demux(stream) if packet.size]
        clip.seek(0)
        frames = list(clip.decode(video))
        side = frames[0].side_data.get("DISPLAYMATRIX")
        return {
            "codec": context.name,
            "pix_fmt": context.pix_fmt,
            "size": (context.width, context.height),
            "times": [round(float(frame.pts * frame.time_base), 3) for frame in frames],
            "sound": sound,
            "colors": (
                int(context.color_range),
                int(context.colorspace),
                int(context.color_primaries),
                int(context.color_trc),
            ),
            "aspect": context.sample_aspect_ratio,
            "matrix": () if side is None else tuple(np.frombuffer(bytes(side), np.int32).tolist()),
            "chapters": [chapter["metadata"].get("title") for chapter in clip.chapters()],
            "tags": dict(clip.metadata),
            "levels": [float(frame.to_ndarray(format="rgb24").mean()) for frame in frames],
            "streams": [stream.type for stream in clip.streams],
        }
