"""How well the brightness is predicted on unseen scenes: run `python benchmarks/brightness.py PAIRS PHOTOS...`.

Cross-validation by scene with the head and the values of a recipe. For the held-out pairs it prints the error of the
log of the mean level, beside that of the best constant; for the held-out photographs, how much they are lifted although
they are good.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lumen.imaging.thumbnail import area_thumbnail
from lumen.models.context import BrightnessHead
from lumen.train.brightness import fit_brightness
from lumen.train.data.load import Example, load_pairs, load_photos
from lumen.train.data.sampler import Sampler
from lumen.train.data.split import group_scenes
from lumen.train.recipe.recipe import load_recipe

THUMBNAIL_PX = 128
Values = NDArray[np.float64]


def folds_of(examples: Sequence[Example], count: int, rng: np.random.Generator) -> list[int]:
    """Return a fold for every example; a scene stands in one fold."""
    folds = [0] * len(examples)
    for group in group_scenes(example.high for example in examples):
        fold = int(rng.integers(count))
        for index in group:
            folds[index] = fold
    return folds


def levels(head: BrightnessHead, examples: Sequence[Example]) -> tuple[Values, Values]:
    """Return the logs of the chosen and of the wanted mean levels."""
    chosen = []
    with torch.no_grad():
        for example in examples:
            thumbnail = torch.from_numpy(area_thumbnail(example.low, THUMBNAIL_PX)).permute(2, 0, 1)[None]
            chosen.append(float(head.choose(thumbnail)[0]))
    return np.log(chosen), np.log([example.high.mean() / 255 for example in examples])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, help="folder with our485/{low,high} or {low,high}")
    parser.add_argument("photos", type=Path, nargs="+", help="folders of well-lit photographs")
    parser.add_argument("--recipe", default="lumen-s")
    parser.add_argument("--folds", type=int, default=4)
    args = parser.parse_args()
    recipe = load_recipe(args.recipe)
    pairs, photos = load_pairs(args.pairs, recipe.data.exclude), load_photos(args.photos)
    rng = np.random.default_rng(recipe.seed)
    pair_folds, photo_folds = (folds_of(examples, args.folds, rng) for examples in (pairs, photos))
    errors, constants, lifts = [], [], []
    for fold in range(args.folds):
        kept, held = [], []
        for examples, folds in ((pairs, pair_folds), (photos, photo_folds)):
            kept.append([e for e, f in zip(examples, folds, strict=True) if f != fold])
            held.append([e for e, f in zip(examples, folds, strict=True) if f == fold])
        sampler = Sampler(kept[0], kept[1], recipe.data, thumbnail_px=THUMBNAIL_PX, seed=recipe.seed)
        torch.manual_seed(recipe.seed)
        head = BrightnessHead()
        fit_brightness(head, sampler, recipe.brightness, recipe.seed)
        chosen, wanted = levels(head, held[0])
        errors.append(chosen - wanted)
        constants.append(np.mean([np.log(e.high.mean() / 255) for e in kept[0]]) - wanted)
        lifts.append(np.subtract(*levels(head, held[1])))
    print(f"{len(pairs)} pairs, {len(photos)} photographs, {args.folds} folds; logs, root mean square")
    for name, values in (("pairs, error", errors), ("pairs, constant", constants), ("photographs, lift", lifts)):
        print(f"{name:20}{float(np.sqrt(np.mean(np.concatenate(values) ** 2))):.3f}")


if __name__ == "__main__":
    main()
