"""The seam between a model and what computes it: an engine, such as ONNX Runtime or OpenVINO.

An engine is a module with two functions: `find` returns one of its devices with the facts about it, `open_session`
opens a model file there. `lumen.runtime.choice` knows the engines. Nothing else tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lumen.errors import UnusableModelError
from lumen.runtime.devices import ComputePrecision, Device
from lumen.spec import ModelSpec

Size = str | int | None  # None is one that a graph does not tell

# Messages of the engines, cuDNN and cuBLAS when memory is short; there is no error class for it.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|failed to allocate|could not allocate|cannot allocate memory|bad_?alloc|bad allocation|"
    r"alloc_failed|can't alloc|available memory of \d+ is smaller",
    re.IGNORECASE,
)


class EngineError(Exception):
    """What an engine raised, in one line.

    Attributes:
        is_out_of_memory: Whether memory was short.
    """

    def __init__(self, error: Exception, line: str) -> None:
        """Take an engine's error, and the one of its many lines that says most."""
        super().__init__(line)
        self.is_out_of_memory = isinstance(error, MemoryError) or is_out_of_memory(str(error))


class Value(NamedTuple):
    """Type and shape of an input or output; `sample` is the type in the spec, and names stand for sizes."""

    dtype: str
    shape: tuple[Size, ...]

    def of(self, spec: ModelSpec, sizes: Mapping[Size, Size]) -> Value:
        """Return it for one model, with the sizes that are known by their names."""
        dtype = spec.sample if self.dtype == "sample" else self.dtype
        return Value(dtype, tuple(sizes.get(size, size) for size in self.shape))

    def __str__(self) -> str:
        return f"{self.dtype} [{', '.join('?' if size is None else str(size) for size in self.shape)}]"[:100]


class Session(Protocol):
    """A model file that an engine has opened on a device."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """`metadata_props` of the file."""

    @property
    def inputs(self) -> Mapping[str, Value]:
        """The inputs that the graph declares, by name; the shape is () where the graph does not tell it."""

    @property
    def outputs(self) -> Mapping[str, Value]:
        """The outputs, in the same way."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any], *, limit_s: float | None = None) -> Sequence[Any]:
        """Compute some outputs, and nothing else; signals and `terminate_runs` end it as in `lumen.runtime.runs`.

        Args:
            outputs: Names of the outputs.
            feeds: All inputs of the graph by name, as numpy arrays.
            limit_s: How long it may take.

        Raises:
            EngineError: The engine failed.
            TimeoutError: It took longer.
        """

    def trim(self, feeds: Mapping[str, Any]) -> None:
        """Free the memory that is kept between runs, without an error; `feeds` are tiny inputs to run for that."""


class Engine(Protocol):
    """A module that finds devices and opens model files on them."""

    def find(self, name: str, /) -> Device:
        """Return a device by its name.

        Raises:
            DeviceError: There is no such device, or it cannot be used; the message gives the cause and what to do.
        """

    def open_session(self, path: Path, device: Device, precision: ComputePrecision, threads: int, /) -> Session:
        """Open a model file.

        Args:
            path: The ONNX file.
            device: One that `find` has returned.
            precision: What to compute in. Devices that do not cast compute in the precision of the file.
            threads: CPU threads of one run; 0 takes all usable cores.

        Raises:
            DeviceError: The device cannot be used, or not for this model.
            UnusableModelError: The file cannot be loaded.
        """


def unloadable(path: Path, reason: str) -> UnusableModelError:
    """Return the error for a file that an engine cannot load as a model."""
    return UnusableModelError(
        f"{path} cannot be loaded as an ONNX model: {reason}; expected one of `lumen export-onnx`"
    )


def is_out_of_memory(message: str) -> bool:
    """Return whether an engine's message means that memory was short."""
    return _OUT_OF_MEMORY.search(message) is not None
