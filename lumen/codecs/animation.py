"""Animations: all frames of GIF, PNG, WebP and AVIF files, as they are shown, and the files of their results.

Pillow composes what a file stores of each frame with the frames before it. So every frame is whole here, and is stored
so that it looks the same whatever was there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageFile, PngImagePlugin, WebPImagePlugin

from lumen.codecs.avif_items import boxes_of, each_box
from lumen.codecs.interface import Encoding
from lumen.codecs.pillow_codecs import metadata_arguments, quiet
from lumen.errors import EncodeError, UnsupportedError
from lumen.imaging.formats import Format
from lumen.imaging.picture import Animation, Picture, Samples, check_size, first_of, gray_of

MOST_PIXELS: Final = 1 << 26  # of all frames, which are held at once: about a gigabyte with the result
OPAQUE = 128  # alpha from which a pixel of a GIF is opaque
_PLUGINS: Final[Mapping[Format, type[ImageFile.ImageFile]]] = {
    "gif": GifImagePlugin.GifImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}
ANIMATED: Final = frozenset(_PLUGINS)


def with_all_frames(picture: Picture, stream: BinaryIO, max_pixels: int) -> Picture:
    """Return a picture, the first frame of a file, with all frames of it, if there are several, or if it is a GIF.

    Args:
        picture: As it was decoded.
        stream: Its file.
        max_pixels: Animations with more pixels in all their frames are refused.

    Raises:
        UnsupportedError: There are too many, or they have more than 8 bits.
        Exception: As of a decoder: the file is damaged.
    """
    stream.seek(0)
    with quiet():
        image = _PLUGINS[picture.format](stream)
    with image:
        count = int(getattr(image, "n_frames", 1))
        if count == 1 and picture.format != "gif":
            return picture
        if picture.sample != "uint8":
            raise UnsupportedError(
                f"expected an animation of 8 bits, got {picture.bits or 16}; take the first with --frames first"
            )
        _check_all(count, picture, max_pixels)
        frames, durations = _frames(image, count)
        animation = Animation(
            durations_ms=durations,
            loop=image.info.get("loop") if picture.format != "avif" else _avif_loop(stream),
            has_still=bool(image.info.get("default_image")),
        )
    said = first_of(count, "an animation of {} frames", first=True)
    alpha = np.ascontiguousarray(frames[..., 3])
    return replace(
        picture,
        pixels=np.ascontiguousarray(frames[..., :3]),
        alpha=None if (alpha == 255).all() else alpha,
        animation=animation,
        notes=tuple(note for note in picture.notes if note not in said),
    )


def _avif_loop(stream: BinaryIO) -> int:
    """Return how often an AVIF file plays, which Pillow does not tell; 0 is without end, or unknown."""
    stream.seek(0)
    header = edits = b""
    with suppress(ValueError, KeyError):
        movie = next((box[8:] for kind, box in each_box(stream.read()) if kind == b"moov"), b"")
        track = next((boxes_of(box[8:]) for kind, box in each_box(movie) if kind == b"trak"), {})
        header, edits = track[b"tkhd"], boxes_of(track[b"edts"])[b"elst"]
    if len(edits) < 16 or len(header) < 36:
        return 0
    if not edits[3] & 1:
        return 1
    whole = header[28:36] if header[0] else header[20:24]
    part = edits[8:16] if edits[0] else edits[8:12]
    is_endless = whole == bytes([255]) * len(whole) or not any(part)
    return 0 if is_endless else -(-int.from_bytes(whole) // int.from_bytes(part))


def encode_animation(kind: Format, picture: Picture, encoding: Encoding) -> bytes:
    """Return the file of an animation: lossless in PNG, in GIF, but for its colours, and in WebP if the input was.

    Raises:
        EncodeError: The format holds no animations.
    """
    if kind not in ANIMATED:
        raise EncodeError(
            f"{kind} cannot hold an animation; choose --format png, webp or avif, or take its first picture with "
            "--frames first"
        )
    animation = picture.animation or Animation(durations_ms=(0,))
    images = _images(picture, palette=kind == "gif")
    shown = animation.durations_ms[1:] if animation.has_still and kind == "png" else animation.durations_ms
    options: dict[str, Any] = {"save_all": True, "append_images": images[1:], "duration": list(shown)}
    if animation.loop is not None:
        options["loop"] = animation.loop
    if kind == "png":
        options |= {"default_image": animation.has_still, "disposal": 0, "blend": 0}
        options["loop"] = 1 if animation.loop is None else animation.loop
    elif kind == "gif":
        options |= {"comment": picture.metadata.comment, "disposal": 2 if picture.alpha is not None else 1}
    elif kind == "webp":
        lossless = picture.lossless and picture.format == "webp"
        options |= {"lossless": lossless, "quality": 60 if lossless else encoding.quality, "exact": True}
    else:
        options |= {"quality": encoding.quality, "subsampling": encoding.chroma(picture, full=True)}
    metadata = {} if kind == "gif" else metadata_arguments(picture.metadata)
    if kind == "png":
        metadata.pop("xmp", None)  # a chunk of text, as in still pictures
    file = BytesIO()
    images[0].save(
        file, kind.upper(), **{name: value for name, value in options.items() if value is not None}, **metadata
    )
    return file.getvalue()


def _check_all(count: int, picture: Picture, max_pixels: int) -> None:
    pixels = count * picture.width * picture.height
    if pixels > MOST_PIXELS:
        raise UnsupportedError(
            f"expected an animation of {MOST_PIXELS / 1e6:.0f} megapixels in all its frames, got {pixels / 1e6:.0f} in "
            f"{count}; take the first with --frames first, or convert it to a clip"
        )
    check_size(picture.width, picture.height * count, max_pixels)


def _frames(image: ImageFile.ImageFile, count: int) -> tuple[Samples, tuple[int, ...]]:
    """Return all frames below each other, uint8 [N * H, W, 4], and how long each is shown, in milliseconds."""
    width, height = image.size
    frames = np.empty((count * height, width, 4), np.uint8)
    durations = []
    for number in range(count):
        image.seek(number)
        image.load()
        if image.size != (width, height):
            raise ValueError("its frames differ in size")
        frames[number * height : (number + 1) * height] = np.asarray(image.convert("RGBA"))
        durations.append(round(image.info.get("duration") or 0))
    return frames, tuple(durations)


def _images(picture: Picture, *, palette: bool) -> Sequence[Image.Image]:
    """Return the frames for Pillow."""
    color = gray_of(picture.pixels) if picture.gray and not palette and picture.alpha is None else picture.pixels
    planes = np.split(color if picture.alpha is None or palette else np.dstack([color, picture.alpha]), picture.count)
    if not palette:
        return [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    alphas = [None] * picture.count if picture.alpha is None else np.split(picture.alpha, picture.count)
    return [_in_palette(plane, alpha) for plane, alpha in zip(planes, alphas, strict=True)]


def _in_palette(pixels: Samples, alpha: Samples | None) -> Image.Image:
    """Return a frame with the 256 colours that suit it best, dithered; one of them is transparent if needed."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    colors = image.quantize(256 if alpha is None else 255)
    reduced = image.quantize(palette=colors, dither=Image.Dither.FLOYDSTEINBERG)
    if alpha is not None:
        reduced.paste(255, mask=Image.fromarray(np.where(alpha < OPAQUE, 255, 0).astype(np.uint8)))
        reduced.info["transparency"] = 255
    return reduced
