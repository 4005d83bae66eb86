"""One pair of pictures, scored correctly and in the usual wrong ways: the table of docs/metrics.md.

    python benchmarks/inflated.py            prints the table
    python benchmarks/inflated.py --write    writes it into docs/metrics.md

The pair is `examples/spices.jpg` brightened by gamma 2.2, and its reference.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.evaluation.baselines import gamma
from lumen.metrics.fidelity import gt_mean, luma, mae, mse, psnr, ssim

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "metrics.md"
BEGIN, END = "<!-- table of inflated scores: python benchmarks/inflated.py --write -->\n", "<!-- end of table -->\n"

Pixels = NDArray[np.uint8]
Row = tuple[float, float | None, float, float]


def the_pair() -> tuple[Pixels, NDArray[np.float64], Pixels]:
    """Return a result, the same result before rounding and clipping to 8 bits, and its reference."""
    dark = displayed_8bit(read_picture(ROOT / "examples" / "spices.jpg"))
    reference = displayed_8bit(read_picture(ROOT / "examples" / "reference" / "spices.jpg"))
    return gamma(dark), 255.0 * (dark / 255.0) ** (1 / 2.2), reference


def right(result: NDArray[Any], reference: NDArray[Any], top: float = 255.0) -> Row:
    """Return PSNR, SSIM, MAE and MSE."""
    return (
        psnr(result, reference, data_range=top),
        ssim(result, reference, data_range=top),
        mae(result, reference),
        mse(result, reference),
    )


def wrapped(result: Pixels, reference: Pixels) -> Row:
    """Subtract and square 8-bit integers, which wrap around."""
    difference = result - reference
    error = float((difference * difference).mean(dtype=np.float64))
    return 10 * math.log10(255**2 / error), None, float(difference.mean(dtype=np.float64)), error


def studio_luma(pixels: Pixels) -> NDArray[np.float64]:
    """Return luma in [16, 235], as in video."""
    return 16.0 + luma(pixels) * (219.0 / 255.0)


def ways() -> dict[str, tuple[Row, str]]:
    """Return the scores by the way they are computed, and how to recognise each."""
    result, unrounded, reference = the_pair()
    true = reference.astype(np.float64)
    scaled, doubled = gt_mean(result, reference), (result / 255.0, reference / 255.0)
    made: dict[str, tuple[Callable[[], Row], str]] = {
        "**right: RGB, 8 bit, data range 255, float64**": (
            lambda: right(result, reference),
            "MAE at most the root of MSE",
        ),
        "8-bit integers that wrap around": (
            lambda: wrapped(result, reference),
            "about 27.9 dB for any pictures; MAE above the root of MSE",
        ),
        "data range 255, samples in [0, 1]": (
            lambda: right(*doubled, top=255.0),
            "48.13 dB too high, SSIM near 1, MSE below 1",
        ),
        "luma only": (lambda: right(luma(result), luma(reference)), "higher, because colour errors do not count"),
        "luma in [16, 235], data range 255": (
            lambda: right(studio_luma(result), studio_luma(reference)),
            "1.32 dB above luma, because the samples span only 219 levels",
        ),
        "scaled to the reference's mean (GT-mean)": (
            lambda: right(scaled, reference),
            "uses the reference: belongs in a column of its own",
        ),
        "floats before rounding and clipping": (
            lambda: right(unrounded, true),
            "nearly right, but no stored file has this score: results have 8 bits",
        ),
    }
    return {name: (score(), hint) for name, (score, hint) in made.items()}


def table() -> str:
    """Return the table as Markdown."""
    lines = ["| how | PSNR | SSIM | MAE | MSE | how to recognise it |", "|---|---|---|---|---|---|"]
    for name, ((db, structure, absolute, squared), hint) in ways().items():
        similar = "" if structure is None else f"{structure:.3f}"
        errors = f"{absolute:.2f} | {squared:.1f}" if squared > 1 else f"{absolute:.4f} | {squared:.4f}"
        lines.append(f"| {name} | {db:.2f} | {similar} | {errors} | {hint} |")
    return "\n".join(lines) + "\n"


def written() -> str:
    """Return the table as it is in the documentation."""
    return DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/metrics.md")
    if parser.parse_args().write:
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        DOCS.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
