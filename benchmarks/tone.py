"""How right the tone of models is: run `python benchmarks/tone.py --model OLD --model NEW --aim 0.435 --brackets DIR`.

A line for each figure, a column for each model; the first also with a constant aim. `--brackets` takes a folder with
bracketed exposures (an `index.json`), of which the validation scenes are used; `--lol` LOL's folder or one with `low`
and `high`, of which `--lol-names` picks the held-out pairs; `--photos` well-lit photographs that nobody trained on.
What is missing is skipped. "Given" means that the model is given the brightness of the reference. Stops are log2 of the
ratio of mean sRGB levels. Random numbers have fixed seeds, so every model gets the same pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.darkened import STOPS, darken
from benchmarks.sheets import pictures_in
from benchmarks.tone_frames import blank_frames, chroma_error, flat_blocks, grey_frames, is_backlit, night
from lumen.codecs.codec import displayed_8bit, read_picture
from lumen.config import DEFAULT_MODEL, EnhanceOptions, RuntimeOptions
from lumen.enhance.model_choice import chosen_brightness
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ModelError
from lumen.evaluation import enhanced_at, score
from lumen.imaging.picture import Metadata, Picture, Samples
from lumen.metrics.fidelity import gt_mean, psnr, ssim
from lumen.runtime.open import ModelSet
from lumen.train.data.layouts import find_training_pairs

Pixels = NDArray[np.uint8]
Tally = dict[str, list[float]]
Statistic = Callable[[Sequence[float]], float]

NIGHT_STOPS = (5, 6, 7)
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class Column:
    """A model as it is, or with a constant aim."""

    title: str
    models: ModelSet
    aim: float | None = None

    @property
    def has_local_light(self) -> bool:
        """Whether `--shadows` works."""
        return self.models.for_sample("uint8").spec.contract == 2

    def level(self, pixels: Pixels) -> float:
        """Return the mean level in [0, 1] that a picture is to get."""
        if self.aim is not None:
            return max(self.aim, float(pixels.mean()) / 255)
        return chosen_brightness(picture(pixels), self.models)

    def enhanced(self, pixels: Samples) -> Samples:
        """Return the result without any hint."""
        if self.aim is not None:
            wanted = max(self.aim, float(pixels.mean()) / np.iinfo(pixels.dtype).max)
            return enhanced_at(wanted, picture(pixels), self.models)[1].pixels
        return enhance_picture(picture(pixels), self.models).pixels

    def given(self, pixels: Pixels, reference: Pixels, shadows: float = EnhanceOptions.shadows) -> Pixels:
        """Return the result at the brightness of a reference."""
        asked = float(reference.mean()) / 255
        _, result = enhanced_at(asked, picture(pixels), self.models, EnhanceOptions(shadows=shadows))
        return np.asarray(result.pixels, np.uint8)


def picture(pixels: Samples) -> Picture:
    """Return pixels [H, W, 3] as a picture in sRGB."""
    return Picture(pixels=pixels, metadata=Metadata(), format="png")


def read(path: Path) -> Pixels:
    """Return the pixels of a file."""
    return displayed_8bit(read_picture(path))


# The table


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure: what it is, and its value for each column; None where a column has none."""

    what: str
    digits: int
    values: Sequence[float | None]

    def __str__(self) -> str:
        cells = ("-" if value is None else f"{value:.{self.digits}f}" for value in self.values)
        return f"{self.what:58}" + "".join(f"{cell:>22}" for cell in cells)


def rows(tallies: Sequence[Tally], wanted: Sequence[tuple[str, int, str, Statistic]]) -> Iterator[Row]:
    """Yield a row for each (what, digits, key of the tally, statistic)."""
    for what, digits, key, statistic in wanted:
        values = [statistic(tally[key]) if tally.get(key) else None for tally in tallies]
        yield Row(what=what, digits=digits, values=values)


def rms(values: Sequence[float]) -> float:
    """Return the root of the mean square."""
    return math.sqrt(fmean(value * value for value in values))


def percent(values: Sequence[float]) -> float:
    """Return the mean of shares in per cent."""
    return 100 * fmean(values)


# Pairs


def compare(tally: Tally, column: Column, low: Pixels, high: Pixels) -> None:
    """Add what a column makes of a pair."""
    result = np.asarray(column.enhanced(low), np.uint8)
    for key, value in score(result, high, source=low).values.items():
        tally[key].append(abs(value) if key == "stops" else value)
    tally["gt_mean"].append(psnr(gt_mean(result, high), high, data_range=255))
    tally["aim error"].append(math.log2(column.level(low) / max(float(high.mean()) / 255, 1e-4)))
    if column.aim is None:
        given = column.given(low, high)
        tally["given"].append(psnr(given, high, data_range=255))
        tally["given ssim"].append(ssim(given, high, data_range=255))


def brackets(columns: Sequence[Column], root: Path, limit: int | None) -> Iterator[Row]:
    """The validation scenes of bracketed exposures."""
    tallies: list[Tally] = [defaultdict(list) for _ in columns]
    for scene in validation_scenes(root)[:limit]:
        frames = [(read(low), read(high)) for low, high in frame_files(root, scene)]
        for column, tally in zip(columns, tallies, strict=True):
            for low, high in frames:
                compare(tally, column, low, high)
    yield from rows(
        tallies,
        [
            ("brackets, plain, dB", 2, "psnr", fmean),
            ("brackets, SSIM", 3, "ssim", fmean),
            ("brackets, GT-mean, dB", 2, "gt_mean", fmean),
            ("brackets, given, dB", 2, "given", fmean),
            ("brackets, given, SSIM", 3, "given ssim", fmean),
            ("brackets, error of brightness, stops", 2, "stops", fmean),
            ("brackets, chroma ratio", 2, "chroma", fmean),
            ("brackets, newly clipped, %", 1, "newly_clipped", percent),
        ],
    )


def aims(columns: Sequence[Column], root: Path, limit: int | None) -> Iterator[Row]:
    """Whether the frames of a scene, which differ in exposure alone, are aimed at the same brightness."""
    tallies: list[Tally] = [defaultdict(list) for _ in columns]
    for scene in validation_scenes(root)[:limit]:
        frames = sorted((read(low) for low, _ in frame_files(root, scene)), key=np.mean)
        if len(frames) < 2:
            continue
        for column, tally in zip(columns, tallies, strict=True):
            stops = np.log2([column.level(frame) for frame in frames])
            tally["spread"].append(float(np.ptp(stops)))
            tally["darker"].append(float(np.max(np.maximum.accumulate(stops) - stops)))
    yield from rows(
        tallies,
        [
            ("brackets, scenes of several frames", 0, "spread", len),
            ("brackets, largest less smallest aim of a scene, stops", 2, "spread", fmean),
            ("brackets, brighter frame aimed darker, most, stops", 2, "darker", max),
        ],
    )


def validation_scenes(root: Path) -> list[Mapping[str, object]]:
    """Return the scenes of `index.json` that are kept for validation."""
    return [scene for scene in json.loads((root / "index.json").read_text()) if scene["split"] == "val"]


def frame_files(root: Path, scene: Mapping[str, object]) -> list[tuple[Path, Path]]:
    """Return the dark frames of a scene with their references."""
    folder, frames = root / str(scene["id"]), scene["dark"]
    assert isinstance(frames, list)
    return [(folder / frame["file"], folder / frame["ref"]) for frame in frames]


def lol(columns: Sequence[Column], root: Path, limit: int | None, names: Path | None) -> Iterator[Row]:
    """Pairs of LOL: the error of the aim, and results."""
    wanted = None if names is None else set(names.read_text().translate(str.maketrans('[],"', "    ")).split())
    pairs = [pair for pair in find_training_pairs(root).pairs if wanted is None or pair.name in wanted]
    if not pairs:
        raise SystemExit(f"expected pairs of {names} in {root}, found none")
    tallies: list[Tally] = [defaultdict(list) for _ in columns]
    for pair in pairs[:limit]:
        low, high = read(pair.low), read(pair.high)
        for column, tally in zip(columns, tallies, strict=True):
            compare(tally, column, low, high)
    yield from rows(
        tallies,
        [
            ("LOL, error of the aim, rms, stops", 2, "aim error", rms),
            ("LOL, plain, dB", 2, "psnr", fmean),
            ("LOL, given, dB", 2, "given", fmean),
        ],
    )


def backlit(columns: Sequence[Column], root: Path, limit: int | None) -> Iterator[Row]:
    """What the default of `--shadows` gains over 0 on back-lit scenes, given the brightness."""
    able = [column for column in columns if column.aim is None and column.has_local_light]
    gains: dict[str, list[float]] = defaultdict(list)  # of each scene, since the frames of one are alike
    for frames in islice(backlit_scenes(root), limit) if able else ():
        for column in able:
            found = [
                psnr(column.given(low, high), high, data_range=255)
                - psnr(column.given(low, high, shadows=0), high, data_range=255)
                for low, high in frames
            ]
            gains[column.title].append(fmean(found))
    intervals = [interval(gains[column.title]) if gains[column.title] else None for column in columns]
    for index, what in enumerate(("mean", "2.5 %", "97.5 %", "scenes")):
        values = [None if each is None else each[index] for each in intervals]
        yield Row(what=f"back-lit, given, shadows 1 over 0, dB: {what}", digits=0 if index == 3 else 2, values=values)


def backlit_scenes(root: Path) -> Iterator[list[tuple[Pixels, Pixels]]]:
    """Yield the frames of each validation scene whose reference is fused, and the back-lit frames of others."""
    for scene in validation_scenes(root):
        frames = [(read(low), read(high)) for low, high in frame_files(root, scene)]
        if not str(scene["ref_kind"]).startswith("mertens"):
            frames = [frame for frame in frames if is_backlit(frame[0])]
        if frames:
            yield frames


def interval(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Return mean, bounds of the 95 % interval by bootstrap, and number of paired differences."""
    rng = np.random.default_rng(0)
    means = rng.choice(np.asarray(values), (RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return fmean(values), float(low), float(high), len(values)


# Photographs


def photos(columns: Sequence[Column], root: Path, limit: int | None) -> Iterator[Row]:
    """Good photographs: how little is done to them, and how well they come back when darkened."""
    tallies: list[Tally] = [defaultdict(list) for _ in columns]
    for index, path in enumerate(pictures_in([root])[:limit]):
        photo = read(path)
        dark = {stops: darken(photo, stops, np.random.default_rng([stops, index])) for stops in STOPS}
        nights = {stops: night(photo, stops, np.random.default_rng([stops, index])) for stops in NIGHT_STOPS}
        flat = flat_blocks(photo)
        for column, tally in zip(columns, tallies, strict=True):
            tally["unchanged"].append(psnr(np.asarray(column.enhanced(photo), np.uint8), photo, data_range=255))
            for stops, pixels in dark.items():
                result = np.asarray(column.enhanced(pixels), np.uint8)
                tally[f"darkened {stops}"].append(psnr(result, photo, data_range=255))
            if column.aim is not None:
                continue
            tally["own"].append(psnr(column.given(photo, photo), photo, data_range=255))
            for stops, pixels in nights.items():
                result = column.given(pixels, photo)
                tally[f"night {stops}"].append(psnr(result, photo, data_range=255))
                if flat.any():
                    tally[f"night {stops} chroma"].append(chroma_error(result, photo, flat))
    yield from rows(
        tallies,
        [
            ("photographs, in against out, dB", 2, "unchanged", fmean),
            ("photographs, worst, dB", 2, "unchanged", min),
            ("photographs, at their own brightness, dB", 2, "own", fmean),
            *((f"darkened {n} stops, dB", 2, f"darkened {n}", fmean) for n in STOPS),
            *((f"darkened {n} stops, noise, JPEG, given, dB", 2, f"night {n}", fmean) for n in NIGHT_STOPS),
            *((f"darkened {n} stops, chroma error, flat", 2, f"night {n} chroma", fmean) for n in NIGHT_STOPS),
        ],
    )


# Made-up frames


def blank(columns: Sequence[Column]) -> Iterator[Row]:
    """Frames without a scene: they must not be lifted to grey. Black must stay black."""
    for name, pixels in blank_frames().items():
        results = [column.enhanced(pixels) for column in columns]
        yield Row(what=f"{name}, mean level", digits=1, values=[float(result.mean()) for result in results])
        if name == "black":
            yield Row(what="black, largest sample", digits=0, values=[float(result.max()) for result in results])


def grey(columns: Sequence[Column]) -> Iterator[Row]:
    """Grey pictures must stay grey."""
    for name, pixels in grey_frames().items():
        values: list[float | None] = []
        for column in columns:
            try:
                result = column.enhanced(pixels)
            except ModelError:  # the 16-bit file is missing
                values.append(None)
                continue
            apart = float(np.ptp(result.astype(np.int32), axis=2).max())
            values.append(apart / (257 if pixels.dtype == np.uint16 else 1))
        yield Row(what=f"grey, {name}, largest difference of channels, of 255", digits=2, values=values)


# The command


def sections(columns: Sequence[Column], args: argparse.Namespace) -> Iterator[Row | str]:
    """Yield all rows, or a line for what is skipped."""
    if args.brackets:
        if not args.fast:
            yield from brackets(columns, args.brackets, args.limit)
        yield from aims(columns, args.brackets, args.limit)
        yield from backlit(columns, args.brackets, args.limit)
    else:
        yield "skipped without --brackets: bracketed exposures, back-lit scenes"
    if args.lol:
        yield from lol(columns, args.lol, args.limit, args.lol_names)
    else:
        yield "skipped without --lol: pairs of LOL"
    if args.photos:
        yield from photos(columns, args.photos, args.limit)
    else:
        yield "skipped without --photos: good photographs, darkened photographs"
    yield from blank(columns)
    yield from grey(columns)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="a name or an .onnx file; repeat to compare, the former first")
    parser.add_argument("--aim", type=float, metavar="LEVEL", help="the first model also with this constant aim")
    parser.add_argument("--brackets", type=Path, metavar="DIR")
    parser.add_argument("--fast", action="store_true", help="of the brackets only aims and back-lit scenes")
    parser.add_argument("--lol", type=Path, metavar="DIR")
    parser.add_argument(
        "--lol-names", type=Path, metavar="FILE", help="names of the pairs to use, a line each, or JSON"
    )
    parser.add_argument("--photos", type=Path, metavar="DIR")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N scenes, pairs and photographs")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    columns = []
    for name in args.model or [DEFAULT_MODEL]:
        title, models = Path(name).name.removesuffix(".onnx"), ModelSet(RuntimeOptions(model=name))
        columns.append(Column(title=title, models=models))
        if args.aim is not None and len(columns) == 1:
            columns.append(Column(title=f"{title}, aim {args.aim:g}", models=models, aim=args.aim))
    if not args.json:
        print(f"{'':58}" + "".join(f"{column.title:>22}" for column in columns), flush=True)
    table = {}
    for row in sections(columns, args):
        if isinstance(row, Row):
            table[row.what] = row.values
        print(row, flush=True, file=sys.stderr if args.json else sys.stdout)
    if args.json:
        print(json.dumps({"columns": [column.title for column in columns], "rows": table}))


if __name__ == "__main__":
    main()
