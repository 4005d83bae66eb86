"""Animations: all frames, their times, and files that hold them again."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.codecs import animation
from lumen.codecs.codec import decode_picture, encode_picture
from lumen.errors import DecodeError, EncodeError, UnsupportedError
from lumen.imaging.formats import Format
from lumen.imaging.picture import Animation, Picture

KINDS: list[Format] = ["gif", "png", "webp", "avif"]
SIZE = (24, 16)
DURATIONS = [100, 40, 250, 100]


def drawn(count: int = 4, *, alpha: bool = False) -> list[Image.Image]:
    """Frames of a few colours, of which a part moves, and with `alpha` a hole that moves."""
    frames = []
    for number in range(count):
        pixels = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
        pixels[...] = (40, 90, 20, 255)
        pixels[4:8, 4 * number : 4 * number + 4] = (200, 30, 60, 255)
        if alpha:
            pixels[10:14, 4 * number : 4 * number + 4, 3] = 0
        frames.append(Image.fromarray(pixels).convert("RGBA" if alpha else "RGB"))
    return frames


def stored(kind: Format, frames: list[Image.Image], **options: Any) -> bytes:
    own: dict[Format, dict[str, Any]] = {"webp": {"lossless": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    if frames[0].mode == "RGBA":
        own["gif"] = {"disposal": 2}
    file = BytesIO()
    options = {"loop": 3, "duration": DURATIONS[: len(frames)], **own.get(kind, {}), **options}
    frames[0].save(file, kind.upper(), save_all=True, append_images=frames[1:], **options)
    return file.getvalue()


def read(data: bytes, **options: Any) -> Picture:
    return decode_picture(BytesIO(data), all_frames=True, **options)


def again(picture: Picture, kind: Format) -> Picture:
    data, warnings = encode_picture(picture, kind)
    assert warnings == ()
    return read(data)


def with_loops(data: bytes, *, repeats: bool = True, times: int = 1) -> bytes:
    """Return an AVIF animation with another number of loops, which Pillow does not write."""
    found = bytearray(data)
    header, edits = found.index(b"tkhd") + 4, found.index(b"elst") + 4
    assert found[header] == found[edits] == 1 and found[edits + 3] == 1
    found[edits + 3] = repeats
    duration = int.from_bytes(found[edits + 8 : edits + 16])
    found[header + 28 : header + 36] = (times * duration).to_bytes(8)
    return bytes(found)


@pytest.mark.parametrize(("changes", "loop"), [({"times": 3}, 3), ({"repeats": False}, 1), ({"times": 1}, 1)])
def test_loops_of_avif_are_kept_in_other_formats_and_said_in_avif(changes: dict[str, Any], loop: int) -> None:
    found = read(with_loops(stored("avif", drawn()), **changes))
    assert found.animation is not None and found.animation.loop == loop
    result = again(found, "webp")
    assert result.animation is not None and result.animation.loop == loop
    data, warnings = encode_picture(found, "avif")
    assert warnings == ("the animation plays without end: the number of its loops cannot be stored in avif",)
    result = read(data)
    assert result.animation is not None and result.animation.loop == 0


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_frames_come_and_go_with_their_times(kind: Format, alpha: bool) -> None:
    frames = drawn(alpha=alpha)
    found = read(stored(kind, frames))
    assert found.animation is not None and found.notes == ()
    assert (found.count, found.width, found.height) == (4, 24, 64)
    assert found.animation.durations_ms == tuple(DURATIONS)
    assert found.animation.loop == (0 if kind == "avif" else 3)
    assert (found.alpha is not None) == alpha
    for result in (found, again(found, kind)):
        assert result.animation == found.animation
        for number, frame in enumerate(frames):
            rows = slice(16 * number, 16 * number + 16)
            expected = np.asarray(frame.convert("RGBA")).astype(int)
            opaque = expected[..., 3] > 0
            off = abs(result.pixels[rows].astype(int) - expected[..., :3])[opaque]
            assert off.max() <= (12 if kind == "avif" else 0)
            assert result.alpha is None or ((result.alpha[rows] > 127) == opaque).all()
    assert found.first.animation is None and found.first.pixels.shape == (16, 24, 3)


def test_a_gif_without_a_loop_plays_once_again() -> None:
    found = read(stored("gif", drawn(), loop=None))
    assert found.animation is not None and found.animation.loop is None
    result = again(found, "gif")
    assert result.animation is not None and result.animation.loop is None


def test_colours_of_a_gif_are_those_of_each_frame() -> None:
    random = np.random.default_rng(0)
    frames = [Image.fromarray(random.integers(60 * n, 60 * n + 60, (16, 24, 3)).astype(np.uint8)) for n in range(3)]
    picture = Picture(
        pixels=np.concatenate([np.asarray(frame) for frame in frames]),
        format="gif",
        animation=Animation(durations_ms=(100, 100, 100), loop=0),
    )
    result = again(picture, "gif")
    assert np.abs(result.pixels.astype(int) - picture.pixels).mean() < 6  # one palette for all would be off by 15


def test_a_still_gif_stays_one() -> None:
    file = BytesIO()
    drawn(1)[0].save(file, "GIF", comment=b"of the camera")
    found = read(file.getvalue())
    assert found.count == 1 and found.animation is not None
    data, warnings = encode_picture(found, "gif")
    assert data.startswith(b"GIF89a") and warnings == ()
    assert read(data).metadata.comment == b"of the camera"


@pytest.mark.parametrize("kind", ["png", "webp", "avif"])
def test_other_still_pictures_are_as_ever(kind: Format) -> None:
    file = BytesIO()
    drawn(1)[0].save(file, kind.upper())
    assert read(file.getvalue()).animation is None


def test_the_still_picture_of_an_animated_png_is_none_of_its_frames() -> None:
    found = read(stored("png", drawn(), default_image=True, duration=DURATIONS[:3]))
    assert found.animation is not None and found.animation.has_still and found.count == 4
    result = again(found, "png")
    assert result.animation is not None and result.animation.has_still
    assert result.animation.durations_ms[1:] == found.animation.durations_ms[1:] == tuple(DURATIONS[:3])


def test_a_lossless_webp_stays_so_and_another_does_not() -> None:
    found = read(stored("webp", drawn()))
    assert found.lossless and again(found, "webp").lossless
    assert not again(read(stored("webp", drawn(), lossless=False, quality=80)), "webp").lossless


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "bmp"])
def test_formats_without_animations_are_refused(kind: Format) -> None:
    with pytest.raises(EncodeError, match=f"{kind} cannot hold an animation; choose --format png"):
        encode_picture(read(stored("gif", drawn())), kind)


def test_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stored("gif", drawn())
    with pytest.raises(UnsupportedError, match="raise the limit with --max-pixels"):
        read(data, max_pixels=4 * 24 * 16 - 1)
    monkeypatch.setattr(animation, "MOST_PIXELS", 4 * 24 * 16 - 1)
    with pytest.raises(UnsupportedError, match="in all its frames, got 0 in 4; take the first with --frames first"):
        read(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_breaks_off_is_damaged(kind: Format) -> None:
    data = stored(kind, drawn())
    with pytest.raises(DecodeError):
        read(data[: len(data) * 3 // 4])


def test_a_file_of_several_pages_is_no_animation() -> None:
    file, frames = BytesIO(), drawn()
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedError, match="expected one picture"):
        read(file.getvalue())
