"""The files of an exported model, which appear together and after all checks; what is known about them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lumen.errors import OutputError, UsageError
from lumen.files.atomic import check_writable
from lumen.runtime.model_files import half_of
from lumen.spec import ModelSpec, Precision, SampleType

SAMPLES: tuple[SampleType, ...] = ("uint8", "uint16")

Variant = tuple[SampleType, Precision]
FULL_VARIANTS: tuple[Variant, ...] = tuple((sample, "fp32") for sample in SAMPLES)
HALF_VARIANT: Variant = ("uint8", "fp16")  # only 8-bit: a half-precision number has 11 bits


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far the results of an exported file and of the network differ.

    Attributes:
        sample: Integer type compared.
        precision: That of the file.
        tiles: Number of tiles compared.
        worst_levels: Largest difference, in steps of the integer type.
        differing: Share of the samples that differ at all.
    """

    sample: SampleType
    precision: Precision
    tiles: int
    worst_levels: int
    differing: float


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The written files, the facts in the 8-bit one, and the agreements with the network; none if not checked."""

    files: tuple[Path, ...]
    spec: ModelSpec
    agreements: tuple[Agreement, ...]


def variant_path(path: Path, sample: SampleType, precision: Precision = "fp32") -> Path:
    """Return the path of a variant of `M.onnx`: itself, `M.u16.onnx` for 16 bit, `M.fp16.onnx` for half precision."""
    if precision == "fp16":
        return half_of(path)
    return path if sample == "uint8" else path.with_name(f"{path.stem}.u16{path.suffix}")


def check_out(source: Path, out: Path) -> None:
    """Refuse a path for the 8-bit file in fp32 that is none, or at which a file would replace what is exported.

    Raises:
        OutputError: Its folder cannot be written.
        UsageError: `out` does not end in `.onnx`, or ends in `.fp16.onnx`; a file would replace the source.
    """
    if out.suffix != ".onnx" or out == half_of(out):
        raise UsageError(f"expected -o to name the fp32 file, ending in .onnx but not in .fp16.onnx, got {out}")
    for place in {variant_path(out, *variant) for variant in (*FULL_VARIANTS, HALF_VARIANT)}:
        if os.path.realpath(place) == os.path.realpath(source):
            raise UsageError(f"expected -o with names of its own, got {out}: {place.name} is what is exported")
    check_writable(out.parent)


@contextmanager
def written_together(out: Path, variants: Sequence[Variant]) -> Iterator[Path]:
    """Yield a folder for the files of a model; they get their names when the block ends without an error.

    Args:
        out: Path of the 8-bit file in fp32.
        variants: The files that the block writes, under the names of `variant_path`.

    Raises:
        OutputError: The files cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as folder:
            yield Path(folder)
            for variant in variants:
                os.replace(Path(folder) / variant_path(out, *variant).name, variant_path(out, *variant))
            if HALF_VARIANT not in variants:  # one from an earlier export has other weights
                half_of(out).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
