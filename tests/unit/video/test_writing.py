"""What a result keeps of its clip, for each container and codec, without a process of its own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.config import VideoCodec
from lumen.errors import EncodeError, UnsupportedError
from lumen.video.facts import ClipFacts, Storing
from tests.support.clips import FRAMES, contents, frame_times, write_clip

av = pytest.importorskip("av")

QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def convert(source: Path, target: Path, **storing: Any) -> tuple[ClipFacts, list[str]]:
    """Write a clip again with twice the levels; return what it is, and what was lost."""
    from lumen.video.color import to_rgb
    from lumen.video.reading import Frames, look, open_clip
    from lumen.video.writing import Output

    with source.open("rb") as stream:
        facts = ClipFacts(**look(stream, 10**9, lambda: None))
        stream.seek(0)
        clip, video = open_clip(stream, 10**9, 1)
        with target.open("w+b") as file:
            output = Output(file, clip, video, facts, Storing(suffix=target.suffix, **storing))
            frames = Frames(video, facts)
            for packet in clip.demux():
                if packet.stream.index != video.index:
                    output.copy(packet)
                    continue
                for frame in frames.of(packet if packet.size else None):
                    pixels = to_rgb(frame, facts)
                    time = round(frame.pts * (frame.time_base or video.time_base) / video.time_base)
                    output.encode(np.minimum(pixels, np.iinfo(pixels.dtype).max // 2) * 2, time)
            output.close()
    return facts, output.lost


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {}),
        ("a.m4v", {}),
        ("a.mov", {"matrix": QUARTER}),
        ("a.mkv", {}),
        ("a.ts", {}),
        ("a.avi", {"times": frame_times(steady=True), "options": {"bf": "0"}}),
        ("a.mp4", {"times": [1000, 1001, 1100, 4000]}),
    ],
)
def test_all_but_the_light_is_kept(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    source = write_clip(tmp_path / name, **settings)
    (tmp_path / "out").mkdir()
    facts, lost = convert(source, tmp_path / "out" / name)
    before, after = contents(source), contents(tmp_path / "out" / name)
    assert lost == []
    assert facts.matrix == before["matrix"] == tuple(settings.get("matrix", ()))
    levels, brighter = before.pop("levels"), after.pop("levels")
    assert [each / level for each, level in zip(brighter, levels, strict=True)] == pytest.approx(
        [2.0] * len(levels), abs=0.15
    )
    for found in (before, after):
        found["tags"] = {key: value for key, value in found["tags"].items() if key in ("title", "creation_time")}
    if name in ("a.ts", "a.avi"):  # where the first frame lies depends on how the encoder reorders
        before["times"], after["times"] = (
            [time - found["times"][0] for time in found["times"]] for found in (before, after)
        )
        before["times"] = pytest.approx(before["times"])
    assert after == before
    assert before["sound"]


@pytest.mark.parametrize(
    ("codec", "suffix", "expected"),
    [
        ("auto", ".mkv", ("hevc", "yuv420p10le")),
        ("auto", ".mp4", ("hevc", "yuv420p10le")),
        ("hevc", ".ts", ("hevc", "yuv420p10le")),
        ("auto", ".avi", ("h264", "yuv420p10le")),
        ("h264", ".mkv", ("h264", "yuv420p")),
        ("av1", ".webm", ("libdav1d", "yuv420p10le")),
        ("ffv1", ".mkv", ("ffv1", "yuv420p10le")),
    ],
)
def test_deep_clips_stay_deep(codec: VideoCodec, suffix: str, expected: tuple[str, str], tmp_path: Path) -> None:
    times = frame_times(steady=True)
    source = write_clip(tmp_path / "a.mkv", codec="libx265", pix_fmt="yuv420p10le", times=times, sound=False)
    facts, lost = convert(source, tmp_path / f"b{suffix}", codec=codec)
    found = contents(tmp_path / f"b{suffix}")
    assert facts.is_deep
    assert (found["codec"], found["pix_fmt"]) == expected
    assert len(found["times"]) == FRAMES
    told = ["10 bits are stored as 8, as --video-codec h264 is; hevc keeps 10"] if codec == "h264" else []
    assert [line for line in lost if "bits" in line] == told


def test_lossless_frames_come_back_exactly(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", pix_fmt="bgr0", sound=False, level=60)
    convert(source, tmp_path / "b.mkv", codec="ffv1")
    with av.open(str(source)) as before, av.open(str(tmp_path / "b.mkv")) as after:
        pairs = list(zip(before.decode(video=0), after.decode(video=0), strict=True))
    assert len(pairs) == FRAMES
    for dark, bright in pairs:
        np.testing.assert_array_equal(bright.to_ndarray(format="rgb24"), 2 * dark.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_odd_sides_are_kept(codec: VideoCodec, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", codec="ffv1", size=(67, 65), sound=False)
    convert(source, tmp_path / "b.mkv", codec=codec)
    assert contents(tmp_path / "b.mkv")["size"] == (67, 65)


def test_a_lower_crf_takes_more_bytes(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mkv", sound=False)
    for crf in (10, 40):
        convert(source, tmp_path / f"{crf}.mkv", crf=crf)
    assert (tmp_path / "10.mkv").stat().st_size > 1.5 * (tmp_path / "40.mkv").stat().st_size


def test_stripped_metadata_leave_the_look(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mov", matrix=QUARTER)
    convert(source, tmp_path / "b.mov", strips=True)
    found = contents(tmp_path / "b.mov")
    assert "title" not in found["tags"]
    assert found["matrix"] == QUARTER
    assert found["aspect"] == contents(source)["aspect"]


def test_a_stream_that_the_container_cannot_hold_is_named(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4")
    _, lost = convert(source, tmp_path / "b.webm", codec="av1")
    assert lost == ["audio stream 1 (aac) is lost: .webm does not hold it"]  # and no tag is
    assert contents(tmp_path / "b.webm")["streams"] == ["video"]


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("a.mkv", []),
        ("a.mp4", ["LENS, SITE are lost: .mp4 does not hold them", "NOTE of video stream 0 (h264) is lost: .mp4 does"]),
        ("a.avi", ["LENS, creation_time, SITE are lost: .avi does not hold them", "NOTE of video stream 0 (h264) is"]),
    ],
)
def test_tags_that_the_container_cannot_hold_are_named(name: str, lost: list[str], tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mkv", sound=False, times=frame_times(steady=True))
    with av.open(str(plain)) as clip, av.open(str(tmp_path / "a.mkv"), "w") as tagged:
        tagged.metadata.update({**clip.metadata, "LENS": "50 mm", "SITE": "north"})
        video = tagged.add_stream_from_template(clip.streams.video[0])
        video.metadata.update({"NOTE": "dark", "language": "und", "HANDLER_NAME": "video"})
        tagged.set_chapters([])
        for packet in clip.demux():
            if packet.size:
                packet.stream = video
                tagged.mux(packet)
    (tmp_path / "out").mkdir()
    _, found = convert(tmp_path / "a.mkv", tmp_path / "out" / name)
    assert len(found) == len(lost)
    assert all(line.startswith(start) for line, start in zip(found, lost, strict=True))
    assert convert(tmp_path / "a.mkv", tmp_path / "out" / name, strips=True)[1] == []


def test_chapters_and_marks_of_streams_that_are_lost_are_named(tmp_path: Path) -> None:
    plain = write_clip(tmp_path / "plain.mkv", times=frame_times(steady=True))
    with av.open(str(plain)) as clip, av.open(str(tmp_path / "a.mkv"), "w") as marked:
        streams = {each.index: marked.add_stream_from_template(each) for each in clip.streams}
        streams[1].disposition = av.stream.Disposition.hearing_impaired
        marked.set_chapters(clip.chapters())
        for packet in clip.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                marked.mux(packet)
    (tmp_path / "out").mkdir()
    assert convert(tmp_path / "a.mkv", tmp_path / "out" / "a.mkv")[1] == []
    _, lost = convert(tmp_path / "a.mkv", tmp_path / "out" / "a.avi")
    assert lost == [
        "the mark 'for hard of hearing' of audio stream 1 (aac) is lost: .avi does not hold it",
        "1 chapter is lost: .avi does not hold it",
    ]


def test_amr_sound_in_large_packets_is_kept(tmp_path: Path) -> None:
    from lumen.video.writing import _parts

    frames = [bytes([mode << 3 | 4, *[seed] * (size - 1)]) for seed, (mode, size) in enumerate([(7, 32), (0, 13)] * 3)]
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + b"".join(frames))
    with av.open(str(tmp_path / "a.amr")) as sound:
        packet = av.Packet(b"".join(frames))
        packet.stream, packet.pts, packet.time_base = sound.streams.audio[0], 800, Fraction(1, 8000)
        parts = _parts(packet, "3gp")
        assert [bytes(each) for each in parts] == frames
        assert [each.pts for each in parts] == [800 + 160 * number for number in range(6)]
        assert list(_parts(packet, "matroska")) == [packet]


def test_a_packet_that_the_container_refuses_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lumen.video import writing

    def refuse(*_: object) -> None:
        raise av.error.PermissionError(1, "Operation not permitted")

    source = write_clip(tmp_path / "a.mp4", sound=False)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(writing.Output, "_write", refuse)
    with pytest.raises(EncodeError, match=r"\.mp4 refuses a packet: Operation not permitted; a name with \.mkv"):
        convert(source, tmp_path / "out" / "a.mp4")


def test_interlaced_frames_are_deinterlaced_one_for_two_fields(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", interlaced=True)
    facts, _ = convert(source, tmp_path / "b.mp4")
    assert facts.interlaced
    assert contents(tmp_path / "b.mp4")["times"] == contents(source)["times"]
    with av.open(str(tmp_path / "b.mp4")) as clip:
        assert not any(frame.interlaced_frame for frame in clip.decode(video=0))


def test_a_clip_that_changes_its_size_is_refused(tmp_path: Path) -> None:
    for number, size in enumerate(((64, 48), (96, 64))):
        write_clip(tmp_path / f"{number}.ts", size=size, sound=False)
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join((tmp_path / f"{number}.ts").read_bytes() for number in range(2)))
    with pytest.raises(UnsupportedError, match="changes its size from 64x48 to 96x64"):
        convert(both, tmp_path / "out.ts")
