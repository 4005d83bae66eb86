"""Search a store for pictures, prefix by prefix, as `TreeSearch.folders` searches the folders of a disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lumen.batch.discovery import FoundFolder, TreeSearch
from lumen.batch.sidecars import is_sidecar
from lumen.files.store_path import StorePath
from lumen.files.stores import list_prefix, store_error


def find_prefixes(search: TreeSearch, root: StorePath, place: Path) -> Iterator[FoundFolder]:
    """Yield the prefixes of a tree: each before those below it, these by name, with the names of their pictures.

    Args:
        search: How folders are searched.
        root: The prefix that is the input.
        place: Its path below the output folder.

    Raises:
        StoreError: The root cannot be listed.
    """
    stack = [Path()]
    while stack:
        path = root / (below := stack.pop())
        if below.parts and search.is_output(path):
            continue
        try:
            listing = list_prefix(path)
        except OSError as error:
            if not below.parts:
                raise store_error(root, error) from error
            yield FoundFolder(path=path, unreadable=f"cannot list: {error.strerror}", root=root)
            continue
        search.passed_over.unusable += listing.unusable
        names = [each for each in sorted(listing.files) if search.takes_name(each, below)]
        sidecars = frozenset(filter(is_sidecar, listing.files))
        yield FoundFolder(path=path, place=place / below, names=names, root=root, sidecars=sidecars)
        wanted = [each for each in sorted(listing.folders) if not search.selection.drops(below / each)]
        entered = [each for each in wanted if search.passed_over.enters(each)]
        stack += [below / each for each in reversed(entered) if search.recursive]
