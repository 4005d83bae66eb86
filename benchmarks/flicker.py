"""How steady the light of a sequence is, frame by frame and with steady light: run `python benchmarks/flicker.py`.

Dark scenes are drawn: a camera's noise, a lamp that moves and grows, a headlight that passes, a cut, a time-lapse that
brightens by 1 % a frame. Of each, the table gives in stops the range of a patch in which nothing happens, and the
largest step between two frames, of that patch and of the whole frame, apart from the cut. `--sheet` draws the frames.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image

from lumen.config import DEFAULT_MODEL, RuntimeOptions
from lumen.enhance.live import LiveLight
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.sequence import enhance_sequence
from lumen.enhance.steady import thumbnail_of
from lumen.imaging.picture import Samples
from lumen.runtime.open import ModelSet
from lumen.runtime.protocols import Models
from tests.support.sequences import (
    STILL,
    as_pictures,
    cut_frames,
    dawn_frames,
    headlight_frames,
    lamp_frames,
    noise_frames,
    stops,
)

SHOWN = 10  # frames of a scene on a sheet
SCENES: dict[str, Callable[[], list[Samples]]] = {
    "noise": noise_frames,
    "lamp": lamp_frames,
    "headlight": headlight_frames,
    "cut": cut_frames,
    "dawn": dawn_frames,
}


def alone(frames: list[Samples], models: Models) -> list[Samples]:
    """Enhance each frame by itself."""
    return [enhance_picture(each, models).pixels for each in as_pictures(frames)]


def steady(frames: list[Samples], models: Models) -> list[Samples]:
    """Enhance frames as `lumen enhance --steady`."""
    timed = ((float(number), each) for number, each in enumerate(as_pictures(frames)))
    return [each.pixels for each in enhance_sequence(timed, models)]


def live(frames: list[Samples], models: Models) -> list[Samples]:
    """Enhance frames as `lumen watch --steady`."""
    light = LiveLight(models.for_sample("uint8"))
    return [
        enhance_picture(each, models, fixed_tone=light.tone(thumbnail_of(each, models))).pixels
        for each in as_pictures(frames)
    ]


WAYS: dict[str, Callable[[list[Samples], Models], list[Samples]]] = {
    "input": lambda frames, _: frames,
    "by itself": alone,
    "--steady": steady,
    "watch --steady": live,
}


def measured(frames: list[Samples], cut: int | None) -> dict[str, float]:
    """Return the range and steps of some frames, in stops, with a cut before one of them or none."""
    scenes = [frames] if cut is None else [frames[:cut], frames[cut:]]
    patches, means = [stops(each, STILL) for each in scenes], [stops(each) for each in scenes]
    steps = np.concatenate([np.diff(each) for each in means])
    return {
        "range of patch": max(float(np.ptp(each)) for each in patches),
        "step of patch": max(float(np.abs(np.diff(each)).max()) for each in patches),
        "step of mean": float(np.abs(steps).max()),
        "least rise of mean": float(steps.min()),
    }


def rows(models: Models, names: list[str], sheets: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table, and draw the sheets."""
    for name in names:
        frames = SCENES[name]()
        strips = []
        for way, enhance in WAYS.items():
            result = enhance(frames, models)
            strips.append(np.hstack(result[:: max(1, len(result) // SHOWN)][:SHOWN]))
            yield {"scene": name, "light": way, **measured(result, len(frames) // 2 if name == "cut" else None)}
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.vstack(strips)).save(sheets / f"{name}.png")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", nargs="*", default=list(SCENES), help=", ".join(SCENES))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--sheet", type=Path, metavar="DIR", help="draw frames of each scene and light into DIR")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    is_first = True
    for row in rows(ModelSet(RuntimeOptions(model=arguments.model)), arguments.scenes, arguments.sheet):
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        if is_first:
            print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
        is_first = False
        cells = [f"{value:.3f}" if isinstance(value, float) else value for value in row.values()]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
