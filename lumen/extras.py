"""Optional packages: one clear line when an extra is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lumen.errors import MissingExtraError


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into a line that names the extra.

    Raises:
        MissingExtraError: A package of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this command needs {error.name}; install it with: pip install 'lumen-enhance[{extra}]'"
        ) from error
