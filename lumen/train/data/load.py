"""Pairs and photographs, decoded once into memory."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.errors import DataError, PictureError
from lumen.files.inputs import open_named
from lumen.train.data.layouts import PairFiles, find_training_pairs, picture_files
from lumen.train.recipe.sections import Exposures

log = logging.getLogger(__name__)

# What Pillow was seen to raise on files of other kinds and damaged ones.
_NOT_FOR_PILLOW = (OSError, ValueError, SyntaxError, LookupError, TypeError, struct.error, Image.DecompressionBombError)

Pixels = NDArray[np.uint8]

CROP_STEP = 8  # px; networks take crops that are multiples of it


@dataclass(frozen=True, kw_only=True)
class Example:
    """A dark picture and its reference, uint8 [H, W, 3]; for a well-lit photograph, the same array twice.

    Attributes:
        source: Index of the folder that it is from.
        scene: Name of the scene, if the data set has one.
        held_out: Whether the data set keeps it for validation.
        clean: Whether the dark picture has less noise than a camera's in the dark.
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

    A file listed twice is decoded once. Pictures larger than `longest_px` are reduced by a whole factor, by area means;
    0 keeps all sizes.

    Raises:
        DataError: Files cannot be decoded, or are damaged; the message names all of them.
    """
    decoded = _decoded(files, longest_px)
    refuse_bad(list(dict.fromkeys(str(each) for each in decoded if isinstance(each, DataError))))
    return [each for each in decoded if not isinstance(each, DataError)]


def refuse_bad(bad: Sequence[str]) -> None:
    """Refuse to go on with bad pairs or pictures, each described in a few words.

    Raises:
        DataError: There are any; the message names all of them.
    """
    if bad:
        raise DataError(f"{'; '.join(bad)} ({len(bad)} bad in all; mend or remove them, or add --skip-bad)")


def _tell_bad(found: Sequence[str], bad: list[str] | None) -> None:
    """Add what is bad to a list, or refuse it where there is none."""
    if bad is None:
        refuse_bad(found)
    else:
        bad += found


def _decoded(files: Sequence[Path], longest_px: int) -> list[Pixels | DataError]:
    """Decode pictures as `decode_all` does; a file that cannot be decoded gives the error."""

    def decode(path: Path) -> Pixels | DataError:
        try:
            picture = read_picture(path)
            picture.refuse_damaged()  # what a decoder puts in gaps is not to be learnt
            return _reduced(displayed_8bit(picture), longest_px)
        except PictureError as error:
            return DataError(f"{path}: {error}")

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
    crop_px: int = 0,
    bad: list[str] | None = None,
) -> list[Example]:
    """Read the pairs of a data set in any layout that `find_training_pairs` knows.

    A picture without a partner is left out, with a warning.

    Args:
        root: Folder of the data set.
        exclude: Names of pairs to leave out.
        exposures: Which pictures of an exposure sequence to take: the `lowest` (darkest) or `all`.
        longest_px: Larger pictures are reduced until no side is longer; 0 keeps all sizes.
        crop_px: Side of the crops that will be cut, which must fit.
        bad: Receives what is wrong with each pair that is left out: pictures that cannot be decoded, sizes that differ
            or are smaller than a crop. By default such pairs are refused.

    Raises:
        DataError: The folder has no known layout, or there are bad pairs; the message names all of them.
    """
    found = find_training_pairs(root)
    if found.alone:
        log.warning("%s: left out, because they have no partner: %s", root, name_some(found.alone))
    files = [pair for pair in found.pairs if pair.name not in exclude]
    if found.sequences and exposures == "lowest":
        files = _darkest(files)
    low = _decoded([pair.low for pair in files], longest_px)
    high = _decoded([pair.high for pair in files], longest_px)
    found_bad: list[str] = []
    examples = []
    for pair, a, b in zip(files, low, high, strict=True):
        if isinstance(a, DataError) or isinstance(b, DataError):
            wrong = " and ".join(str(side) for side in (a, b) if isinstance(side, DataError))
            found_bad.append(f"pair {pair.name}: {wrong}")
        elif a.shape != b.shape:
            sizes = f"{a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            found_bad.append(f"pair {pair.name}: {pair.low} and {pair.high}: expected equal sizes, got {sizes}")
        elif min(a.shape[:2]) < crop_px:
            found_bad.append(f"pair {pair.name}: {_too_small(pair.low, a, crop_px)}")
        else:
            example = Example(
                name=pair.name,
                low=a,
                high=b,
                scene=pair.scene,
                held_out=pair.held_out,
                clean=found.clean,
            )
            examples.append(example)
    _tell_bad(found_bad, bad)
    return examples


def _darkest(files: Sequence[PairFiles]) -> list[PairFiles]:
    """Keep the darkest picture of every label, and those that cannot be decoded, which are told later."""
    best: dict[Path, tuple[float, PairFiles]] = {}
    unreadable = []
    for pair in files:
        try:
            level = _level(pair.low)
        except DataError:
            unreadable.append(pair)
            continue
        if pair.high not in best or level < best[pair.high][0]:
            best[pair.high] = level, pair
    return [*(pair for _, pair in best.values()), *unreadable]


def _level(path: Path) -> float:
    """Return the mean level of a file, decoded as small as its format allows, as sequences have many large files."""
    try:
        with open_named(path).stream as stream, Image.open(stream) as image:
            image.draft("L", (64, 64))
            return float(np.asarray(image.convert("L").resize((64, 64), Image.Resampling.BOX)).mean())
    except _NOT_FOR_PILLOW:  # lumen's own decoders may read it, or say what is wrong
        return float(decode_all([path])[0].mean())


def _too_small(path: Path, pixels: Pixels, crop_px: int) -> str:
    """Return what is wrong with a picture in which no crop fits, and which crops would."""
    height, width = pixels.shape[:2]
    fit = min(height, width) // CROP_STEP * CROP_STEP
    remedy = f", or --set data.crop_px={fit}" if fit else ""
    return f"{path}: expected both sides to be at least data.crop_px={crop_px}, got {width}x{height}{remedy}"


def load_photos(
    folders: Sequence[Path], longest_px: int = 0, bad: list[str] | None = None, *, crop_px: int = 0
) -> list[Example]:
    """Read well-lit photographs; each is its own reference, and its source is the index of its folder.

    The arguments are those of `load_pairs`.

    Raises:
        DataError: As `load_pairs`.
    """
    files = [(path, index) for index, folder in enumerate(folders) for path in picture_files(folder).values()]
    decoded = _decoded([path for path, _ in files], longest_px)
    found_bad: list[str] = []
    examples = []
    for (path, index), pixels in zip(files, decoded, strict=True):
        if isinstance(pixels, DataError):
            found_bad.append(str(pixels))
        elif min(pixels.shape[:2]) < crop_px:
            found_bad.append(_too_small(path, pixels, crop_px))
        else:
            examples.append(Example(name=path.stem, low=pixels, high=pixels, source=index))
    _tell_bad(found_bad, bad)
    return examples


def name_some(names: Sequence[str], most: int = 12) -> str:
    """Return a list of names for a message, cut if it is long.

    >>> name_some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
