"""Text for people: names that any terminal can show, and lengths of time."""

from __future__ import annotations


def printable(text: object) -> str:
    r"""Return text on one line that any terminal can show.

    Names may contain newlines, control characters or bytes that are not UTF-8; they become escapes.

    >>> printable("a\nb")
    'a\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(text))


def indented(text: str) -> str:
    """Return several lines that any terminal can show, such as a traceback; none of them begins like one of lumen."""
    return "\n".join(f"  {printable(line)}" for line in text.splitlines())


def span(seconds: float) -> str:
    """Return a length of time, rounded for people.

    >>> span(42), span(600), span(12000)
    ('42 s', '10 min', '3 h 20 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def counted(number: int, noun: str) -> str:
    """Return a number with a noun that has a plain plural.

    >>> counted(1, "picture"), counted(28, "picture")
    ('1 picture', '28 pictures')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
