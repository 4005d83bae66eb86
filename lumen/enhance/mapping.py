"""Many pictures one after the other, with a bar: what `Enhancer.map` does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from functools import partial
from typing import Any

from lumen.enhance.steady import Settings, Steady, SteadyLight
from lumen.errors import LumenError, PictureError, reason_of
from lumen.runtime.protocols import Floats
from lumen.text import printable

# What is the fault of one picture; of anything else the others would suffer too.
_OF_ONE = (PictureError, ValueError, OSError, MemoryError)


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """What became of one picture.

    Attributes:
        source: The picture as it was passed.
        result: Its result; None if it failed.
        error: Why it failed, a `lumen.errors.PictureError` with one line; None if it is done.
    """

    source: Any
    result: Any = None
    error: LumenError | None = None


def map_pictures(enhance: Callable[[Any], Any], pictures: Iterable[Any], *, bar: bool) -> Iterator[Mapped]:
    """Yield what became of each picture, in order; one is enhanced when it is asked for.

    Args:
        enhance: What is done to a picture.
        pictures: What it takes.
        bar: Show a bar on stderr, if that is a terminal, or in a notebook.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr, highlight=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    drawn = bar and (console.is_terminal or console.is_jupyter)
    bars = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not drawn,
        redirect_stdout=sys.stdout.isatty(),  # otherwise what the caller prints into a file would land on stderr
    )
    with bars as progress:
        total = len(pictures) if isinstance(pictures, Sized) else None
        task, failed = progress.add_task("enhancing", total=total), 0
        for picture in pictures:
            progress.update(task, description=_titled(picture, failed))
            found = _mapped(enhance, picture)
            failed += found.error is not None
            progress.advance(task)
            yield found


def map_sequence(
    look: Callable[[Any], Floats],
    enhance: Callable[[Floats, Any], Any],
    pictures: Iterable[Any],
    light: SteadyLight[list[Mapped]],
    settings: Settings,
) -> Iterator[Mapped]:
    """Yield what became of each frame of a sequence, in order.

    Args:
        look: Returns the thumbnail of a frame.
        enhance: Enhances a frame with a tone, which comes first.
        pictures: What both take.
        light: Decides on the tones.
        settings: `ev` and `shadows` of all frames.
    """

    def ended(ready: Iterable[Steady[list[Mapped]]]) -> Iterator[Mapped]:
        for each in ready:
            frame, *failed = each.item
            yield _mapped(partial(enhance, each.tone), frame.source)
            yield from failed

    item: list[Mapped] | None = None  # the last frame that could be looked at, and those behind it that could not
    number, (ev, shadows) = 0, settings
    for picture in pictures:
        seen = _mapped(look, picture)
        if seen.error is None:
            item, number = [Mapped(source=picture)], number + 1
            yield from ended(light.push(number, seen.result, item, ev=ev, shadows=shadows))
        elif item is None:
            yield seen
        else:
            item.append(seen)
    yield from ended(light.end())


def _mapped(enhance: Callable[[Any], Any], picture: Any) -> Mapped:
    try:
        return Mapped(source=picture, result=enhance(picture))
    except LumenError as error:
        if not isinstance(error, _OF_ONE):
            raise
        return Mapped(source=picture, error=error)
    except _OF_ONE as error:
        reason = PictureError(str(error) if isinstance(error, ValueError) else reason_of(error))
        reason.__cause__ = error
        return Mapped(source=picture, error=reason)


def _titled(picture: Any, failed: int) -> str:
    """Return what the bar says of a picture: the end of its path, and how many have failed."""
    name = printable(str(picture))[-40:] if isinstance(picture, str) or hasattr(picture, "__fspath__") else "enhancing"
    return f"{name}, {failed} failed" if failed else name
