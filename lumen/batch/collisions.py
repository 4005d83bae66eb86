"""Refuse unsafe output places: results that would overwrite inputs or each other, or lie among the inputs."""

from __future__ import annotations

import os
import shlex
import stat
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from lumen.batch.job import Job
from lumen.errors import UsageError
from lumen.files.paths import is_folder, real_path, type_of
from lumen.imaging.clip_formats import CLIP_SUFFIXES
from lumen.imaging.formats import SUFFIXES
from lumen.text import printable

_ONE = "; only the result of one picture, which is named itself, can be called so"
MOST_PARTS = 20  # of a name with spaces, looked for among so many inputs


def check_inputs(inputs: Sequence[Path], output: Path | None) -> None:
    """Refuse inputs that do not exist, and an output folder that is a file, a picture's name or an input."""
    for given in inputs:
        if not os.path.lexists(given):
            raise UsageError(f"there is no file or folder {printable(given)}{_quotes(inputs, given)}")
    if output is None:
        return
    if type_of(output) not in (stat.S_IFDIR, 0):
        raise UsageError(f"expected a folder after --out, got the file {printable(output)}{_ONE}")
    if not type_of(output) and output.suffix.lower() in (*SUFFIXES, *CLIP_SUFFIXES):
        kind = "picture" if output.suffix.lower() in SUFFIXES else "clip"
        raise UsageError(f"expected a folder after --out, got {printable(output)}, which names a {kind}{_ONE}")
    for given in inputs:
        if is_folder(given) and _same_folder(given, output):
            raise UsageError(
                f"the output folder {printable(output)} is the input folder; choose another --out, or replace the "
                "pictures themselves with --in-place"
            )


def _quotes(inputs: Sequence[Path], missing: Path) -> str:
    """Return the advice to quote a name with spaces, if the shell has split one of which `missing` is a part."""
    names = [str(each) for each in inputs[:MOST_PARTS]]
    for start in range(len(names)):
        for end in range(start + 2, len(names) + 1):
            name = " ".join(names[start:end])
            if str(missing) in names[start:end] and os.path.lexists(name):
                return f"; names with spaces need quotes: {printable(shlex.quote(name))}"
    return ""


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)  # also on disks that ignore case
    except OSError:
        return real_path(first) == real_path(second)


def check_places(jobs: Sequence[Job], inputs: Sequence[Path], output: Path) -> None:
    """Refuse results that would overwrite an input or each other, or that the next run would take for inputs."""
    real_folder, identity, fold = cache(real_path), cache(identity_of), folding_of(output)

    def place_of(path: Path) -> tuple[str, str]:
        return fold(identity(path.parent)), fold(path.name)

    # An input folder may contain the output folder, which is left out of the scan. The reverse is refused.
    inside = [real_path(given) for given in inputs if is_folder(given)]
    around = [folder for folder in inside if folder.is_relative_to(real_path(output))]
    sources = {place_of(real_path(job.source)): job.source for job in jobs}
    sources |= {place_of(job.source): job.source for job in jobs}  # links themselves
    targets: dict[tuple[str, str], Path] = {}
    for job in jobs:
        place = place_of(job.target)  # a link at the target itself would be replaced
        if place in sources:
            raise UsageError(
                f"a result would overwrite the input {printable(sources[place])}; choose another --out, or --in-place"
            )
        stands = real_folder(job.target.parent) / job.target.name
        if any(stands.is_relative_to(folder) for folder in around):
            raise UsageError(f"the result {printable(stands)} would lie among the inputs; choose another --out")
        if place in targets:
            raise UsageError(
                f"{printable(targets[place])} and {printable(job.source)} would both become "
                f"{printable(job.target)}; enhance them into different folders"
            )
        targets[place] = job.source


def identity_of(folder: Path) -> str:
    """Return one name for a folder however it is reached: it may be mounted twice, or be given in another case."""
    try:
        facts = folder.stat()
    except OSError:  # not made yet
        facts = None
    return f"{facts.st_dev}:{facts.st_ino}" if facts is not None and facts.st_ino else str(real_path(folder))


def folding_of(output: Path) -> Callable[[str], str]:
    """Return a function that makes two names equal if they mean the same file: many disks ignore case."""
    if not _ignores_case(output):
        return str
    return lambda name: unicodedata.normalize("NFC", name).casefold()


def _ignores_case(folder: Path) -> bool:
    """Tell whether `a` and `A` are the same name on the disk of a folder, or of its nearest existing parent."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if is_folder(each))
    try:
        inside = list(there.iterdir())
    except OSError:
        inside = []
    for each in (*inside, there):
        other = each.with_name(each.name.swapcase()) if each.name else each
        if other != each and type_of(each):
            return type_of(other) != 0 and other.samefile(each)
    return False
