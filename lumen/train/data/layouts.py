"""Folder layouts of data sets: one rule per layout, recognised by what a folder contains."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from lumen.errors import DataError
from lumen.files.paths import is_folder, is_plain_file
from lumen.files.patterns import is_picture_name

DARK, GOOD = ("low", "input"), ("high", "normal", "gt", "target")  # folders of plain pairs, in any case
LOL_V1 = "our485"
LOL_V2 = ("Real_captured", "Synthetic")
LABELS = "label"
INDEX = "index.json"
NATURAL = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True)
class PairFiles:
    """The dark picture and the reference of a pair, and what `data.exclude`, messages and records call it.

    Attributes:
        scene: Name of the scene, if the data set has one; all pairs of a scene are on the same side of a split.
        held_out: Whether the data set keeps the pair for validation.
    """

    name: str
    low: Path
    high: Path
    scene: str = ""
    held_out: bool = False


@dataclass(frozen=True, kw_only=True)
class PairSet:
    """The pairs of a data set.

    Attributes:
        layout: Name of the layout, for people.
        pairs: In the order of their names; an exposure sequence has one for every exposure.
        sequences: Whether pairs with the same reference are exposures of one scene.
        clean: Whether the dark pictures have less noise than a camera's in the dark.
        alone: Names without a partner.
    """

    layout: str
    pairs: tuple[PairFiles, ...]
    sequences: bool = False
    clean: bool = False
    alone: tuple[str, ...] = ()


def picture_files(folder: Path) -> dict[str, Path]:
    """Return the pictures of a folder by stem, in name order.

    Raises:
        DataError: The folder is missing, cannot be listed or contains no picture.
    """
    if not is_folder(folder):
        raise DataError(f"expected a folder of pictures at {folder}, found none; check --data, --val and --synthetic")
    try:
        files = {path.stem: path for path in sorted(folder.iterdir()) if is_picture_name(path.name)}
    except OSError as error:
        raise DataError(f"cannot list {folder}: {error.strerror}") from error
    if not files:
        raise DataError(f"expected pictures in {folder}, found none")
    return files


def find_training_pairs(root: Path) -> PairSet:
    """Find the pairs of a data set.

    The known layouts are LOL v1 (`our485/{low,high}`), LOL v2 (`Real_captured` and `Synthetic`, or one of them, with
    `Train/{Low,Normal}`), brackets (an `index.json` of scenes), SICE (a folder per scene beside `Label/`, also below
    `Dataset_Part1` and `Dataset_Part2`), and plain pairs (`low/` and `high/`). The test parts of these sets are never
    read.

    Raises:
        DataError: The folder is missing or has no known layout, or none of its pictures has a partner.
    """
    if not is_folder(root):
        raise DataError(f"expected a folder of pairs at {root}, found none; check --data and --val")
    for look in (_brackets, _lol_v1, _lol_v2, _sice, _plain):
        try:
            found = look(root)
        except OSError as error:
            raise DataError(f"cannot read {error.filename or root}: {error.strerror}") from error
        if found is not None:
            if not found.pairs:
                some = ", ".join(found.alone[:5]) or "no picture at all"
                raise DataError(f"expected pictures with the same name on both sides of {root}, found {some}")
            return found
    raise DataError(
        f"expected pairs in {root}: low/ and high/, or the folders of LOL or SICE; found none of them; "
        "check --data and --val"
    )


def _brackets(root: Path) -> PairSet | None:
    """Bracketed exposures: `index.json` lists scenes, their side of the split, their dark frames and references."""
    index = root / INDEX
    if not is_plain_file(index):
        return None
    try:
        pairs = tuple(
            PairFiles(
                name=f"{scene['id']}/{Path(frame['file']).stem}",
                low=root / _inside(scene["id"], frame["file"]),
                high=root / _inside(scene["id"], frame["ref"]),
                scene=scene["id"],
                held_out=scene["split"] == "val",
            )
            for scene in json.loads(index.read_text(encoding="utf-8"))
            for frame in scene["dark"]
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"expected scenes with id, split and dark frames in {index}, got {error!r}") from error
    return PairSet(layout="brackets", pairs=pairs, clean=True)


def _inside(scene: str, name: str) -> PurePath:
    """Return the path of a picture of a scene; `ValueError` if it leads out of the data set."""
    path = PurePath(scene, name)
    if path.is_absolute() or os.pardir in path.parts or "\0" in str(path):
        raise ValueError(f"{str(path)!r}, which is no place in the folder")
    return path


def _lol_v1(root: Path) -> PairSet | None:
    found = _plain(root / LOL_V1) if is_folder(root / LOL_V1) else None
    return found and replace(found, layout="LOL v1")


def _lol_v2(root: Path) -> PairSet | None:
    """Both halves of LOL v2, their names prefixed with the folder, or only the half whose folder is given."""
    train = _child(root, ("train",))
    halves = [("", train)] if train else [(f"{n}/", _child(root / n, ("train",))) for n in LOL_V2]
    parts = [(prefix, _plain(half)) for prefix, half in halves if half]
    sides = [(prefix, part) for prefix, part in parts if part]
    if not sides:
        return None
    pairs = tuple(
        PairFiles(name=prefix + pair.name, low=pair.low, high=pair.high)
        for prefix, part in sides
        for pair in part.pairs
    )
    return PairSet(layout="LOL v2", pairs=pairs, alone=tuple(p + name for p, part in sides for name in part.alone))


def _sice(root: Path) -> PairSet | None:
    """Exposure sequences, one folder per scene; the reference in `Label` has the folder's name."""
    parts = [root] if _child(root, (LABELS,)) else [p for p in sorted(root.glob("Dataset_Part*")) if p.is_dir()]
    pairs, alone = [], []
    for part in parts:
        labels_folder = _child(part, (LABELS,))
        if labels_folder is None:
            continue
        prefix = "" if part == root else f"{part.name}/"
        labels = picture_files(labels_folder)
        scenes = {p.name: p for p in part.iterdir() if p.is_dir() and p != labels_folder and p.name[:1] != "."}
        alone += [prefix + name for name in labels.keys() ^ scenes.keys()]
        for scene in sorted(labels.keys() & scenes.keys(), key=_natural):
            for stem, low in sorted(picture_files(scenes[scene]).items(), key=lambda item: _natural(item[0])):
                pairs.append(PairFiles(name=f"{prefix}{scene}/{stem}", low=low, high=labels[scene]))
    if not pairs and not alone:
        return None
    return PairSet(layout="SICE", pairs=tuple(pairs), sequences=True, alone=tuple(sorted(alone, key=_natural)))


def _plain(root: Path) -> PairSet | None:
    dark, good = _child(root, DARK), _child(root, GOOD)
    if not (dark and good):
        return None
    low, high = picture_files(dark), picture_files(good)
    if not low.keys() & high.keys():  # LOL v2: low00001.png and normal00001.png
        low, high = _without_prefix(low, dark.name), _without_prefix(high, good.name)
    return PairSet(
        layout="pairs",
        pairs=tuple(PairFiles(name=name, low=low[name], high=high[name]) for name in low if name in high),
        alone=tuple(sorted(low.keys() ^ high.keys())),
    )


def _child(folder: Path, names: tuple[str, ...]) -> Path | None:
    """Return the sub-folder with one of these names, in any case; the first name that exists wins."""
    if not is_folder(folder):
        return None
    by_name = {path.name.lower(): path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()}
    return next((by_name[name] for name in names if name in by_name), None)


def _without_prefix(files: Mapping[str, Path], prefix: str) -> dict[str, Path]:
    """Drop the folder's name, in any case, from the front of its files' names."""
    length = len(prefix)
    return {name[length:] if name[:length].lower() == prefix.lower() else name: path for name, path in files.items()}


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts 2 before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in NATURAL.split(name)]
