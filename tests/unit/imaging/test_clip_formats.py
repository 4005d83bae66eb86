from __future__ import annotations

from pathlib import PurePath

import pytest

from lumen.config import VideoCodec
from lumen.imaging.clip_formats import CLIP_SUFFIXES, clip_suffix, is_clip
from lumen.imaging.formats import SUFFIXES


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.MP4", True), ("a/b.mkv", True), (PurePath("b.webm"), True), ("a.jpg", False), (".mp4", False), ("mp4", False)],
)
def test_clips_are_known_by_their_names(name: str | PurePath, expected: bool) -> None:
    assert is_clip(name) == expected


def test_no_suffix_is_that_of_a_picture_too() -> None:
    assert not CLIP_SUFFIXES & set(SUFFIXES)


@pytest.mark.parametrize(
    ("suffix", "codec", "expected"),
    [
        (".MOV", "auto", ".MOV"),
        (".mp4", "ffv1", ".mkv"),
        (".webm", "auto", ".mkv"),
        (".webm", "av1", ".webm"),
        (".avi", "hevc", ".mkv"),
        (".wmv", "h264", ".mkv"),
        (".ts", "av1", ".mkv"),
    ],
)
def test_a_result_keeps_the_container_that_holds_it(suffix: str, codec: VideoCodec, expected: str) -> None:
    assert clip_suffix(suffix, codec) == expected
