"""How close darkened photographs come to themselves: run `python benchmarks/darkened.py PHOTOS`.

Every photograph is taken to linear light, exposed 1, 2, 3 and 4 stops less, given the photon and read noise of a small
sensor, and rounded to 8 bits. The table gives the mean PSNR against the photograph (RGB, 8 bit, data range 255) of the
darkened picture itself, of gamma 2.2, of histogram equalisation (Pillow's), and of lumen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.color.srgb import linear_to_srgb, srgb_to_linear
from lumen.config import RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.formats import SUFFIXES
from lumen.imaging.picture import Metadata, Picture
from lumen.metrics.fidelity import psnr
from lumen.runtime.open import ModelSet

STOPS = (1, 2, 3, 4)
SHOT, READ = 2e-4, 5e-4  # variance of the noise in linear light: SHOT * light + READ**2
Pixels = NDArray[np.uint8]


def darken(pixels: Pixels, stops: float, rng: np.random.Generator) -> Pixels:
    """Return a photograph [H, W, 3] as one exposed that many stops less."""
    light = srgb_to_linear(pixels.astype(np.float64) / 255) * 2.0**-stops
    noisy = light + rng.standard_normal(light.shape) * np.sqrt(SHOT * light + READ**2)
    dark: Pixels = np.rint(linear_to_srgb(np.clip(noisy, 0, 1)) * 255).astype(np.uint8)
    return dark


def methods(dark: Pixels, models: ModelSet) -> dict[str, Pixels]:
    """Return what each method makes of a dark picture [H, W, 3]."""
    picture = Picture(pixels=dark, metadata=Metadata(), format="png")
    gamma = np.rint(255 * (dark / 255) ** (1 / 2.2)).astype(np.uint8)
    return {
        "input": dark,
        "gamma 2.2": gamma,
        "equalize": np.asarray(ImageOps.equalize(Image.fromarray(dark))),
        "lumen": np.asarray(enhance_picture(picture, models).pixels, np.uint8),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="folder of well-lit photographs")
    parser.add_argument("--model", default=RuntimeOptions().model)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    models = ModelSet(RuntimeOptions(model=args.model))
    files = sorted(path for path in args.photos.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise SystemExit(f"expected pictures in {args.photos}, found none")
    photos = [displayed_8bit(read_picture(path)) for path in files]
    table: dict[int, dict[str, float]] = {}
    for stops in STOPS:
        scores: dict[str, list[float]] = {}
        for index, photo in enumerate(photos):
            dark = darken(photo, stops, np.random.default_rng([stops, index]))
            for name, result in methods(dark, models).items():
                scores.setdefault(name, []).append(psnr(result, photo, data_range=255))
        table[stops] = {name: float(np.mean(values)) for name, values in scores.items()}
    if args.json:
        print(json.dumps({"photos": len(photos), "mean_psnr_db": table}))
        return
    print(f"{len(photos)} photographs, mean PSNR in dB")
    print("".join(f"{head:>12}" for head in ("stops less", *table[STOPS[0]])))
    for stops, row in table.items():
        print(f"{stops:>12}" + "".join(f"{value:>12.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
