"""What it costs to look for damage in JPEG files, and how much is found: run `python benchmarks/damage.py`.

Generates a photograph-like picture, stores it in several ways, and times the decoder of lumen with and without the
check, in turns. Then it damages each file many times, at random places, and counts how often that is noticed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))

from lumen.codecs import jpeg
from lumen.codecs.codec import decode_picture
from lumen.errors import DecodeError

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "4:4:4, optimized": {"subsampling": "4:4:4", "optimize": True},
    "restart intervals": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
}
PIECE = 4096


def generate(megapixels: float) -> Image.Image:
    """Return a picture of that many megapixels, 3:2: smooth shapes with noise, different all over."""
    height = int((megapixels * 1e6 / 1.5) ** 0.5)
    width = int(height * 1.5)
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 200, (height // 20, width // 20, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noise = rng.integers(-6, 7, (height, width, 1), dtype=np.int16)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def damages(data: bytes, rng: random.Random) -> dict[str, bytes]:
    """Return the file damaged in each way, at a random place among its samples."""
    start = data.index(b"\xff\xda") + 20
    at, other = (rng.randrange(start, len(data) - PIECE - 2) for _ in range(2))
    flipped = bytearray(data)
    flipped[at] ^= 1 << rng.randrange(8)
    return {
        "piece missing": data[:at] + data[at + PIECE :],
        "zeros": data[:at] + bytes(PIECE) + data[at + PIECE :],
        "foreign samples": data[:at] + data[other : other + PIECE] + data[at + PIECE :],
        "one bit": bytes(flipped),
    }


def is_noticed(data: bytes) -> bool:
    """Tell whether the decoder refuses the file or says that it is damaged."""
    try:
        return decode_picture(BytesIO(data)).damage is not None
    except DecodeError:
        return True


def timed(work: Callable[[], object]) -> float:
    """Return milliseconds."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def measure(options: dict[str, Any], megapixels: float, rounds: int, mutants: int) -> dict[str, Any]:
    """Return the times of one kind of file, and the share of each damage that is noticed."""
    large, small = BytesIO(), BytesIO()
    generate(megapixels).save(large, "JPEG", quality=90, **options)
    generate(0.5).save(small, "JPEG", quality=90, **options)
    plain, checked = [], []
    for _ in range(rounds):
        with patch.object(jpeg, "damage_of", return_value=None):
            plain.append(timed(lambda: decode_picture(large)))
        checked.append(timed(lambda: decode_picture(large)))
    noticed: dict[str, int] = {}
    rng = random.Random(0)
    for _ in range(mutants):
        for name, data in damages(small.getvalue(), rng).items():
            noticed[name] = noticed.get(name, 0) + is_noticed(data)
    found = {name: count / mutants for name, count in noticed.items()}
    return {"decode_ms": statistics.median(plain), "with_check_ms": statistics.median(checked), "noticed": found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--mutants", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = {kind: measure(options, args.megapixels, args.rounds, args.mutants) for kind, options in KINDS.items()}
    if args.json:
        print(json.dumps(rows))
        return
    names = list(next(iter(rows.values()))["noticed"])
    print(f"{'file':20}{'decode ms':>11}{'with check':>11}" + "".join(f"{name:>17}" for name in names))
    for kind, row in rows.items():
        shares = "".join(f"{row['noticed'][name]:>17.1%}" for name in names)
        print(f"{kind:20}{row['decode_ms']:>11.0f}{row['with_check_ms']:>11.0f}{shares}")


if __name__ == "__main__":
    main()
