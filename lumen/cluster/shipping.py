"""The model of a run on the machines of a cluster: files of the user travel there, bundled ones must be there."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lumen.config import RuntimeOptions
from lumen.errors import UnavailableError, UnusableModelError
from lumen.files.atomic import write_atomically
from lumen.files.inputs import hold_folder
from lumen.files.paths import is_plain_file
from lumen.runtime.model_files import bundled_models, find_model, full_of, half_of


@dataclass(frozen=True, kw_only=True)
class ShippedFile:
    """A file in the object store of the cluster: a reference to its bytes, and their SHA-256 in hex."""

    content: Any  # an ObjectRef of Ray
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ShippedModel:
    """A model for workers.

    Attributes:
        options: How it is run; a model of the user by the name of its file.
        files: The files of such a model, by name.
        bundled: SHA-256 of the files of a bundled model, by sample type.
    """

    options: RuntimeOptions
    files: Mapping[str, ShippedFile]
    bundled: Mapping[str, str]

    @classmethod
    def of(cls, options: RuntimeOptions) -> ShippedModel:
        """Put the files of a model into the object store.

        Raises:
            ModelError: There is no such model.
            UnusableModelError: A file cannot be read.
        """
        bundled = checksums_of(options.model)
        if bundled:
            return cls(options=options, files={}, bundled=bundled)
        path = find_model(options.model)
        full = full_of(path)
        family = {path, full, half_of(path), full.with_name(f"{full.stem}.u16{full.suffix}")}
        files = {each.name: _shipped(each) for each in sorted(family) if is_plain_file(each)}
        return cls(options=replace(options, model=path.name), files=files, bundled={})

    def unpacked(self) -> RuntimeOptions:
        """Return the options for this machine, with the files in a folder of the user that all workers share.

        Raises:
            UnavailableError: The machine has another model of that name.
            UnusableModelError: What came is not what was sent.
        """
        if not self.files:
            if (found := checksums_of(self.options.model)) != self.bundled:
                raise UnavailableError(
                    f"the model {self.options.model} differs from that of the machine that started the run "
                    f"({_short(found)} instead of {_short(self.bundled)}); install the same lumen on every node"
                )
            return self.options
        folder = _own_folder() / _digest_of(self.files)
        for name, file in self.files.items():
            _unpack(folder / name, file)
        return replace(self.options, model=str(folder / self.options.model))


def checksums_of(model: str) -> dict[str, str]:
    """Return the SHA-256 of the files of a bundled model by sample type; nothing if none has the name."""
    found = (each for each in bundled_models() if each.name == model)
    return {sample: file.sha256 for each in found for sample, file in each.files.items()}


def _shipped(path: Path) -> ShippedFile:
    import ray

    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnusableModelError(f"the model file {path} cannot be read: {error.strerror}") from error
    return ShippedFile(content=ray.put(data), sha256=hashlib.sha256(data).hexdigest())


def _unpack(path: Path, file: ShippedFile) -> None:
    import ray

    if is_plain_file(path) and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256:
        return
    data = ray.get(file.content)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise UnusableModelError(f"the model file {path.name} was damaged on its way to this machine; run again")
    # Other workers of this machine may do the same at this time: each writes a whole file.
    write_atomically(path, data, below=path.parent.parent)


def _own_folder() -> Path:
    """Return a folder that nobody else can write to: what lies in it is run."""
    name = f"lumen-models-{os.getuid() if hasattr(os, 'getuid') else getpass.getuser()}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700, exist_ok=True)
    with hold_folder(folder):  # raises for a link in its place
        facts = folder.lstat()
    if hasattr(os, "getuid") and (facts.st_uid != os.getuid() or facts.st_mode & 0o022):
        raise UnavailableError(f"the folder {folder} belongs to somebody else; remove it, or set TMPDIR on the nodes")
    return folder


def _digest_of(files: Mapping[str, ShippedFile]) -> str:
    text = "\n".join(f"{name} {file.sha256}" for name, file in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _short(checksums: Mapping[str, str]) -> str:
    return "SHA-256 " + ", ".join(f"{each[:12]}..." for each in checksums.values()) if checksums else "none"
