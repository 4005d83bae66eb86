"""Makes the page of a run: one file with its previews inside, or for many pictures a page that loads them on demand."""

from __future__ import annotations

import base64
import logging
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from lumen.batch.previews import SIDE_PX, VARIANT_PX, PreviewStore, key_of
from lumen.errors import OutputError, PictureError
from lumen.files.atomic import make_folder, own_error, write_atomically
from lumen.files.inputs import hold_folder
from lumen.files.paths import real_path
from lumen.files.patterns import PREVIEW_SUFFIX
from lumen.pages.page import render
from lumen.review.pictures import Previewed, previewed
from lumen.review.places import PagePlace
from lumen.review.records import RecordedPicture, RecordedRun, read_records
from lumen.review.settings import settings_rules, settings_text
from lumen.text import counted, printable, span

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

INSIDE_PICTURES: Final = 500  # more are not put into one file,
INSIDE_BYTES: Final = 28_000_000  # nor more than that of previews; base64 adds a third
PER_PAGE: Final = 10_000
KEYS: Final = (
    ("← → ↑ ↓", "to the next picture, Home and End to the first and last"),
    ("space", "before, after"),
    ("Enter or z", "look at 1:1; there n and p go on and back, Esc ends"),
    ("+ −", "exposure in half stops"),
    ("] [", "shadows in quarters"),
    ("0", "as made"),
    ("s x", "star, reject"),
    ("v", "select"),
    ("y m", "copy its settings to the selected, to similar pictures"),
    ("u", "undo"),
    ("d", "download the settings"),
    ("h c", "histograms, clipping"),
    ("?", "these keys"),
)


@dataclass(frozen=True, kw_only=True)
class WrittenPage:
    """What was written: the page to open, how many pictures it shows, and its bytes with all that it loads."""

    path: Path
    pictures: int
    nbytes: int


def write_page(home: Path, place: PagePlace, progress: Progress = lambda *_: None) -> WrittenPage:
    """Make the page of an output folder from the records of the runs and the previews; missing ones are made.

    The page that is there stays until the new one is whole.

    Args:
        home: The output folder.
        place: Where the page goes.
        progress: Called with the pictures that were looked at, and their number.

    Raises:
        NothingToDoError: There is no record of a run.
        OutputError: The page cannot be written.
    """
    run, recorded = read_records(home)
    failures = [picture for picture in recorded.values() if _has_failed(picture)]
    good = sorted((each for each in recorded.values() if each.target and not _has_failed(each)), key=_order)
    try:
        with TemporaryDirectory(prefix="lumen-", ignore_cleanup_errors=True) as spare:
            stores = PreviewStore(home), PreviewStore(Path(spare))
            found: list[Previewed] = []
            unseen: dict[str, list[str]] = {}
            for number, picture in enumerate(good, 1):
                seen = previewed(picture, home, *stores)
                if isinstance(seen, str):
                    unseen.setdefault(seen, []).append(printable(picture.target))
                else:
                    found.append(seen)
                progress(number, len(good))
            maker = _Maker(home=home, place=place, run=run, stores=stores, failures=failures, notes=_notes(unseen))
            return maker.write(found)
    except OSError as error:
        raise own_error(place.page, error) from error
    except PictureError as error:  # of its name, but no picture's
        raise OutputError(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class _Maker:
    home: Path
    place: PagePlace
    run: RecordedRun
    stores: tuple[PreviewStore, PreviewStore]
    failures: Sequence[RecordedPicture]
    notes: Sequence[str]

    def write(self, found: Sequence[Previewed]) -> WrittenPage:
        nbytes = sum(each.nbytes for each in found)
        make_folder(self.place.page.parent)
        if self.place.is_file and len(found) <= INSIDE_PICTURES and nbytes <= INSIDE_BYTES:
            size = self._write_page(self.place.page, found, ((self._id(each), self._urls(each)) for each in found))
            self._forget(set())
            return WrittenPage(path=self.place.page, pictures=len(found), nbytes=size)
        kept = self._copy_previews(found)
        parts = [found[start : start + PER_PAGE] for start in range(0, max(1, len(found)), PER_PAGE)]
        pages = [self.place.numbered(number) for number in range(1, len(parts) + 1)]
        # The first page, which people open, last: what it leads to is there.
        for page, part in reversed(list(zip(pages, parts, strict=True))):
            nbytes += self._write_page(page, part, (), pages)
        self._forget(kept)
        return WrittenPage(path=self.place.page, pictures=len(found), nbytes=nbytes)

    def _write_page(
        self, page: Path, found: Sequence[Previewed], shots: Iterable[tuple[str, Any]], pages: Sequence[Path] = ()
    ) -> int:
        has_shadows = int(self.run.model.get("contract") or 1) > 1
        enhance = self.run.asked.get("enhance", {})
        data = {
            "key": key_of(str(real_path(self.home))),
            "beside": self.place.beside(page) if pages else None,
            "shadows": has_shadows,
            "usual": {"ev": float(enhance.get("ev", 0)), "shadows": float(enhance.get("shadows", 1))},
            "settings": settings_text(self.run.asked),
            "rules": settings_rules(self.run.asked),
            "pictures": [each.entry(self.home, page) for each in found],
        }
        html = render(
            "review/page.html",
            heading=f"Pictures of {real_path(self.home).name or self.home}",
            count=counted(len(found), "picture"),
            facts=self._facts(),
            failures=[(each.given, str(each.facts.get("reason", ""))) for each in self.failures],
            variants=any(each.facts["variants"] for each in found),
            shadows=has_shadows,
            side=SIDE_PX,
            variant=VARIANT_PX,
            keys=KEYS,
            notes=self.notes,
            command=self._command(),
            others=_others(page, pages),
            data=data,
            shots=shots,
        )
        content = html.encode("utf-8", "backslashreplace")
        write_atomically(page, content)
        return len(content)

    def _id(self, each: Previewed) -> str:
        return key_of(each.target)

    def _urls(self, each: Previewed) -> dict[str, str]:
        """Return the previews of a picture as data URLs."""
        return {
            name: "data:image/jpeg;base64," + base64.b64encode(self._read(each, name)).decode("ascii")
            for name in each.shots
        }

    def _read(self, each: Previewed, name: str) -> bytes:
        with suppress(OSError):
            return self.stores[0].read(each.target, name)
        return self.stores[1].read(each.target, name)

    def _copy_previews(self, found: Sequence[Previewed]) -> set[str]:
        """Put the previews beside the page, and return the names of their files."""
        kept: set[str] = set()
        with hold_folder(self.place.folder, make=True) as into:
            for each in found:
                for name in each.shots:
                    try:
                        file = self.stores[0].copy(each.target, name, into)
                    except OSError:
                        file = self.stores[1].copy(each.target, name, into)
                    kept.add(file)
        return kept

    def _forget(self, kept: set[str]) -> None:
        """Remove previews beside the page that it does not show any more."""
        with suppress(OSError), hold_folder(self.place.folder) as folder:
            for name in folder.names():
                if name.endswith(PREVIEW_SUFFIX) and name not in kept:
                    folder.unlink(name)

    def _facts(self) -> str:
        """Return what the newest run did, in words."""
        end = self.run.end
        parts = []
        if isinstance(end.get("seconds"), int | float) and isinstance(end.get("counts"), dict):
            counts = end["counts"]
            parts.append(f"the last run made {counts.get('done', 0)} in {span(end['seconds'])}")
            if counts.get("failed"):
                parts.append(f"{counts['failed']} failed")
        if self.run.model.get("name"):
            parts.append(f"model {self.run.model['name']}")
        return ", ".join(parts)

    def _command(self) -> str:
        """Return the line that makes the chosen pictures."""
        inputs = [str(each) for each in self.run.asked.get("inputs", ())]
        batch = self.run.asked.get("batch", {})
        output = str(Path(str(batch.get("output") or self.home), str(batch.get("result") or "")))
        words = ["lumen", "enhance", *inputs, "-o", output, "--settings", "chosen.toml", "--existing", "update"]
        return " ".join(shlex.quote(printable(word)) for word in words)


def _has_failed(picture: RecordedPicture) -> bool:
    return picture.facts.get("status") == "failed"


def _order(picture: RecordedPicture) -> str:
    return picture.target or ""


def _notes(reasons: Mapping[str, Sequence[str]]) -> list[str]:
    """Return for each reason which results are not shown."""
    return [
        f"{names[0] if len(names) == 1 else f'{len(names)} results, such as {names[0]},'} cannot be shown: {reason}"
        for reason, names in reasons.items()
    ]


def _others(page: Path, pages: Sequence[Path]) -> list[tuple[str, str | None]]:
    """Return title and link of every page, if there are several; that of this one has no link."""
    if len(pages) < 2:
        return []
    links = [PagePlace.relative(other, page) for other in pages]
    return [
        (f"Page {number}", None if other == page else where)
        for number, (other, where) in enumerate(zip(pages, links, strict=True), 1)
    ]
