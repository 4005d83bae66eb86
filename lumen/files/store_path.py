"""URLs as paths: objects in stores, which lumen reads and writes like files.

`StorePath` is our own: what handles paths here asks for names, suffixes, parents and `/`, which `PurePosixPath` has,
and for `stat`, `open` and `read_bytes`, which it gets here. The paths of `universal-pathlib` need fsspec to exist at
all, take `#`, `?` and `%` of a key apart in their own ways, and show passwords when they are printed.

What is shown of a URL never holds a password or a signature: `str` of a path is for people, records and JSON, and only
`StorePath.key` is what a store is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from lumen.errors import UsageError

if TYPE_CHECKING:
    _Base = Path
else:
    _Base = PurePosixPath  # what a store has no answer to is not there, instead of asking the disk

WEB = ("http", "https")
SCHEMES = ("s3", "gs", "az", *WEB)

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"(https?://[^\s?'\"<>]*)\?[^\s'\"<>]*", re.IGNORECASE)
_NO_NAMES = {"", os.curdir, os.pardir}


class StorePath(_Base):
    """The path of an object in a store, or of a prefix, which is shown as a folder.

    Its parts are the scheme, the bucket and the names in the key: `("s3:", "bucket", "a", "b.jpg")`.
    """

    @property
    def scheme(self) -> str:
        """Such as `s3`."""
        return self.parts[0].removesuffix(":")

    @property
    def key(self) -> str:
        """What the store knows it by: bucket and key. On the web it may hold secrets."""
        return "/".join(self.parts[1:])

    @property
    def is_known(self) -> bool:
        """Whether the store can be asked for it."""
        return True

    @property
    def parents(self) -> Sequence[StorePath]:
        """The prefixes around it, the nearest first and the bucket last."""
        return tuple(type(self)(*self.parts[:count]) for count in range(len(self.parts) - 1, 1, -1))

    def __str__(self) -> str:
        return f"{self.parts[0]}//{'/'.join(self.parts[1:])}"

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StorePath):
            return False
        return self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self.parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.parts

    def _facts(self) -> tuple[object, ...]:
        """Return all that makes it what it is."""
        return self.parts

    def absolute(self) -> StorePath:
        """Return itself: a URL depends on no folder."""
        return self

    def is_absolute(self) -> bool:
        """Tell that it depends on no folder."""
        return True

    def relative_to(self, *other: Any, **options: Any) -> Path:  # type: ignore[override]
        """Return the names below a prefix, as a plain path."""
        return Path(*super().relative_to(*other, **options).parts)

    def samefile(self, other: str | os.PathLike[str]) -> bool:
        """Tell whether both name one object."""
        return self == other

    def is_symlink(self) -> bool:
        """Tell that no store has links."""
        return False

    def is_file(self) -> bool:
        """Tell whether there is such an object; raises as `stat`, but for what is not there."""
        from lumen.files.paths import is_plain_file

        return is_plain_file(self)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002  # as Path has it
        """Return what is known of the object: `lumen.files.stores.facts_of`."""
        from lumen.files.stores import facts_of

        return facts_of(self)

    def lstat(self) -> os.stat_result:
        """Return the same: there are no links."""
        return self.stat()

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> IO[Any]:  # type: ignore[override]
        """Open the object for reading, as a seekable stream; raises `OSError`."""
        from lumen.files.stores import open_object

        assert mode == "rb", mode
        return open_object(self).stream

    def read_bytes(self) -> bytes:
        """Return the whole object; raises `OSError`."""
        with self.open() as stream:
            data: bytes = stream.read()
        return data


class WebPath(StorePath):
    """The path of a file of the web, or of the folder around one.

    lumen takes paths apart into folders and names. So the folder keeps the URL of its one file, with what does not show
    in the path: a password, the part that follows a `?`, and how the names are encoded.
    """

    _address = ""
    _leaf = ""  # of a folder: the name of its file

    @classmethod
    def of(cls, parts: Sequence[str], address: str, leaf: str = "") -> WebPath:
        """Return the path of a file with that URL, or with `leaf`, the name of the file, the folder around it."""
        path = cls(*parts)
        path._address, path._leaf = address, leaf
        return path

    @property
    def key(self) -> str:
        """The whole URL, which may hold secrets."""
        return self._address

    @property
    def is_known(self) -> bool:
        """Whether it is a file whose URL was given: what lies beside it cannot be asked for."""
        return bool(self._address) and not self._leaf

    @property
    def parent(self) -> WebPath:
        """The folder around it."""
        return self.of(self.parts[:-1], self._address, self.name) if self.is_known else super().parent

    def __truediv__(self, name: Any) -> WebPath:
        inner = super().__truediv__(name)
        is_leaf = self._leaf and inner.parts == (*self.parts, self._leaf)
        return self.of(inner.parts, self._address) if is_leaf else inner

    def __str__(self) -> str:
        return masked(self._address) if self.is_known else super().__str__()

    def __reduce__(self) -> tuple[Any, ...]:
        return WebPath.of, self._facts()

    def _facts(self) -> tuple[object, ...]:
        return self.parts, self._address, self._leaf


def is_url(text: str) -> bool:
    """Tell whether a text is a URL.

    >>> is_url("s3://bucket/a.jpg"), is_url("s3:/bucket"), is_url("C:/a.jpg")
    (True, False, False)
    """
    return _URL.match(text) is not None


def masked(text: str) -> str:
    """Return a text without what is secret in the URLs that it holds: passwords, and all that follows a `?`.

    >>> masked("cannot read https://me:word@host/a.jpg?sig=1a2b: no answer")
    'cannot read https://***@host/a.jpg?*** no answer'
    """
    return _QUERY.sub(r"\1?***", _PASSWORD.sub("***@", text))


def path_of(place: str | os.PathLike[str]) -> Path:
    """Return the path of a file, or of an object if a URL names it.

    Keys are taken as they are: `%`, `+`, `#` and `?` mean themselves. In the URLs of files and of the web `%20` is a
    space, and on the web the part that follows a `?` belongs to the address and not to the name.

    Raises:
        UsageError: It is a URL that lumen cannot use.
    """
    if isinstance(place, StorePath):
        return place
    text = os.fspath(place)
    match = _URL.fullmatch(text)
    if match is None:
        return Path(place)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return _on_disk(text, rest)
    if scheme not in SCHEMES:
        known = ", ".join(f"{each}://" for each in ("file", *SCHEMES))
        raise UsageError(f"expected a path, or a URL that begins with one of {known}, got {masked(text)}")
    return _on_web(scheme, text) if scheme in WEB else _in_store(scheme, rest, text)


def _on_disk(text: str, rest: str) -> Path:
    from urllib.request import url2pathname  # which takes a while to import

    host, slash, path = rest.partition("/")
    if host not in ("", "localhost") or not slash:
        raise UsageError(f"expected file:///FOLDER/NAME with three slashes, got {text}")
    return Path(url2pathname(slash + path))


def _in_store(scheme: str, rest: str, text: str) -> StorePath:
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise UsageError(f"expected no user or password in a URL, got {masked(text)}; {LOGIN[scheme]}")
    if not bucket:
        raise UsageError(f"expected {scheme}://BUCKET/KEY, got {text}")
    names = key.rstrip("/").split("/") if key.rstrip("/") else []
    if not _NO_NAMES.isdisjoint(names):
        raise UsageError(f"expected a key without empty, '.' and '..' parts, got {text}")
    return StorePath(f"{scheme}:", bucket, *names)


def _on_web(scheme: str, text: str) -> StorePath:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    names = [_decoded(name) for name in parts.path.split("/") if name] if host else []
    if not names or parts.path.endswith("/"):
        raise UsageError(
            f"expected the URL of one file, such as {scheme}://HOST/NAME.jpg, got {masked(text)}: servers of the web "
            "list no folders"
        )
    return WebPath.of((f"{scheme}:", host if port is None else f"{host}:{port}", *names), text)


def _decoded(name: str) -> str:
    plain = unquote(name)
    return name if plain in _NO_NAMES or "/" in plain or "\0" in plain else plain


LOGIN = {
    "s3": "S3 is asked as the AWS tools ask it: by the environment, the files in ~/.aws, or the role of the machine",
    "gs": "Google Cloud Storage is asked with the application default credentials (gcloud auth application-default "
    "login)",
    "az": "Azure is asked as its SDK asks it: by AZURE_STORAGE_* in the environment, or the identity of the machine",
    **dict.fromkeys(WEB, "the server refuses this URL"),
}
