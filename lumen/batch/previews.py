"""Previews of pictures before and after, and of variants, for a page: `.lumen/previews` of the output folder.

They are made while the pictures are in memory anyway, and each is a file, so that memory does not grow. They can be
made again from the pictures, so nothing is flushed to the disk, and to lose one is no failure. Whoever may write into
an output folder may write them too: what is read here is checked, and ends on a page as text, numbers and pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lumen.batch.comparison import preview
from lumen.batch.history import settings_of
from lumen.color.icc import to_srgb
from lumen.config import EV_LIMIT, EnhanceOptions
from lumen.enhance.reduced import reduced, reduced_results
from lumen.files.atomic import writing_in
from lumen.files.inputs import Parent, hold_folder
from lumen.files.patterns import PREVIEW_SUFFIX
from lumen.files.state import state_in
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Floats, Models

FOLDER: Final = "previews"
SIDE_PX, VARIANT_PX = 960, 480
ROOM: Final = {"before": 30_000, "after": 60_000}  # bytes; 300 pictures fit into one page
VARIANT_ROOM: Final = 14_000
QUALITIES: Final = (75, 60, 40, 20)  # JPEG: WebP would take half the room, and ten times as long
EV_STEP, SHADOWS_STEP, SHADOWS_LIMIT = 1.0, 1.0, 2.0
BINS: Final = 32
LOOK_PX: Final = 4
META_BYTES: Final = 1 << 16  # of what is read
VARIANTS: Final = ("darker", "brighter", "fewer-shadows", "more-shadows")

Shot = NDArray[np.uint8]  # [h, w, 3], sRGB, upright


@dataclass(kw_only=True)
class PictureShots:
    """The previews of one picture, and what they show in numbers.

    Attributes:
        width: Of the picture itself, as it is displayed.
        height: As for `width`.
        pixels: By their names: `before`, `after`, and those of `variants`. A picture that stays has no `after`.
        variants: Exposure and shadows of each variant, by its name.
    """

    width: int
    height: int
    pixels: dict[str, Shot]
    variants: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, picture: Picture) -> PictureShots:
        """Return those of a picture that is not enhanced yet."""
        before = _shown(picture, SIDE_PX)
        upright = (before.shape[1] >= before.shape[0]) == (picture.width >= picture.height)
        width, height = (picture.width, picture.height) if upright else (picture.height, picture.width)
        return cls(width=width, height=height, pixels={"before": before})

    def add_variants(
        self,
        picture: Picture,
        models: Models,
        options: EnhanceOptions,
        tones: Mapping[tuple[float, float], Floats] | None = None,
    ) -> None:
        """Add what neighbouring options would make of the picture; its raises are those of `reduced_results`.

        Args:
            picture: The picture.
            models: The 8-bit and 16-bit models.
            options: Those of the picture.
            tones: float32 [K] by exposure and shadows, where the picture shares its light with others.
        """
        has_shadows = models.for_sample("uint8").spec.contract > 1
        variants = variants_of(options, has_shadows=has_shadows)
        fixed = [(tones or {}).get((each.ev, each.shadows)) for each in variants.values()]
        results = reduced_results(picture, models, list(variants.values()), VARIANT_PX, fixed)
        for (name, changed), result in zip(variants.items(), results, strict=True):
            self.pixels[name] = _shown(result, VARIANT_PX)
            self.variants[name] = changed.ev, changed.shadows

    def facts(self) -> dict[str, Any]:
        """Return what they show in numbers, as JSON values: levels are in [0, 1], `look` and `histogram` are counts."""
        shown = self.pixels["before"], self.pixels.get("after", self.pixels["before"])
        before, after = (np.ascontiguousarray(each[::2, ::2]) for each in shown)  # every fourth pixel will do
        facts = {name: round(float(each.mean()) / 255, 4) for name, each in (("dark", before), ("light", after))}
        change = (np.maximum(before, after) - np.minimum(before, after)).mean() / 255
        small = Image.fromarray(after).resize((LOOK_PX, LOOK_PX), Image.Resampling.BOX)
        return {
            "width": self.width,
            "height": self.height,
            **facts,
            "change": round(float(change), 4),
            "look": np.asarray(small).ravel().tolist(),
            "histogram": {"before": _histogram(before), "after": _histogram(after)},
            "shots": {name: [each.shape[1], each.shape[0]] for name, each in self.pixels.items()},
            "variants": {name: list(values) for name, values in self.variants.items()},
        }

    def files(self) -> dict[str, bytes]:
        """Return the JPEG file of each preview by its name."""
        return {name: _encoded(pixels, ROOM.get(name, VARIANT_ROOM)) for name, pixels in self.pixels.items()}


def variants_of(options: EnhanceOptions, *, has_shadows: bool) -> dict[str, EnhanceOptions]:
    """Return options with less and more exposure and shadows, as far as there are any, by the names of the variants."""
    found = {
        "darker": replace(options, ev=max(-EV_LIMIT, options.ev - EV_STEP)),
        "brighter": replace(options, ev=min(EV_LIMIT, options.ev + EV_STEP)),
    }
    if has_shadows:
        found["fewer-shadows"] = replace(options, shadows=min(SHADOWS_LIMIT, options.shadows + SHADOWS_STEP))
        found["more-shadows"] = replace(options, shadows=max(0.0, options.shadows - SHADOWS_STEP))
    return {name: changed for name, changed in found.items() if changed != options}


class PreviewStore:
    """The previews in one folder, by the paths of the results below it. Safe to share between threads."""

    def __init__(self, home: Path) -> None:
        """Take the folder, which need not be there yet."""
        self._home = home

    def keep(
        self, target: str, shots: PictureShots, result: Path | None, options: EnhanceOptions | Mapping[str, Any]
    ) -> None:
        """Write the previews of one picture.

        Args:
            target: The result, as a path below the folder.
            shots: Its previews.
            result: The file of the result, which is there; None if there is none.
            options: How it was made: `EnhanceOptions` or their fields.

        Raises:
            OSError: They cannot be written.
        """
        key = key_of(target)
        facts = shots.facts() | {"target": target, "made": _made(options), "result": _identity(result)}
        with self._folder(key, make=True) as folder:
            with suppress(FileNotFoundError):
                folder.unlink(f"{key}.json")
            files = {shot_name(key, name): data for name, data in shots.files().items()}
            files[f"{key}.json"] = json.dumps(facts).encode()  # last: what it names is there
            for name, data in files.items():
                with writing_in(folder, name, is_durable=False) as file:
                    file.write(data)

    def facts(self, target: str, result: Path | None, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is known of the previews of a picture, and the bytes of each; None if any is not of this result.

        Args:
            target: The result, as a path below the folder.
            result: Its file.
            options: How it was made: fields of `EnhanceOptions`.
        """
        key = key_of(target)
        try:
            with self._folder(key) as folder, folder.open(f"{key}.json").stream as stream:
                facts = json.loads(stream.read(META_BYTES))
                if (facts["target"], facts["result"], facts["made"]) != (target, _identity(result), _made(options)):
                    return None
                found = _checked(facts)
                sizes = {name: folder.facts(shot_name(key, name)).st_size for name in found["shots"]}
                return found | {"bytes": sizes}
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None

    def read(self, target: str, name: str) -> bytes:
        """Return the JPEG file of a preview; raises `OSError`."""
        key = key_of(target)
        with self._folder(key) as folder, folder.open(shot_name(key, name)).stream as stream:
            return stream.read()

    def copy(self, target: str, name: str, into: Parent) -> str:
        """Give a preview a second place in another folder, or a copy where that cannot be, and return its name there.

        Raises:
            OSError: It is missing, or cannot be written.
        """
        key = key_of(target)
        file = shot_name(key, name)
        with self._folder(key) as folder:
            with suppress(FileNotFoundError):
                into.unlink(file)
            try:
                folder.link(file, file, into)
            except OSError:  # another disk, or one without hard links
                with folder.open(file).stream as stream, writing_in(into, file, is_durable=False) as copy:
                    copy.write(stream.read())
        return file

    @contextmanager
    def _folder(self, key: str, *, make: bool = False) -> Iterator[Parent]:
        with (
            hold_folder(self._home, make=make) as home,
            state_in(home, make=make) as state,
            state.inner(FOLDER, make=make) as previews,
            previews.inner(key[:2], make=make) as folder,
        ):
            yield folder


def key_of(target: str) -> str:
    """Return the name under which the previews of a result are kept, which is safe in any place."""
    return hashlib.sha256(target.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def shot_name(key: str, name: str) -> str:
    """Return the name of the file of a preview."""
    return f"{key}.{name}{PREVIEW_SUFFIX}"


def _checked(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of the kinds that lumen writes; raises one of the errors of foreign JSON otherwise."""
    names = {"before", "after", *VARIANTS}
    shots = {name: [int(width), int(height)] for name, (width, height) in facts["shots"].items() if name in names}
    channels = {side: [[int(count) for count in each] for each in facts["histogram"][side]] for side in ROOM}
    if "before" not in shots or any(len(each) != BINS for side in channels.values() for each in side):
        raise ValueError("expected a preview of before, and histograms")
    return {
        **{name: int(facts[name]) for name in ("width", "height")},
        **{name: float(facts[name]) for name in ("dark", "light", "change")},
        "look": [int(level) for level in facts["look"]],
        "histogram": channels,
        "shots": shots,
        "variants": {
            name: [float(ev), float(shadows)] for name, (ev, shadows) in facts["variants"].items() if name in shots
        },
    }


def _made(options: EnhanceOptions | Mapping[str, Any]) -> dict[str, Any]:
    fields = asdict(options) if isinstance(options, EnhanceOptions) else options
    made: dict[str, Any] = json.loads(json.dumps(settings_of(fields, None), default=str))
    return made


def _identity(result: Path | None) -> list[int] | None:
    if result is None:
        return None
    facts = result.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _shown(picture: Picture, side_px: int) -> Shot:
    return np.asarray(to_srgb(preview(reduced(picture, side_px), side_px), picture.metadata.icc), np.uint8)


def shown_after(picture: Picture) -> Shot:
    """Return the preview of a result."""
    return _shown(picture, SIDE_PX)


def _histogram(pixels: Shot) -> list[list[int]]:
    """Return how many of a thousand pixels have each level, for red, green and blue."""
    levels = pixels >> 3
    count = levels.shape[0] * levels.shape[1]
    bins = [np.bincount(levels[..., channel].ravel(), minlength=BINS) for channel in range(3)]
    return [np.rint(each * (1000 / count)).astype(int).tolist() for each in bins]


def _encoded(pixels: Shot, room: int) -> bytes:
    """Return a JPEG file of at most `room` bytes."""
    image = Image.fromarray(pixels)
    while True:
        for quality in QUALITIES:
            stream = io.BytesIO()
            image.save(stream, "jpeg", quality=quality, subsampling="4:2:0")
            if stream.tell() <= room:
                return stream.getvalue()
        image = image.reduce(2)
