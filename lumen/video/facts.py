"""What a clip is, found out before any frame is enhanced, and how its result is stored."""

from __future__ import annotations

from dataclasses import dataclass

from lumen.config import ResultOptions, VideoCodec
from lumen.errors import DecodeError
from lumen.spec import SampleType


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """A clip, by all its packets and its first frames. Names and values are those of FFmpeg where it has any.

    Attributes:
        width: Columns, as stored.
        height: Rows, as stored.
        pix_fmt: Layout of its frames.
        bits: Bits per sample.
        frames: How many packets its video stream has, which is how many frames, or one for two fields.
        seconds: How long it lasts; 0 if unknown.
        rate: Frames per second on average, as a fraction such as `30000/1001`.
        video: Index of the video stream that is enhanced.
        interlaced: Whether its first frames hold two fields each.
        matrix: The nine numbers of the display matrix, which turns it for display; empty if it has none.
        aspect: Width by height of a pixel, as a fraction; empty if unknown.
        range: 1 for limited levels, 2 for full ones, 0 if it does not say.
        space: Matrix between YUV and RGB (ISO 23091-2).
        primaries: Colour primaries (ISO 23091-2).
        transfer: Transfer characteristics (ISO 23091-2).
        damaged: How many packets are marked as damaged.
        cut: Why it seems to be cut off at its end; empty if it does not.
        lost: What of it a result cannot hold, one line each.
    """

    width: int
    height: int
    pix_fmt: str
    bits: int
    frames: int
    seconds: float
    rate: str
    video: int
    interlaced: bool = False
    matrix: tuple[int, ...] = ()
    aspect: str = ""
    range: int = 0
    space: int = 2
    primaries: int = 2
    transfer: int = 2
    damaged: int = 0
    cut: str = ""
    lost: tuple[str, ...] = ()

    @property
    def is_deep(self) -> bool:
        """Whether its frames are enhanced in 16 bits."""
        return self.bits > 8

    @property
    def sample(self) -> SampleType:
        """Integer type in which its frames are enhanced."""
        return "uint16" if self.is_deep else "uint8"

    @property
    def frame_bytes(self) -> int:
        """Size of one frame as RGB of 8 or 16 bits."""
        return self.width * self.height * (6 if self.is_deep else 3)

    def refuse_damaged(self) -> None:
        """Refuse a clip that is known to be damaged or cut off.

        Raises:
            DecodeError: It is.
        """
        if self.cut:
            raise DecodeError(f"the clip is cut off at its end: {self.cut}")
        if self.damaged:
            raise DecodeError(f"{self.damaged} packets of the video are damaged")

    @property
    def megapixels(self) -> float:
        """Pixels of all its frames, in millions."""
        return self.width * self.height * self.frames / 1e6


@dataclass(frozen=True, kw_only=True)
class Storing:
    """How a result is stored.

    Attributes:
        suffix: Suffix of its file, which decides the container.
        codec: What its frames are encoded with; `auto` is H.264, and HEVC for more than 8 bits.
        crf: Constant rate factor.
        strips: Whether metadata are left out.
        threads: Threads of the encoder.
    """

    suffix: str
    codec: VideoCodec = ResultOptions.video_codec
    crf: int = ResultOptions.crf
    strips: bool = False
    threads: int = 1
