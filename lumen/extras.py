"""Optional packages, and a clear message if one is not installed."""

from __future__ import annotations

import importlib.util
import json
import pickle
import shlex
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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


NAME = "lumen-enhance"


def install_line(extra: str) -> str:
    """Return the command that adds an extra, from the folder that lumen was installed from if it was one.

    >>> install_line("heif").endswith("[heif]'")
    True
    """
    return f"pip install {shlex.quote(f'{_source() or NAME}[{extra}]')}"


def _source() -> str:
    """Return the folder that lumen was installed from, by the record of pip (PEP 610); empty without one."""
    # Only here, for an error: they load mail and network, a tenth of the start of a command.
    from importlib import metadata
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    try:
        origin = json.loads(metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, OSError, ValueError):
        return ""
    if "dir_info" not in origin:
        return ""
    folder = url2pathname(urlsplit(str(origin.get("url", ""))).path)
    return folder if Path(folder).is_dir() else ""


@contextmanager
def require_extra(extra: str) -> Iterator[None]:
    """Turn a failed import inside the block into an error that names the extra.

    Raises:
        MissingExtraError: A package of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"this command needs {error.name}; install it with: {install_line(extra)}") from error


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
        >>> heif.hint("HEIF", "save it as JPEG")  # doctest: +ELLIPSIS
        "HEIF needs pillow-heif; install it with: pip install '...[heif]', or save it as JPEG"
        """
        return f"{what} needs {self.name}; install it with: {install_line(self.extra)}, or {otherwise}"

    def require(self, what: str, otherwise: str) -> None:
        """Raise `MissingExtraError` with the hint if it is not installed."""
        if not self.is_installed():
            raise MissingExtraError(self.hint(what, otherwise))
