"""Bracketed exposures as pairs for `lumen eval`: run `python benchmarks/bracket_pairs.py INDEX_FOLDER OUT`.

INDEX_FOLDER has an `index.json`. Every dark frame of its validation scenes is written to OUT/low, and the reference of
the frame to OUT/high under the same name, both as 8-bit PNG and otherwise as they are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.tone import frame_files, read, validation_scenes


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pairs and print how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index_folder", type=Path, metavar="INDEX_FOLDER")
    parser.add_argument("out", type=Path, metavar="OUT")
    args = parser.parse_args(arguments)
    for side in ("low", "high"):
        (args.out / side).mkdir(parents=True, exist_ok=True)
    count = 0
    for scene in validation_scenes(args.index_folder):
        for low, high in frame_files(args.index_folder, scene):
            name = f"{scene['id']}_{low.stem}.png"
            Image.fromarray(read(low)).save(args.out / "low" / name)
            Image.fromarray(read(high)).save(args.out / "high" / name)
            count += 1
    print(f"{count} pairs in {args.out}")


if __name__ == "__main__":
    main()
