"""The errors that lumen raises on purpose, and the exit code of each.

::

    LumenError                     1  internal
    ├── UsageError                 2  options that contradict each other, an unsafe layout
    ├── PictureError               3  one picture cannot be processed (batches go on)
    │   ├── DecodeError               the file is damaged or not a picture
    │   ├── UnsupportedError          a sound picture of a kind lumen does not handle
    │   ├── EncodeError               the result cannot be stored in the requested format
    │   ├── NotFiniteError            the model gave NaN or infinity
    │   └── OutOfMemoryError          too little memory even for the smallest window
    ├── DataError                  3  pairs missing, sizes that differ, an empty data set
    ├── TrainingError              3  training failed: NaN or infinite gradients, or the loss exploded
    ├── NothingToDoError           4  no input matched
    ├── UnavailableError           5  something that is needed is missing
    │   ├── DeviceError               CUDA was requested and cannot be used
    │   ├── ModelError                a model file is missing, damaged or of another contract
    │   │   └── UnusableModelError    its file is there, but damaged or of another contract
    │   │       └── ContractError     it gave something else than its contract says
    │   ├── MissingExtraError         an optional package is not installed
    │   └── StoreError                a store cannot be reached, or does not let its objects be read
    └── OutputError                6  the output cannot be written
        ├── DiskFullError             no space left
        └── LockedError               another run holds the output folder

A message is one line: what was expected, what was given, what to do.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    SOME_FAILED = 3
    ALL_FAILED = 4
    UNAVAILABLE = 5
    OUTPUT = 6
    SIGINT = 130
    SIGTERM = 143


class LumenError(Exception):
    """Base of all errors raised on purpose; `exit_code` is the exit code of the command."""

    exit_code: Exit = Exit.INTERNAL


class UsageError(LumenError):
    """Options contradict each other, or the layout would overwrite an input."""

    exit_code = Exit.USAGE


class PictureError(LumenError):
    """One picture cannot be processed; a batch records it and continues."""

    exit_code = Exit.SOME_FAILED


class DecodeError(PictureError):
    """The file is damaged, truncated, empty or not a picture."""


class UnsupportedError(PictureError):
    """A sound picture of a kind lumen does not handle."""


class EncodeError(PictureError):
    """The result cannot be stored in the requested format."""


class NotFiniteError(PictureError):
    """The model gave NaN or infinity for a part of the picture; nothing is written."""


class OutOfMemoryError(PictureError):
    """There is too little memory, even for the smallest window."""


class DataError(LumenError):
    """Pairs are missing, sizes differ, or a data set is empty."""

    exit_code = Exit.SOME_FAILED


class TrainingError(LumenError):
    """Training failed with NaN or infinite gradients, or its loss exploded; the last good state is kept."""

    exit_code = Exit.SOME_FAILED


class NothingToDoError(LumenError):
    """No input matched."""

    exit_code = Exit.ALL_FAILED


class UnavailableError(LumenError):
    """Something that the command needs is missing."""

    exit_code = Exit.UNAVAILABLE


class DeviceError(UnavailableError):
    """The requested device cannot be used."""


class ModelError(UnavailableError):
    """A model file is missing, damaged, or does not follow the contract."""


class UnusableModelError(ModelError):
    """A model file is there, but is damaged or does not follow its contract; that is never the fault of a picture."""


class ContractError(UnusableModelError):
    """A model gave something else than its contract says."""


class MissingExtraError(UnavailableError):
    """An optional package is not installed; the message names the extra."""


class StoreError(UnavailableError):
    """A store cannot be reached, has nothing under a name, or does not let its objects be read."""


class OutputError(LumenError):
    """The output cannot be written."""

    exit_code = Exit.OUTPUT


class DiskFullError(OutputError):
    """No space is left where the output goes."""


class LockedError(OutputError):
    """Another run holds the output folder."""


def reason_of(error: BaseException) -> str:
    """Return the reason as one line for people."""
    if isinstance(error, LumenError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for this picture"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"internal error, {type(error).__name__}: {str(error).partition(chr(10))[0]}"
