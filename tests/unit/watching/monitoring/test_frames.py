"""The last pictures of each camera: how they are made, how many are kept, and that others cannot bring in theirs."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.files.marks import WATCH_PAGE_MARK
from lumen.imaging.picture import Metadata, Picture
from lumen.watching.monitoring import frames as module
from lumen.watching.monitoring.frames import MOST_FRAMES, MOST_OF_A_FOLDER, ROOM, SIDE_PX, LastFrames, pair_of
from tests.support.ledger import NOW
from tests.support.monitoring import frame_of

NOT_UTF_8 = os.fsdecode(b"caf\xe9/a.png")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["JPEG"])


def test_a_pair_is_upright_in_srgb_and_small() -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (900, 600, 3), np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    before = Picture(pixels=noise, format="png", metadata=Metadata(exif=exif.tobytes()[6:]))
    after = replace(before, pixels=noise // 2, alpha=noise[..., 0])
    pair = pair_of(before, after)
    assert pair is not None
    for data in pair:
        assert len(data) <= ROOM
        image = opened(data)
        assert image.width > image.height and image.width <= SIDE_PX
    levels = [float(np.asarray(opened(data)).mean()) for data in pair]
    assert levels[0] == pytest.approx(2 * levels[1], rel=0.1)


def test_a_picture_that_cannot_be_shown_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "to_srgb", fail)
    picture = Picture(pixels=np.zeros((4, 4, 3), np.uint8), format="png")
    assert pair_of(picture, picture) is None


def test_few_cameras_have_several_frames_and_many_have_one() -> None:
    frames = LastFrames()
    for number in range(10):
        frames.add(frame_of(f"cam1/{number}.png", NOW + number))
    assert [frame.path for frame in frames.shown()] == [f"cam1/{9 - n}.png" for n in range(MOST_OF_A_FOLDER)]
    for number in range(MOST_FRAMES):
        frames.add(frame_of(f"x{number:02}/a.png", NOW + 20 + number))
    shown = [frame.folder for frame in frames.shown()]
    assert shown == [f"x{number:02}" for number in range(MOST_FRAMES)]  # cam1 showed nothing for longest
    frames.add(frame_of("a.png", NOW + 99))
    assert [frame.folder for frame in frames.shown()][:2] == [".", "x01"]


def page_with(kept: Any, mark: bytes = WATCH_PAGE_MARK) -> bytes:
    text = kept if isinstance(kept, bytes) else json.dumps(kept).encode()
    return b'<html>%b<script type="application/json" id="frames">%b</script>' % (mark, text)


def restored(folder: Path, page: bytes) -> list[str]:
    (folder / "page.html").write_bytes(page)
    frames = LastFrames()
    frames.restore(folder / "page.html", "/out")
    return [frame.path for frame in frames.shown()]


def test_frames_come_back_from_the_page(tmp_path: Path) -> None:
    frames = LastFrames()
    for path in ("cam1/<b>.png", NOT_UTF_8, "a.png"):
        frames.add(frame_of(path))
    kept = frames.kept("/out")
    assert sorted(restored(tmp_path, page_with(kept))) == sorted(["cam1/<b>.png", NOT_UTF_8, "a.png"])
    (tmp_path / "page.html").unlink()
    again = LastFrames()
    again.restore(tmp_path / "page.html", "/out")
    assert again.shown() == []


ONE = frame_of("a.png").as_json()
LARGE = frame_of("a.png").as_json() | {"before": "data:image/jpeg;base64," + "AAAA" * ROOM}
FOREIGN = {
    "of another output": page_with({"output": "/other", "frames": [ONE]}),
    "no page of a watcher": page_with({"output": "/out", "frames": [ONE]}, b""),
    "no JSON": page_with(b"{"),
    "a list": page_with([]),
    "brackets": page_with(b"[" * 100_000),
    "no frames": page_with({"output": "/out", "frames": 7}),
    "no picture": page_with({"output": "/out", "frames": [ONE | {"before": "https://example.org/a.jpg"}]}),
    "markup": page_with({"output": "/out", "frames": [ONE | {"after": "data:image/svg+xml,<svg onload=alert(1)>"}]}),
    "a large picture": page_with({"output": "/out", "frames": [LARGE]}),
    "no time": page_with({"output": "/out", "frames": [ONE | {"at": "NaN"}]}),
}


@pytest.mark.parametrize("page", FOREIGN.values(), ids=FOREIGN)
def test_what_others_wrote_into_a_page_is_not_shown(tmp_path: Path, page: bytes) -> None:
    assert restored(tmp_path, page) == []
    assert restored(tmp_path, page_with({"output": "/out", "frames": [ONE]})) == ["a.png"]
