"""The pictures of a page: their numbers, their links, and their previews, which are made from the files if missing."""

from __future__ import annotations

import base64
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from lumen.batch.previews import PictureShots, PreviewStore, key_of, shown_after
from lumen.config import EnhanceOptions
from lumen.enhance.file_io import read_source
from lumen.errors import PictureError
from lumen.files.inputs import open_input, open_named
from lumen.files.patterns import exact_pattern
from lumen.imaging.clip_formats import is_clip
from lumen.review.places import PagePlace
from lumen.review.records import RecordedPicture
from lumen.text import printable

log = logging.getLogger(__name__)

READING: Final = EnhanceOptions(frames="first", max_pixels=2_000_000_000)


@dataclass(frozen=True, kw_only=True)
class Previewed:
    """A picture of a page.

    Attributes:
        picture: What the records tell.
        target: The result, as a path below the output folder.
        is_there: Whether there is a result; a picture that was fine may have none.
        facts: What `PreviewStore.facts` tells.
    """

    picture: RecordedPicture
    target: str
    is_there: bool
    facts: Mapping[str, Any]

    @property
    def shots(self) -> dict[str, list[int]]:
        """Width and height of each preview by its name."""
        return dict(self.facts["shots"])

    @property
    def nbytes(self) -> int:
        """Bytes of all previews."""
        return sum(self.facts["bytes"].values())

    def entry(self, home: Path, page: Path) -> dict[str, Any]:
        """Return it as JSON values for the script of the page, with links relative to the page."""
        recorded, facts = self.picture.facts, self.facts
        options = self.picture.options
        result = home / self.target if self.is_there else None
        return {
            "id": key_of(self.target),
            "name": printable(self.target),
            "source": self.picture.given,
            "match": exact_pattern(self.picture.relative),
            "before": PagePlace.relative(self.picture.source, page),
            "after": None if result is None else PagePlace.relative(result, page),
            "fine": bool(recorded.get("unchanged")),
            "seconds": float(recorded.get("seconds") or 0),
            "warnings": [printable(each) for each in recorded.get("warnings") or ()],
            "made": {"ev": float(options.get("ev", 0)), "shadows": float(options.get("shadows", 1))},
            "variants": [
                {"name": name, "ev": ev, "shadows": shadows} for name, (ev, shadows) in facts["variants"].items()
            ],
            "look": _packed(facts["look"]),
            "histogram": [_packed(chain(*map(_roots, facts["histogram"][side]))) for side in ("before", "after")],
            **{name: facts[name] for name in ("width", "height", "dark", "light", "change", "shots")},
        }


def previewed(picture: RecordedPicture, home: Path, store: PreviewStore, spare: PreviewStore) -> Previewed | str:
    """Return a picture with its previews, or why it has none.

    Args:
        picture: What the records tell.
        home: The output folder.
        store: Where its previews are, or are put.
        spare: Where they are put if that cannot be.
    """
    target = picture.target or ""
    result = home / target
    is_there = picture.facts.get("status") == "done" and result.is_file()
    if picture.facts.get("status") == "done" and not is_there:
        return "its result is no longer there"
    there = result if is_there else None
    for each in (store, spare):
        facts = each.facts(target, there, picture.options)
        if facts is not None:
            return Previewed(picture=picture, target=target, is_there=is_there, facts=facts)
    if is_clip(picture.source):
        return "a clip needs a player"
    if not picture.is_own:
        return "it has no preview, and its record is another user's, which does not say what is opened"
    try:
        shots = _from_files(picture, home, is_there=is_there)
    except (PictureError, OSError, ValueError, MemoryError) as error:
        return f"it has no preview: {error}"
    for each in (store, spare):
        with suppress(OSError):
            each.keep(target, shots, there, picture.options)
            return previewed_again(picture, each, there)
    return "it has no preview, because none can be written"


def previewed_again(picture: RecordedPicture, store: PreviewStore, result: Path | None) -> Previewed | str:
    """Return a picture whose previews were just written."""
    target = picture.target or ""
    facts = store.facts(target, result, picture.options)
    if facts is None:
        return "it changed while its preview was made"
    return Previewed(picture=picture, target=target, is_there=result is not None, facts=facts)


def _packed(levels: Iterable[int]) -> str:
    """Return numbers from 0 to 255 in base64: the script of a page reads ten thousand such lists in no time."""
    return base64.b64encode(bytes(max(0, min(255, level)) for level in levels)).decode("ascii")


def _roots(counts: Iterable[int]) -> Iterator[int]:
    """Yield the square roots of counts of a thousand, of 255: low bins are to be seen beside high ones."""
    return (round(255 * math.sqrt(max(0, count) / 1000)) for count in counts)


def _from_files(picture: RecordedPicture, home: Path, *, is_there: bool) -> PictureShots:
    """Return previews from the files of a picture and its result."""
    with open_named(picture.source).stream as stream:
        shots = PictureShots.of(read_source(picture.source, READING, stream=stream))
    if is_there and not picture.facts.get("unchanged"):
        target = picture.target or ""
        with open_input(home, target).stream as stream:
            after = read_source(home / target, READING, stream=stream)
        shots.pixels["after"] = shown_after(after)
        if shots.pixels["after"].shape != shots.pixels["before"].shape:
            raise PictureError("its result has another size")
    return shots
