"""Pairs and photographs: found, and decoded once into memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.errors import DataError, PictureError
from lumen.train.data.layouts import PairFiles, find_training_pairs, picture_files
from lumen.train.recipe.sections import Exposures

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Example:
    """A dark picture and what it should look like; the same array where it is good already.

    Attributes:
        name: Stem of the file.
        low: uint8 [H, W, 3].
        high: uint8 [H, W, 3].
        source: Which of the folders of a training it is from.
        scene: What it shows, where the data set says so.
        held_out: Whether the data set keeps it for validation.
        clean: Whether the dark picture has less noise than cameras leave in the dark.
    """

    name: str
    low: Pixels
    high: Pixels
    source: int = 0
    scene: str = ""
    held_out: bool = False
    clean: bool = False


def decode_all(files: Sequence[Path], longest_px: int = 0) -> list[Pixels]:
    """Decode pictures into uint8 [H, W, 3] arrays, as displayed; 16-bit ones are rounded to 8 bits.

    Args:
        files: What to decode; a file that is named twice is decoded once.
        longest_px: Larger pictures are reduced by a whole factor, with area means; 0 leaves them as they are.

    Raises:
        DataError: A file cannot be decoded; the message names it.
    """

    def decode(path: Path) -> Pixels:
        try:
            return _reduced(displayed_8bit(read_picture(path)), longest_px)
        except PictureError as error:
            raise DataError(f"{path}: {error}") from error

    once = list(dict.fromkeys(files))
    with ThreadPoolExecutor(2) as pool:
        decoded = dict(zip(once, pool.map(decode, once), strict=True))
    return [decoded[path] for path in files]


def _reduced(pixels: Pixels, longest_px: int) -> Pixels:
    factor = -(-max(pixels.shape[:2]) // longest_px) if longest_px else 1
    return pixels if factor == 1 else np.asarray(Image.fromarray(pixels).reduce(factor))


def load_pairs(
    root: Path,
    exclude: Sequence[str] = (),
    exposures: Exposures = "lowest",
    longest_px: int = 0,
    *,
    source: int = 0,
) -> list[Example]:
    """Read the pairs of a data set in any layout that `find_training_pairs` knows.

    A picture without a partner is left out, with a warning.

    Args:
        root: Folder of the data set.
        exclude: Names of pairs that are left out.
        exposures: Of a sequence of exposures, take the darkest picture or all.
        longest_px: Larger pictures are reduced until no side is longer; 0 leaves them as they are.
        source: Which of the folders of a training it is.

    Raises:
        DataError: The folder has no known layout, a picture cannot be decoded, or the sizes of a pair differ.
    """
    found = find_training_pairs(root)
    if found.alone:
        log.warning("%s: without a partner, left out: %s", root, name_some(found.alone))
    files = [pair for pair in found.pairs if pair.name not in exclude]
    if found.sequences and exposures == "lowest":
        files = _darkest(files)
    low = decode_all([pair.low for pair in files], longest_px)
    high = decode_all([pair.high for pair in files], longest_px)
    for pair, a, b in zip(files, low, high, strict=True):
        if a.shape != b.shape:
            raise DataError(
                f"pair {pair.name}: expected equal sizes, got {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            )
    return [
        Example(
            name=pair.name,
            low=a,
            high=b,
            source=source,
            scene=pair.scene,
            held_out=pair.held_out,
            clean=found.clean,
        )
        for pair, a, b in zip(files, low, high, strict=True)
    ]


def _darkest(files: Sequence[PairFiles]) -> list[PairFiles]:
    """Keep the darkest picture of every label."""
    best: dict[Path, tuple[float, PairFiles]] = {}
    for pair in files:
        level = _level(pair.low)
        if pair.high not in best or level < best[pair.high][0]:
            best[pair.high] = level, pair
    return [pair for _, pair in best.values()]


def _level(path: Path) -> float:
    """Return the mean level of a file, read as small as its format allows: sequences hold hundreds of large files."""
    try:
        with Image.open(path) as image:
            image.draft("L", (64, 64))
            return float(np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BOX)).mean())
    except (OSError, ValueError):  # what Pillow does not read, the decoders of lumen may
        return float(decode_all([path])[0].mean())


def load_photos(folders: Sequence[Path], longest_px: int = 0) -> list[Example]:
    """Read well-lit photographs; each is its own target, and its source is the number of its folder."""
    files = [(path, index) for index, folder in enumerate(folders) for path in picture_files(folder).values()]
    decoded = decode_all([path for path, _ in files], longest_px)
    return [
        Example(name=path.stem, low=pixels, high=pixels, source=index)
        for (path, index), pixels in zip(files, decoded, strict=True)
    ]


def name_some(names: Sequence[str], most: int = 12) -> str:
    """Return names for a message, the first ones of a long list.

    >>> name_some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
