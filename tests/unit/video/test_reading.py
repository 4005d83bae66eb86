"""What clips are, and why some are refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pytest

from lumen.errors import DecodeError, UnsupportedError
from lumen.video.facts import ClipFacts
from tests.support.clips import FRAMES, frame_times, write_clip

av = pytest.importorskip("av")


def look(data: bytes | Path, max_pixels: int = 10**9) -> ClipFacts:
    """Look at a clip."""
    from lumen.video.reading import look as look_at

    return ClipFacts(
        **look_at(io.BytesIO(data if isinstance(data, bytes) else data.read_bytes()), max_pixels, lambda: None)
    )


def test_what_a_clip_is(tmp_path: Path) -> None:
    facts = look(write_clip(tmp_path / "a.mp4"))
    assert (facts.width, facts.height, facts.bits, facts.frames) == (64, 48, 8, FRAMES)
    assert (facts.range, facts.space, facts.primaries, facts.transfer, facts.aspect) == (1, 1, 1, 1, "4/3")
    assert not facts.interlaced
    assert not facts.cut
    assert facts.damaged == 0


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_by_name(transfer: int, name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", codec="libx265", pix_fmt="yuv420p10le", transfer=transfer, sound=False)
    with pytest.raises(UnsupportedError, match=rf"for HDR screens \({name}\)"):
        look(clip)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "FFmpeg cannot read the clip"),
        (bytes(4096), "FFmpeg cannot read the clip"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "FFmpeg cannot read the clip"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "FFmpeg cannot read the clip"),
    ],
)
def test_what_is_no_clip_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        look(data)


def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as clip, av.open(str(tmp_path / "b.mp4"), "w") as sound:
        copied = sound.add_stream_from_template(clip.streams.audio[0])
        for packet in clip.demux(audio=0):
            if packet.size:
                packet.stream = copied
                sound.mux(packet)
    with pytest.raises(UnsupportedError, match="without a video stream"):
        look(tmp_path / "b.mp4")


def test_a_clip_without_frames_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", container_options={"movflags": "empty_moov"}) as clip:
        video = clip.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        clip.start_encoding()
    with pytest.raises(DecodeError, match="the video stream has no frames"):
        look(path)


def test_an_encrypted_clip_says_so(tmp_path: Path) -> None:
    data = write_clip(tmp_path / "a.mp4", sound=False).read_bytes().replace(b"avc1", b"encv")
    with pytest.raises(UnsupportedError, match="encrypted"):
        look(data)


def test_a_frame_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"at most 0\.001 megapixels a frame, got 64x48"):
        look(write_clip(tmp_path / "a.mp4"), max_pixels=1000)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_a_clip_that_ends_too_early_says_so(name: str, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / name, times=frame_times(60, steady=True), sound=False, options={"g": "4"})
    assert not look(clip).cut
    data = clip.read_bytes()
    facts = look(data[: len(data) // 2])
    assert facts.cut
    assert 0 < facts.frames < 60
    with pytest.raises(DecodeError, match="cut off at its end"):
        facts.refuse_damaged()


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4"])
def test_a_clip_of_which_little_is_missing_says_so(name: str, tmp_path: Path) -> None:
    times = frame_times(20, steady=True)
    clip = write_clip(tmp_path / name, times=times, sound=False, options={"bf": "0"})
    if name == "a.mp4":  # with its index at its start, as for the web: what is missing shows nowhere else
        clip = clip.rename(tmp_path / "plain.mp4")
        with av.open(str(clip)) as source, av.open(str(tmp_path / name), "w", options={"movflags": "faststart"}) as web:
            video = web.add_stream_from_template(source.streams.video[0])
            for packet in source.demux():
                if packet.size:
                    packet.stream = video
                    web.mux(packet)
    data = (tmp_path / name).read_bytes()
    assert not look(data).cut
    assert look(data[:-30]).cut == f"{len(data) - 30} of its {len(data)} bytes are there"


def test_what_lies_beside_the_pixels_and_is_lost_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from av.sidedata.sidedata import Type

    found = {Type.SPHERICAL: b"", Type.ICC_PROFILE: b"", Type.AFD: b""}
    monkeypatch.setattr("lumen.video.reading._side_data", lambda _: found)
    lost = look(write_clip(tmp_path / "a.mp4", sound=False)).lost
    assert lost == ("the tag of a 360-degree clip is lost", "the colour profile (ICC) of the clip is lost")


def test_a_kind_of_side_data_that_pyav_does_not_know_is_passed_over() -> None:
    class Newer:
        @property
        def side_data(self) -> None:
            raise ValueError("29 is not a valid Type")

    from lumen.video.reading import _side_data

    assert _side_data(cast(Any, Newer())) == {}
