"""Optional packages, and a clear message if one is not installed."""

from __future__ import annotations

import importlib.util
import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lumen.errors import MissingExtraError

# What torch.load was seen to raise on files of other kinds.
TORCH_FAULTS = (
    OSError,
    EOFError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    OverflowError,
    MemoryError,
)


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into an error that names the extra.

    Raises:
        MissingExtraError: A package of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"this command needs {error.name}; install it with: pip install 'lumen-enhance[{extra}]'"
        ) from error


def is_installed(module: str) -> bool:
    """Return whether an optional package is installed, without importing it."""
    return importlib.util.find_spec(module) is not None


@dataclass(frozen=True, kw_only=True)
class Package:
    """An optional package.

    Attributes:
        name: Name for pip.
        module: Name for Python.
        extra: Extra of lumen that installs it.
    """

    name: str
    module: str
    extra: str

    def is_installed(self) -> bool:
        """Return whether it is installed, without importing it."""
        return is_installed(self.module)

    def hint(self, what: str, otherwise: str) -> str:
        """Return the message for a file that only this package can handle.

        >>> heif = Package(name="pillow-heif", module="pillow_heif", extra="heif")
        >>> heif.hint("HEIF", "save it as JPEG")
        "HEIF needs pillow-heif; install it with: pip install 'lumen-enhance[heif]', or save it as JPEG"
        """
        return f"{what} needs {self.name}; install it with: pip install 'lumen-enhance[{self.extra}]', or {otherwise}"
