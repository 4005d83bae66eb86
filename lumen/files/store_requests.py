"""Requests to stores: made through fsspec, again if they fail for the moment, and with errors in plain words.

Only a run that is given a URL imports fsspec. A request that fails for the moment (5xx, throttling, a connection that
is cut) is made again, beside what the SDK of the store does itself. Credentials are the SDK's: lumen neither takes nor
shows any.
"""

from __future__ import annotations

import errno
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from lumen.extras import Package
from lumen.files.store_path import WEB, StorePath, masked

log = logging.getLogger(__name__)

TRIES = 4
FIRST_PAUSE_S = 0.5  # doubled after each try

_FINAL = {errno.ENAMETOOLONG, errno.ENOSYS, errno.EISDIR, errno.ENOTDIR}
_LATER = {408, 425, 429}  # of the HTTP statuses below 500, those that pass

# What tells the SDKs which server to ask, by environment variable; what tells them who asks is not among them.
SERVER = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "STORAGE_EMULATOR_HOST",
    "AZURE_STORAGE_ACCOUNT_NAME",
)

_TALKATIVE = ("aiobotocore", "aiohttp", "adlfs", "asyncio", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How stores of one scheme are asked.

    Attributes:
        package: What talks to them.
        options: For the file system of fsspec.
        reading: For a whole object in one request: parts that are read at the same time may be of two contents.
        typed: Returns the options that give an object a media type.
    """

    package: Package
    options: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    typed: Callable[[str], Mapping[str, Any]] = lambda _: {}


_WEB = Kind(package=Package(name="fsspec[http]", module="aiohttp", extra="http"))
KINDS = {
    "s3": Kind(
        package=Package(name="s3fs", module="s3fs", extra="s3"),
        reading={"max_concurrency": 1},
        typed=lambda kind: {"ContentType": kind},
    ),
    "gs": Kind(package=Package(name="gcsfs", module="gcsfs", extra="gcs"), typed=lambda kind: {"content_type": kind}),
    "az": Kind(
        package=Package(name="adlfs", module="adlfs", extra="azure"),
        reading={"max_concurrency": 1},
        typed=lambda kind: {"content_settings": {"content_type": kind}},
    ),
    **dict.fromkeys(WEB, _WEB),
}


def asked(path: StorePath, request: Callable[[Any], _T]) -> _T:
    """Make a request, again if it fails for the moment; whatever goes wrong becomes an `OSError` in plain words."""
    files = file_system(path.scheme, os.getpid())
    pause_s = FIRST_PAUSE_S
    for left in reversed(range(TRIES)):
        try:
            return request(files)
        except Exception as error:  # noqa: BLE001  # every SDK has errors of its own
            fault, passes = _plain(path, error)
            if not (passes and left):
                # What the SDK says may hold what nobody should see, and would stand in a traceback.
                raise fault from None
            log.debug("%s: %s; asking again", path, fault.strerror)
        time.sleep(pause_s * random.uniform(0.5, 1))  # so that not all ask at the same time
        pause_s *= 2
    raise AssertionError


@cache
def file_system(scheme: str, _process: int) -> Any:
    """Return the file system of fsspec for a scheme, one in each process."""
    kind = KINDS[scheme]
    kind.package.require(f"{scheme}://", "copy the files to a disk")
    import fsspec

    for name in _TALKATIVE:
        # They would print warnings with tracebacks of their own where nobody has set up logging for them.
        logging.getLogger(name).addHandler(logging.NullHandler())
    return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True, **kind.options)


def _plain(path: StorePath, error: Exception) -> tuple[OSError, bool]:
    """Return an error of an SDK as an `OSError` with one line that holds no secrets, and whether it may pass."""
    if path.scheme in WEB and isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # fsspec takes every fault of a server for a missing file
    text = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        missing = next((each for each in ("bucket", "container") if each in text.lower()), "object")
        return FileNotFoundError(errno.ENOENT, f"there is no such {missing}", str(path)), False
    if isinstance(error, FileExistsError) or (status in (409, 412) and path.scheme != "az"):
        return FileExistsError(errno.EEXIST, "the key is taken", str(path)), False
    if isinstance(error, PermissionError) or status in (401, 403) or "redential" in type(error).__name__ + text:
        return PermissionError(errno.EACCES, f"access is refused ({masked(text)[:200]})", str(path)), False
    if isinstance(error, UnicodeError):
        return OSError(errno.EILSEQ, "the name is not Unicode, as keys must be", str(path)), False
    number = errno.ENOSYS if isinstance(error, NotImplementedError) else getattr(error, "errno", None) or errno.EIO
    passes = number not in _FINAL and (status is None or status in _LATER or (status >= 500 and status != 501))
    return OSError(number, masked(text)[:200], str(path)), passes


def _status(error: Exception) -> int | None:
    """Return the HTTP status that an error of an SDK, or its cause, tells of."""
    for each in (error, error.__cause__):
        response = getattr(each, "response", None)
        if isinstance(response, dict):
            found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return found if isinstance(found, int) else None
        for name in ("status", "status_code", "code"):
            if isinstance(found := getattr(each, name, None), int):
                return found
    return None
