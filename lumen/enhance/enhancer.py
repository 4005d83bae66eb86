"""The Python API: one object that enhances files, arrays, PIL images and `Picture`s."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import numpy as np
from PIL import Image

from lumen.config import EnhanceOptions, PrecisionChoice, RuntimeOptions
from lumen.enhance.conversions import Array, Tensor, array_through, image_through, is_tensor, tensor_through
from lumen.enhance.file_io import read_source
from lumen.enhance.mapping import Mapped, map_pictures, map_sequence
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.steady import SteadyLight, refuse_unsteady, thumbnail_of
from lumen.imaging.picture import Picture
from lumen.runtime.open import ModelSet
from lumen.runtime.protocols import Floats

Kind = TypeVar("Kind", bound=Array | Image.Image | Picture | Tensor)
StrPath = str | os.PathLike[str]

_of_parents: list[ModelSet] = []  # models of parent processes, which forked children must not touch


class Enhancer:
    """Brightens and restores dark photographs, one call per picture.

    A picture may be the path of a file, a `Picture`, a PIL image, a numpy array or a torch tensor, or a list of these.
    The result has the same kind, size and depth; for a path it is a `Picture`, which its `save` stores. The input is
    never changed.

    Arrays hold RGB [H, W, 3] or grey [H, W], or a batch [N, H, W, 3]. Tensors may also be [3, H, W], [1, H, W] or
    [N, 3, H, W]. Both hold levels of uint8 or uint16, or floats in [0, 1], which are enhanced in 16 bits.

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
        picture: list[Any],
        ev: float = ...,
        *,
        shadows: float = ...,
        strength: float = ...,
        quality_passes: int = ...,
    ) -> list[Any]: ...

    @overload
    def __call__(
        self,
        picture: StrPath,
        ev: float = ...,
        *,
        shadows: float = ...,
        strength: float = ...,
        quality_passes: int = ...,
    ) -> Picture: ...

    def __call__(
        self,
        picture: StrPath | Picture | Image.Image | Array | Tensor | list[Any],
        ev: float = EnhanceOptions.ev,
        *,
        shadows: float = EnhanceOptions.shadows,
        strength: float = EnhanceOptions.strength,
        quality_passes: int = EnhanceOptions.quality_passes,
    ) -> Any:
        """Enhance one picture, or each of a list.

        Args:
            picture: Path, `Picture`, PIL image, array or tensor as above, or a list of them.
            ev: Exposure in stops relative to the model's own choice, within ±4.
            shadows: Factor of the local light, 0 to 2, for models that have one.
            strength: 0 keeps the input, 1 is the full result.
            quality_passes: 1, 4 or 8 passes, whose mean is the result.

        Returns:
            A new picture of the same kind; a `Picture` for a path, a list for a list. PIL images with a palette or one
            bit come back as RGB, RGBA or grey. Tensors stay on their device, and have no gradient.

        Raises:
            UsageError: A value is out of range.
            TypeError: The picture is not of one of these kinds.
            PictureError: The file cannot be decoded, or the picture cannot be enhanced.
            ValueError: The array is not a picture, such as floats beyond [0, 1]; the message says what to do.
        """
        options = EnhanceOptions(ev=ev, shadows=shadows, strength=strength, quality_passes=quality_passes)
        return self._through(picture, options, self._enhancing(options))

    def map(
        self,
        pictures: Iterable[Any],
        ev: float = EnhanceOptions.ev,
        *,
        shadows: float = EnhanceOptions.shadows,
        strength: float = EnhanceOptions.strength,
        quality_passes: int = EnhanceOptions.quality_passes,
        bar: bool = True,
    ) -> Iterator[Mapped]:
        """Enhance many pictures, in order, each when its result is asked for, with a bar on terminals and in notebooks.

        Args:
            pictures: Paths or anything else that a call takes; may be a generator.
            ev: As for a call; and so `shadows`, `strength` and `quality_passes`.
            shadows: As above.
            strength: As above.
            quality_passes: As above.
            bar: Whether to show the bar.

        Returns:
            An iterator over `source`, `result` and `error` of each picture. One that fails has an `error`, and the
            others go on.

        Raises:
            UsageError: A value is out of range.
            TypeError: `pictures` is a single path, or one of the pictures is of no known kind.
            ModelError: The model cannot be used, which would fail all of them.
        """
        options = EnhanceOptions(ev=ev, shadows=shadows, strength=strength, quality_passes=quality_passes)
        if isinstance(pictures, str | os.PathLike):
            raise TypeError(
                f"expected several pictures, got the one path {str(pictures)!r}; "
                "sorted(pathlib.Path(folder).glob('*.jpg')) lists those in a folder"
            )
        enhance = self._enhancing(options)
        return map_pictures(lambda picture: self._through(picture, options, enhance), pictures, bar=bar)

    def sequence(
        self,
        pictures: Iterable[Any],
        ev: float = EnhanceOptions.ev,
        *,
        shadows: float = EnhanceOptions.shadows,
        strength: float = EnhanceOptions.strength,
        quality_passes: int = EnhanceOptions.quality_passes,
    ) -> Iterator[Mapped]:
        """Enhance the frames of a sequence, in their order, with one steady light.

        A frame comes out when some 36 further ones were looked at, and those of the last scene at the end. Paths are
        read twice, so that memory does not grow; other pictures are held meanwhile.

        Args:
            pictures: Paths, or anything else that a call takes and that is one picture; may be a generator.
            ev: As for a call; and so `shadows` and `strength`.
            shadows: As above.
            strength: As above.
            quality_passes: 1 or 4.

        Returns:
            As for `map`. A frame that fails has an `error`, and the light of the others goes on.

        Raises:
            UsageError: A value is out of range, or the model has no tone stage.
            TypeError: One of the pictures is of no known kind, or several at once.
            ModelError: The model cannot be used.
        """
        options = EnhanceOptions(ev=ev, shadows=shadows, strength=strength, quality_passes=quality_passes)
        self._after_fork()
        models = self._models
        model = models.for_sample("uint8")
        refuse_unsteady(model, options)

        def look(picture: Any) -> Floats:
            seen: list[Floats] = []

            def note(each: Picture) -> Picture:
                seen.append(thumbnail_of(each, models))
                return each

            self._through(picture, options, note)
            if len(seen) != 1:
                raise TypeError(f"expected the frames of a sequence one by one, got {len(seen)} together")
            return seen[0]

        def enhance(tone: Floats, picture: Any) -> Any:
            return self._through(picture, options, self._enhancing(options, tone))

        return map_sequence(look, enhance, pictures, SteadyLight(model), (ev, shadows))

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

    def _through(self, picture: Any, options: EnhanceOptions, enhance: Callable[[Picture], Picture]) -> Any:
        if isinstance(picture, list):
            return [self._through(each, options, enhance) for each in picture]
        if isinstance(picture, Picture):
            return enhance(picture)
        if isinstance(picture, Image.Image):
            return image_through(picture, enhance)
        if isinstance(picture, np.ndarray):
            return array_through(picture, enhance)
        if is_tensor(picture):
            return tensor_through(picture, enhance)
        if isinstance(picture, str | os.PathLike):
            return enhance(read_source(Path(picture), options))
        raise TypeError(
            "expected a path, a Picture, a PIL image, a numpy array, a torch tensor or a list of these, "
            f"got {type(picture).__name__}; numpy.asarray makes an array of most others"
        )

    def _enhancing(self, options: EnhanceOptions, tone: Floats | None = None) -> Callable[[Picture], Picture]:
        def enhance(picture: Picture) -> Picture:
            self._after_fork()
            with self._lock:
                return enhance_picture(picture, self._models, options, fixed_tone=tone)

        return enhance
