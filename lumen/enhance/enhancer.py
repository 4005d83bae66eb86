"""The Python API: one object that enhances files, arrays, PIL images and `Picture`s."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from lumen.codecs.exif import with_prefix, without_prefix, without_thumbnail
from lumen.config import EnhanceOptions, PrecisionChoice, RuntimeOptions
from lumen.enhance.file_io import read_source
from lumen.enhance.pipeline import enhance_picture
from lumen.imaging.picture import Metadata, Picture
from lumen.runtime.open import ModelSet

Array = npt.NDArray[np.integer[Any]]
Kind = TypeVar("Kind", Array, Image.Image, Picture)

# The mode to which a PIL image is converted, by its own mode.
_OPAQUE = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
_TRANSPARENT = {"1": "LA", "L": "LA", "LA": "LA", "P": "RGBA", "PA": "RGBA", "RGB": "RGBA", "RGBA": "RGBA"}
_DEEP = "I;16"

_of_parents: list[ModelSet] = []  # models of parent processes, which forked children must not touch


class Enhancer:
    """Brightens and restores dark photographs, one call per picture.

    A picture may be the path of a file, a `Picture`, a PIL image, or an array of uint8 or uint16, RGB [H, W, 3] or grey
    [H, W]. The result has the same kind, size and depth; for a path it is a `Picture`, which `lumen.write_picture`
    stores. The input is never changed.

    Threads may share one object: their calls take turns, because one call uses all cores or the whole GPU. A copy
    pickled into another process opens the model there. `close`, or a `with` block, frees the memory.

    >>> import numpy as np
    >>> from lumen import Enhancer
    >>> dark = np.full((48, 64, 3), 12, np.uint8)
    >>> enhancer = Enhancer("lumen-s", device="cpu")
    >>> good = enhancer(dark)
    >>> good.shape, good.dtype
    ((48, 64, 3), dtype('uint8'))
    >>> bool(dark.mean() < good.mean() < enhancer(dark, ev=1.0).mean())
    True
    """

    _models: ModelSet
    _lock: threading.Lock
    _process: int

    def __init__(
        self,
        model: str | Path = RuntimeOptions.model,
        *,
        device: str = RuntimeOptions.device,
        precision: PrecisionChoice = RuntimeOptions.precision,
        threads: int = RuntimeOptions.threads,
    ) -> None:
        """Open a model.

        Args:
            model: Name of a bundled model, or path of an ONNX file made by `lumen export-onnx`.
            device: `auto`, `cpu`, `cuda`, `cuda:N` or `openvino:CPU|GPU|NPU`; a device requested by name is used, or an
                error says why not.
            precision: `auto`, `fp32`, `fp16` or `bf16`, see `RuntimeOptions`.
            threads: CPU threads; 0 means all cores.

        Raises:
            UsageError: A value is invalid.
            ModelError: There is no such model, or its file is damaged.
            DeviceError: The device cannot be used; the message gives the cause.
        """
        # Other processes may have another working directory.
        name = str(Path(model).absolute() if Path(model).suffix else model)
        self._runtime = RuntimeOptions(model=name, device=device, precision=precision, threads=threads)
        self._begin()
        self._models.for_sample("uint8")

    @property
    def device(self) -> str:
        """`cpu` or `cuda:N`: where the model really runs."""
        self._after_fork()
        return self._models.for_sample("uint8").device.name

    @overload
    def __call__(
        self, picture: Kind, ev: float = ..., *, shadows: float = ..., strength: float = ..., quality_passes: int = ...
    ) -> Kind: ...

    @overload
    def __call__(
        self,
        picture: str | os.PathLike[str],
        ev: float = ...,
        *,
        shadows: float = ...,
        strength: float = ...,
        quality_passes: int = ...,
    ) -> Picture: ...

    def __call__(
        self,
        picture: str | os.PathLike[str] | Picture | Image.Image | Array,
        ev: float = EnhanceOptions.ev,
        *,
        shadows: float = EnhanceOptions.shadows,
        strength: float = EnhanceOptions.strength,
        quality_passes: int = EnhanceOptions.quality_passes,
    ) -> Picture | Image.Image | Array:
        """Enhance one picture.

        Args:
            picture: Path, `Picture`, PIL image, or array uint8 or uint16, RGB [H, W, 3] or grey [H, W].
            ev: Exposure in stops relative to the model's own choice, within ±4.
            shadows: Factor of the local light, 0 to 2, for models that have one.
            strength: 0 keeps the input, 1 is the full result.
            quality_passes: 1, 4 or 8 passes, whose mean is the result.

        Returns:
            A new picture of the same kind; a `Picture` for a path. PIL images with a palette or one bit come back as
            RGB, RGBA or grey.

        Raises:
            UsageError: A value is out of range.
            TypeError: The picture is not of one of these kinds.
            PictureError: The file cannot be decoded, or the picture cannot be enhanced.
            ValueError: The array is not a picture, such as one of floats; the message says what to do.
        """
        options = EnhanceOptions(ev=ev, shadows=shadows, strength=strength, quality_passes=quality_passes)
        if isinstance(picture, Picture):
            return self._enhance(picture, options)
        if isinstance(picture, Image.Image):
            return _to_image(self._enhance(_from_image(picture), options), picture)
        if isinstance(picture, np.ndarray):
            return self._enhance(_from_array(picture), options).to_channels()
        if isinstance(picture, str | os.PathLike):
            return self._enhance(read_source(Path(picture), options), options)
        raise TypeError(
            f"expected a path, a Picture, a PIL image or a numpy array, got {type(picture).__name__}; "
            "numpy.asarray makes an array of most others"
        )

    def close(self) -> None:
        """Free the memory of the model; the next call opens it again."""
        self._after_fork()
        with self._lock:
            self._models = ModelSet(self._runtime)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_runtime": self._runtime}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"Enhancer({self._runtime.model!r}, device={self._runtime.device!r})"

    def _begin(self) -> None:
        self._models = ModelSet(self._runtime)
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _after_fork(self) -> None:
        """Start over in a forked child: the threads of the model and of the lock's holder exist in the parent only.

        The parent's model is kept unused, because closing it would wait for those threads forever.
        """
        if self._process != os.getpid():
            _of_parents.append(self._models)
            self._begin()

    def _enhance(self, picture: Picture, options: EnhanceOptions) -> Picture:
        self._after_fork()
        with self._lock:
            return enhance_picture(picture, self._models, options)


def _from_array(array: npt.NDArray[Any]) -> Picture:
    if array.dtype.kind == "f":
        raise ValueError(
            f"expected uint8 or uint16 levels, got {array.dtype}; for values in [0, 1] pass "
            "(array.clip(0, 1) * 65535).round().astype(numpy.uint16)"
        )
    native = array.dtype.newbyteorder("=")
    if native not in (np.uint8, np.uint16):
        raise ValueError(f"expected uint8 or uint16 levels, got {array.dtype}; convert them to one of these types")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or not array.size:
        raise ValueError(
            f"expected an array [height, width, 3] in RGB or [height, width] in grey, got {list(array.shape)}; "
            "pass other channels separately"
        )
    return Picture.from_channels(array.astype(native, copy=False), kind="png", metadata=Metadata())


def _from_image(image: Image.Image) -> Picture:
    modes = _TRANSPARENT if image.has_transparency_data else _OPAQUE
    mode = image.mode if image.mode.startswith(_DEEP) else modes.get(image.mode)
    if mode is None:
        raise ValueError(
            f"expected an image of mode {', '.join({**_OPAQUE, **_TRANSPARENT, _DEEP: _DEEP})}, got {image.mode}; "
            "image.convert('RGB') makes one"
        )
    samples = np.asarray(image if mode == image.mode else image.convert(mode))
    native = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    return Picture.from_channels(native, kind="png", metadata=Metadata(icc=image.info.get("icc_profile")))


def _to_image(picture: Picture, source: Image.Image) -> Image.Image:
    """Return a PIL image with the source's metadata, except for the dark thumbnail in the EXIF block."""
    image = Image.fromarray(picture.to_channels())
    image.info = {name: value for name, value in source.info.items() if name != "transparency"}
    exif = source.info.get("exif")
    if isinstance(exif, bytes):
        image.info["exif"] = with_prefix(without_thumbnail(without_prefix(exif)) or b"")
    return image
