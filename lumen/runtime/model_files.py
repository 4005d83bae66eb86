"""Files of models: bundled with the package (checked by SHA-256) or given by path.

`lumen/data/models.json` lists the bundled ones::

    {"models": [{"name": "lumen-s",
                 "files": {"uint8":  {"file": "lumen-s.onnx",     "sha256": "...", "size": 5000000},
                           "uint16": {"file": "lumen-s.u16.onnx", "sha256": "...", "size": 5000000}}}]}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lumen.errors import ModelError, UnusableModelError
from lumen.files.paths import is_plain_file, type_of
from lumen.spec import SampleType

HALF = ".fp16"

DATA = Path(__file__).resolve().parents[1] / "data"
INDEX = "models.json"


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One ONNX file of a bundled model: its path, SHA-256 in hex and size in bytes."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class BundledModel:
    """A bundled model: its name and one file per sample type."""

    name: str
    files: Mapping[SampleType, ModelFile]


def bundled_models(folder: Path | None = None) -> tuple[BundledModel, ...]:
    """Return the models in the `models.json` of a folder (by default the package's data); none without such a file.

    Raises:
        ModelError: The list is malformed.
    """
    folder = folder or DATA
    index = folder / INDEX
    if not type_of(index):
        return ()
    try:
        return tuple(
            BundledModel(
                name=model["name"],
                files={
                    sample: ModelFile(path=folder / entry["file"], sha256=entry["sha256"], size=entry["size"])
                    for sample, entry in model["files"].items()
                },
            )
            for model in json.loads(index.read_text(encoding="utf-8"))["models"]
        )
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"the list of bundled models {index} is malformed ({error!r}); install lumen again") from error


def find_model(name_or_path: str, sample: SampleType = "uint8") -> Path:
    """Return the ONNX file of a model for a sample type.

    Args:
        name_or_path: Name of a bundled model, or path of an 8-bit ONNX file (`M.onnx`, or `M.fp16.onnx` in half
            precision) with its 16-bit file `M.u16.onnx` beside it.
        sample: The sample type.

    Raises:
        ModelError: There is no such model, its 16-bit file is missing, or a bundled file is damaged.
    """
    known = {model.name: model for model in bundled_models()}
    if name_or_path in known:
        bundled = known[name_or_path].files.get(sample)
        if bundled is None:
            raise ModelError(f"the bundled model {name_or_path} has no {sample} file; install lumen again")
        verify_sha256(bundled.path, bundled.sha256)
        return bundled.path
    path = Path(name_or_path)
    if not is_plain_file(path):
        names = ", ".join(known) or "none in this installation"
        raise ModelError(f"there is no model {name_or_path!r}: expected the path of an .onnx file or a name ({names})")
    if sample == "uint8":
        return path
    full = full_of(path)
    deep = full.with_name(full.stem + ".u16" + full.suffix)
    if not is_plain_file(deep):
        raise ModelError(f"16-bit pictures need {deep.name} beside {path}; `lumen export-onnx` writes both")
    return deep


def half_of(path: Path) -> Path:
    """Return the path of an 8-bit model in half precision: `M.fp16.onnx` for `M.onnx` and for itself."""
    return full_of(path).with_name(full_of(path).stem + HALF + path.suffix)


def full_of(path: Path) -> Path:
    """Return the path of an 8-bit model in fp32: `M.onnx` for `M.fp16.onnx` and for itself."""
    return path.with_name(path.stem.removesuffix(HALF) + path.suffix)


def is_half(name_or_path: str) -> bool:
    """Return whether a model is named by the file in half precision."""
    return Path(name_or_path).stem.endswith(HALF)


@cache
def verify_sha256(path: Path, sha256: str) -> None:
    """Check a file against its digest; success is remembered for the process, failure is not.

    Raises:
        ModelError: The file is missing.
        UnusableModelError: It differs, or cannot be read.
    """
    if not is_plain_file(path):
        raise ModelError(f"the bundled model file {path} is missing; install lumen again")
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UnusableModelError(f"the bundled model file {path} cannot be read: {error.strerror}") from error
    if found != sha256:
        raise UnusableModelError(
            f"the bundled model file {path} is damaged: expected SHA-256 {sha256[:12]}..., got {found[:12]}...; "
            "install lumen again"
        )
