"""Fits a NIQE model to photographs, and scores photographs untouched, blurred, noisy and compressed.

python benchmarks/niqe.py fit BSDS500/data/images -o lumen/data/niqe.json
python benchmarks/niqe.py try KODAK [--model OTHER.npz]
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.imaging.formats import SUFFIXES
from lumen.imaging.picture import gray_of
from lumen.metrics.natural import bundled_model, fit_model, niqe, read_model

Gray = NDArray[np.uint8]


def pictures(folder: Path) -> Iterator[Gray]:
    """Yield the luma of all pictures below a folder, sorted by name."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield np.asarray(gray_of(displayed_8bit(read_picture(path))), np.uint8)


def noisy(gray: Gray) -> Gray:
    noise = np.random.default_rng(0).normal(0, 15, gray.shape)
    return np.clip(np.rint(gray + noise), 0, 255).astype(np.uint8)


def blurred(gray: Gray) -> Gray:
    return np.asarray(Image.fromarray(gray).filter(ImageFilter.GaussianBlur(2)))


def compressed(gray: Gray) -> Gray:
    stream = io.BytesIO()
    Image.fromarray(gray).save(stream, "jpeg", quality=15)
    return np.asarray(Image.open(stream))


CHANGES: dict[str, Callable[[Gray], Gray]] = {
    "untouched": lambda gray: gray,
    "blurred, sigma 2": blurred,
    "noise, sigma 15": noisy,
    "JPEG, quality 15": compressed,
}


def fit(arguments: Any) -> None:
    model = fit_model(pictures(arguments.folder), arguments.name)
    text = json.dumps(model.as_dict()).replace("], [", "],\n[")
    arguments.out.write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.out}: {model.name}")


def table(folder: Path, model: Path | None) -> dict[str, float]:
    """Return the mean score of the pictures of a folder, after each change."""
    natural = bundled_model() if model is None else read_model(model)
    grays = list(pictures(folder))
    return {name: float(np.mean([niqe(change(gray), natural) for gray in grays])) for name, change in CHANGES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    fitting = commands.add_parser("fit")
    fitting.add_argument("folder", type=Path)
    fitting.add_argument("-o", "--out", type=Path, default=Path("lumen/data/niqe.json"))
    fitting.add_argument("--name", default="BSDS500, 500 photographs")
    fitting.set_defaults(run=fit)
    trying = commands.add_parser("try")
    trying.add_argument("folder", type=Path)
    trying.add_argument("--model", type=Path)
    trying.set_defaults(
        run=lambda arguments: [
            print(f"| {name} | {score:.2f} |") for name, score in table(arguments.folder, arguments.model).items()
        ]
    )
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
