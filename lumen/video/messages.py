"""The messages between lumen and the process of FFmpeg: a JSON object, and bytes if it says so."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

_LENGTH = struct.Struct(">I")
_MOST_BYTES = 1 << 20  # of a JSON object

Message = dict[str, Any]


def send(stream: BinaryIO, message: Mapping[str, Any], payload: memoryview | bytes = b"") -> None:
    """Write a message; raises `OSError` if nobody reads."""
    head = json.dumps({**message, "bytes": len(payload)}).encode()
    stream.write(_LENGTH.pack(len(head)) + head)
    if payload:
        stream.write(payload)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, bytearray]:
    """Read a message.

    Raises:
        EOFError: The other side has ended.
        ValueError: What came is no message.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if length > _MOST_BYTES:
        raise ValueError(f"expected a message of at most {_MOST_BYTES} bytes, got {length}")
    message = json.loads(_exactly(stream, length))
    return message, _exactly(stream, message["bytes"])


def _exactly(stream: BinaryIO, count: int) -> bytearray:
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        got = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        done += got
    return data
