"""`lumen train` as the pages write it, with a network and a length of seconds: a real training takes hours."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from lumen.cli.main import main

TINY = {
    "data.crop_px": "32",
    "data.batch": "2",
    "optimizer.epochs": "0",
    "optimizer.iterations": "2",
    "optimizer.warmup": "1",
    "brightness.samples": "4",
    "validation.epochs": "0",
    "validation.every": "2",
    "validation.pairs": "1",
    "validation.photos": "1",
}
SMALL = {
    "context-mirnet": "{widths=[8,16], blocks=1, code=8, thumbnail_px=32}",
    "residual": "{groups=1, blocks=1, width=8}",
    "mirnet-keras": "{groups=1, blocks=1, width=8}",
}


def shortened(words: Sequence[str]) -> list[str]:
    """Return the words after `lumen` of a training that ends soon."""
    words = list(words)
    for option, value in (("--val-split", "1"), ("--iterations", "2")):
        if option in words:
            words[words.index(option) + 1] = value
    from lumen.train.recipe.recipe import load_recipe

    if "--init" in words:  # its weights would not fit a small network, and one with a tone stage is exported slowly
        place = words.index("--init")
        del words[place : place + 2]
    recipe = load_recipe(words[words.index("--recipe") + 1] if "--recipe" in words else "lumen-s")
    changes = {"network.hyperparameters": SMALL[recipe.network.architecture], **TINY}
    if recipe.brightness.iterations:
        changes["brightness.iterations"] = "2"
    return [*words, *(word for key, value in changes.items() for word in ("--set", f"{key}={value}"))]


if __name__ == "__main__":
    sys.exit(main(shortened(sys.argv[1:])))
