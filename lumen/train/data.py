"""Pairs and photographs: found, decoded once into memory, cut into crops.

A sample depends only on the recipe's seed, the iteration and its place in the batch, so a resumed training and one on
several processes draw the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lumen.errors import DataError, PictureError
from lumen.imaging.codec import SUFFIXES, displayed_8bit, read_picture
from lumen.imaging.thumbnail import area_thumbnail
from lumen.train.recipe import DataConfig
from lumen.train.synthetic import darken, night, saturate

Pixels = NDArray[np.uint8]

PAIRS, DARKENED, GOOD, NIGHT = range(4)  # the kinds of samples
MIXUP_BETA = (1.2, 1.2)
SATURATION = (0.1, 0.3)  # mean and spread of the log of the factor


@dataclass(frozen=True, kw_only=True)
class Example:
    """A dark picture and what it should look like; the same array where it is good already.

    Attributes:
        name: Stem of the file.
        low: uint8 [H, W, 3].
        high: uint8 [H, W, 3].
    """

    name: str
    low: Pixels
    high: Pixels


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One training sample, float32 in [0, 1].

    Attributes:
        low, high: [crop, crop, 3].
        thumbnail: [t, t, 3], of the whole dark picture the crop is from.
        brightness: Mean level of the whole wanted picture.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    thumbnail: NDArray[np.float32]
    brightness: float


def picture_files(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by stem, in name order.

    Raises:
        DataError: The folder is missing or holds no picture.
    """
    if not folder.is_dir():
        raise DataError(f"expected a folder of pictures at {folder}, found none; check --data and --synthetic")
    found = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)
    files = {path.stem: path for path in found if not path.name.startswith(".")}
    if not files:
        raise DataError(f"expected pictures in {folder}, found none")
    return files


def decode_all(files: Sequence[Path]) -> list[Pixels]:
    """Decode pictures into uint8 [H, W, 3] arrays, as displayed; 16-bit ones are rounded to 8 bits.

    Raises:
        DataError: A file cannot be decoded; the message names it.
    """

    def decode(path: Path) -> Pixels:
        try:
            return displayed_8bit(read_picture(path))
        except PictureError as error:
            raise DataError(f"{path}: {error}") from error

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(decode, files))


def load_pairs(root: Path, exclude: Sequence[str] = ()) -> list[Example]:
    """Read the pairs of `root/our485/{low,high}` (LOL) or `root/{low,high}`, matched by name.

    Raises:
        DataError: A folder is missing, a picture has no partner, or the sizes of a pair differ.
    """
    base = root / "our485" if (root / "our485").is_dir() else root
    low, high = picture_files(base / "low"), picture_files(base / "high")
    alone = sorted(low.keys() ^ high.keys())
    if alone:
        raise DataError(
            f"expected every picture in both {base}/low and {base}/high; without a partner: {', '.join(alone[:5])}"
        )
    names = [name for name in low if name not in exclude]
    dark, bright = decode_all([low[name] for name in names]), decode_all([high[name] for name in names])
    for name, a, b in zip(names, dark, bright, strict=True):
        if a.shape != b.shape:
            raise DataError(
                f"pair {name}: expected equal sizes, got {a.shape[1]}x{a.shape[0]} and {b.shape[1]}x{b.shape[0]}"
            )
    return [Example(name=n, low=a, high=b) for n, a, b in zip(names, dark, bright, strict=True)]


def load_photos(folders: Sequence[Path]) -> list[Example]:
    """Read well-lit photographs; each is its own target."""
    files = [path for folder in folders for path in picture_files(folder).values()]
    return [Example(name=f.stem, low=p, high=p) for f, p in zip(files, decode_all(files), strict=True)]


class Sampler:
    """Draws training samples.

    Args:
        pairs: Real pairs.
        photos: Well-lit photographs; empty for pairs alone.
        config: Shares, crop size, framing.
        thumbnail_px: Side of the thumbnails.
        seed: The recipe's seed.

    Raises:
        DataError: There is nothing to draw from, or a picture is smaller than a crop.
    """

    def __init__(
        self, pairs: Sequence[Example], photos: Sequence[Example], config: DataConfig, *, thumbnail_px: int, seed: int
    ) -> None:
        self.pairs, self.photos, self.config = pairs, photos, config
        self.thumbnail_px, self.seed = thumbnail_px, seed
        self.good = [*photos, *(Example(name=e.name, low=e.high, high=e.high) for e in pairs)]
        shares = [
            config.pairs if pairs else 0.0,
            *((config.synthetic, config.identity) if photos else (0.0, 0.0)),
            config.night if self.good else 0.0,
        ]
        if sum(shares) <= 0:
            raise DataError("expected pairs or photographs to train on, found neither; check --data and --synthetic")
        self.thresholds = np.cumsum(shares) / sum(shares)
        for example in (*pairs, *photos):
            if min(example.low.shape[:2]) < config.crop_px:
                raise DataError(f"{example.name}: expected both sides to be at least data.crop_px={config.crop_px}")

    def draw(self, iteration: int, place: int) -> Sample:
        """Return the sample at a place of the batch of an iteration."""
        rng = self._rng(iteration, place)
        kind = self._kind(rng)
        sample = self._sample(rng, kind)
        if rng.random() < self.config.mixup:
            sample = blend(sample, self._sample(rng, kind), float(rng.beta(*MIXUP_BETA)))
        return sample

    def _sample(self, rng: np.random.Generator, kind: int) -> Sample:
        """Draw a crop of a picture of a kind, turned and mirrored at random."""
        low, high = self._picture(rng, kind)
        size = self.config.crop_px
        top, left = (int(rng.integers(side - size + 1)) for side in low.shape[:2])
        turn, flip = int(rng.integers(4)), bool(rng.integers(2))

        def pose(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
            turned = np.rot90(pixels, turn)
            return turned[:, ::-1] if flip else turned

        def crop(pixels: Pixels) -> NDArray[np.float32]:
            part = pose(pixels[top : top + size, left : left + size])
            return np.ascontiguousarray(part).astype(np.float32) / np.float32(255)

        thumbnail = np.ascontiguousarray(pose(area_thumbnail(low, self.thumbnail_px)), np.float32)
        return Sample(low=crop(low), high=crop(high), thumbnail=thumbnail, brightness=float(high.mean()) / 255)

    def whole(self, iteration: int, place: int) -> tuple[NDArray[np.float32], float]:
        """Return the thumbnail [t, t, 3] in [0, 1] of a dark picture or frame, and the level of the good one.

        Half of them are mirrored left and right, half up and down.
        """
        rng = self._rng(iteration, place)
        low, high = self._picture(rng, self._kind(rng))
        rows, columns = (slice(None, None, int(step)) for step in rng.choice((1, -1), 2))
        return area_thumbnail(low, self.thumbnail_px)[rows, columns], float(high.mean()) / 255

    def _rng(self, iteration: int, place: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, iteration, place])

    def _kind(self, rng: np.random.Generator) -> int:
        """Draw one of PAIRS, DARKENED, GOOD and NIGHT by their shares."""
        return int(np.searchsorted(self.thresholds, rng.random(), side="right"))

    def _picture(self, rng: np.random.Generator, kind: int) -> tuple[Pixels, Pixels]:
        """Draw a picture of a kind and a frame of it; return the dark and the good picture."""
        examples = (self.pairs, self.photos, self.photos, self.good)[kind]
        example = examples[int(rng.integers(len(examples)))]
        low, high = example.low, example.high
        if rng.random() < self.config.framing:
            height, width = low.shape[:2]
            rows, columns = (max(self.config.crop_px, int(side * rng.uniform(0.6, 1))) for side in (height, width))
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            low, high = (p[top : top + rows, left : left + columns] for p in (low, high))
        if kind in (PAIRS, GOOD):
            return low, high
        if rng.random() < self.config.saturation:
            high = saturate(high, float(np.exp(rng.normal(*SATURATION))))
        return (darken(high, rng, self.config.exposure_ev) if kind == DARKENED else night(high, rng)), high


def blend(a: Sample, b: Sample, share: float) -> Sample:
    """Return share of a plus the rest of b, as if both pictures had been taken on one frame.

    Reference:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.
    """
    part, rest = np.float32(share), np.float32(1 - share)
    return Sample(
        low=part * a.low + rest * b.low,
        high=part * a.high + rest * b.high,
        thumbnail=part * a.thumbnail + rest * b.thumbnail,
        brightness=share * a.brightness + (1 - share) * b.brightness,
    )
