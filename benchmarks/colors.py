"""What becomes of colours in other spaces than sRGB: run `python benchmarks/colors.py PHOTOS`.

Photographs (taken to be sRGB) are darkened by three stops, written in other colour spaces with 16 bits, enhanced, and
compared with the same photographs enhanced in sRGB: mean and 95th percentile of the colour difference CIEDE2000. Ways:
the levels as they are, through the tone curve of the space (what lumen does), and by a detour over sRGB. For the last,
the photographs are made more colourful and read as ones of the wide space; the figure is the chroma that is left of the
colours sRGB does not have, against that of what lumen does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000

from lumen.color.icc import P3_PRIMARIES, SRGB_PRIMARIES, matrix_profile
from lumen.color.srgb import linear_to_srgb, srgb_to_linear
from lumen.config import RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.picture import Metadata, Picture
from lumen.runtime.open import ModelSet

Array = NDArray[np.float64]
STOPS = 3
SIDE_PX = 384
WHITE = np.array([0.9642, 1.0, 0.8249])
# Primaries (with a white of D65), and the exponent of the curve; None is the curve of sRGB.
SPACES: dict[str, tuple[Sequence[tuple[float, float]], float | None]] = {
    "Display P3": (P3_PRIMARIES, None),
    "Adobe RGB": (((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 563 / 256),
    "ProPhoto primaries, 1.8": (((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), 1.8),
    "linear sRGB": (SRGB_PRIMARIES, 1.0),
}


class Space:
    """A colour space: its profile, and the way from its levels in [0, 1] to CIE XYZ and back."""

    def __init__(self, name: str, primaries: Sequence[tuple[float, float]], gamma: float | None) -> None:
        self.profile = matrix_profile(primaries, name, gamma)
        self._gamma = gamma
        columns = [self.profile.index(tag, 128) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]
        starts = [int.from_bytes(self.profile[at + 4 : at + 8], "big") + 8 for at in columns]
        values = [np.frombuffer(self.profile, ">i4", 3, start) / 65536 for start in starts]
        self.matrix = np.stack(values, axis=1)

    def xyz(self, levels: Array) -> Array:
        light = srgb_to_linear(levels) if self._gamma is None else np.maximum(levels, 0) ** self._gamma
        return np.asarray(light @ self.matrix.T, np.float64)

    def light(self, xyz: Array) -> Array:
        return np.asarray(xyz @ np.linalg.inv(self.matrix).T, np.float64)

    def levels(self, xyz: Array) -> Array:
        light = np.clip(self.light(xyz), 0, 1)
        return np.asarray(linear_to_srgb(light) if self._gamma is None else light ** (1 / self._gamma), np.float64)


def lab(xyz: Array) -> Array:
    t = xyz / WHITE
    f = np.where(t > 216 / 24389, np.cbrt(np.maximum(t, 1e-12)), (24389 / 27 * t + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def enhanced(levels: Array, models: ModelSet, profile: bytes | None) -> Array:
    pixels = np.rint(np.clip(levels, 0, 1) * 65535).astype(np.uint16)
    picture = Picture(pixels=pixels, metadata=Metadata(icc=profile), format="png")
    return enhance_picture(picture, models).pixels / 65535


def figures(photos: Sequence[Path], models: ModelSet) -> dict[str, dict[str, float]]:
    srgb = Space("sRGB", SRGB_PRIMARIES, None)
    rows: dict[str, dict[str, list[float]]] = {name: {} for name in SPACES}
    for path in photos:
        image = Image.open(path).convert("RGB")
        image.thumbnail((SIDE_PX, SIDE_PX))
        dark = np.asarray(linear_to_srgb(srgb_to_linear(np.asarray(image) / 255) / 2**STOPS), np.float64)
        reference = lab(srgb.xyz(enhanced(dark, models, None)))
        vivid = np.clip(dark.mean(-1, keepdims=True) + 1.6 * (dark - dark.mean(-1, keepdims=True)), 0, 1)
        for name, (primaries, gamma) in SPACES.items():
            space = Space(name, primaries, gamma)
            levels = space.levels(srgb.xyz(dark))
            found = {
                "as it is": lab(space.xyz(enhanced(levels, models, None))),
                "by its curve": lab(space.xyz(enhanced(levels, models, space.profile))),
            }
            for way, result in found.items():
                apart = deltaE_ciede2000(reference, result)
                rows[name].setdefault(f"{way}, mean", []).append(float(apart.mean()))
                rows[name].setdefault(f"{way}, 95 %", []).append(float(np.percentile(apart, 95)))
            if (share := _chroma_left(vivid, space, srgb, models)) is not None:
                rows[name].setdefault("chroma by sRGB", []).append(share)
    return {name: {key: float(np.mean(values)) for key, values in row.items()} for name, row in rows.items()}


def _chroma_left(vivid: Array, space: Space, srgb: Space, models: ModelSet) -> float | None:
    """Return the chroma a detour over sRGB leaves of the colours sRGB does not have; None where there are none."""
    seen = space.xyz(vivid)
    light = srgb.light(seen)
    outside = ((light < -0.0005) | (light > 1)).any(axis=-1)
    if not outside.any():
        return None
    kept = lab(space.xyz(enhanced(vivid, models, space.profile)))
    detour = lab(srgb.xyz(enhanced(srgb.levels(seen), models, None)))
    chroma: list[Any] = [np.hypot(each[..., 1], each[..., 2])[outside].mean() for each in (detour, kept)]
    return float(chroma[0] / chroma[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="lumen-s")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    files = sorted(path for path in args.photos.iterdir() if path.suffix.lower() in (".png", ".jpg"))
    found = figures(files, ModelSet(RuntimeOptions(model=args.model)))
    if args.json:
        print(json.dumps(found))
        return
    columns = list(next(iter(found.values())))
    print("| space | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in found.items():
        print(f"| {name} | " + " | ".join(f"{row[key]:.2f}" if key in row else "" for key in columns) + " |")


if __name__ == "__main__":
    main()
