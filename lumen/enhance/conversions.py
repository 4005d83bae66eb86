"""Arrays, tensors and PIL images through a function of pictures: each comes back as what it was.

torch is not imported here: whoever passes a tensor has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from lumen.codecs.exif import with_prefix, without_prefix, without_thumbnail
from lumen.imaging.picture import Metadata, Picture

Array = npt.NDArray[np.integer[Any]] | npt.NDArray[np.floating[Any]]
Enhance = Callable[[Picture], Picture]

TOP = 65535  # floats are enhanced as 16-bit levels
ROUNDING = 1e-3  # what resizing and half precision leave outside of [0, 1]

# The mode to which a PIL image is converted, by its own mode.
_OPAQUE = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}
_TRANSPARENT = {"1": "LA", "L": "LA", "LA": "LA", "P": "RGBA", "PA": "RGBA", "RGB": "RGBA", "RGBA": "RGBA"}
_DEEP = "I;16"
_CHANNELS = (1, 3)


class Tensor(Protocol):
    """What is used of a `torch.Tensor`."""

    dtype: Any
    device: Any

    def detach(self) -> Self:
        """Return it without its history."""

    def cpu(self) -> Self:
        """Return it in the memory of the CPU."""

    def to(self, *args: Any) -> Self:
        """Return it with another type or on another device."""

    def numpy(self) -> Any:
        """Return it as an array."""

    def is_floating_point(self) -> bool:
        """Return whether it holds floats."""


T = TypeVar("T", bound=Tensor)


def is_tensor(value: object) -> bool:
    """Return whether something is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def image_through(image: Image.Image, enhance: Enhance) -> Image.Image:
    """Return the result for a PIL image, with its metadata except for the dark thumbnail in the EXIF block."""
    result = Image.fromarray(enhance(_from_image(image)).to_channels())
    result.info = {name: value for name, value in image.info.items() if name != "transparency"}
    exif = image.info.get("exif")
    if isinstance(exif, bytes):
        result.info["exif"] = with_prefix(without_thumbnail(without_prefix(exif)) or b"")
    return result


def array_through(array: npt.NDArray[Any], enhance: Enhance) -> npt.NDArray[Any]:
    """Return the result for an array, or for each picture of a batch, with the shape and dtype of the array.

    Args:
        array: [H, W] or [H, W, 1] in grey, [H, W, 3] in RGB, or a batch [N, H, W, 1 or 3]. uint8 or uint16 levels, or
            floats in [0, 1], which are rounded to 16 bits.
        enhance: What is done to a picture.

    Raises:
        ValueError: It is none of these.
    """
    if array.ndim == 4 and len(array):
        return np.stack([array_through(each, enhance) for each in array])
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), *((count,) for count in _CHANNELS)) or not array.size:
        raise ValueError(
            "expected an array [height, width, 3] in RGB, [height, width] in grey, or a batch [N, height, width, 3], "
            f"got {list(array.shape)}; pass other channels separately"
        )
    picture = Picture.from_channels(_levels(array), kind="png", metadata=Metadata())
    result = enhance(picture).to_channels().reshape(array.shape)
    return (result / np.float64(TOP)).astype(array.dtype) if array.dtype.kind == "f" else result


def tensor_through(tensor: T, enhance: Enhance) -> T:
    """Return the result for a torch tensor, with its shape, dtype and device, and without a gradient.

    Args:
        tensor: Types and ranges as for `array_through`. [3, H, W] or [1, H, W], as is usual in torch, or [H, W, 3],
            [H, W, 1] or [H, W]; a batch has one more dimension in front. If the third size from the end is 1 or 3, it
            counts as the channels.
        enhance: What is done to a picture.

    Raises:
        ValueError: It is none of these.
    """
    torch = sys.modules["torch"]
    held = tensor.detach().cpu()
    array = (held.to(torch.float32) if held.is_floating_point() else held).numpy()  # numpy has no bfloat16
    first = array.ndim >= 3 and array.shape[-3] in _CHANNELS
    result = array_through(np.moveaxis(array, -3, -1) if first else array, enhance)
    result = np.ascontiguousarray(np.moveaxis(result, -1, -3) if first else result)
    back: T = torch.from_numpy(result).to(tensor.device, tensor.dtype)
    return back


def _levels(array: npt.NDArray[Any]) -> npt.NDArray[np.integer[Any]]:
    """Return an array as uint8 or uint16 levels."""
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # also refuses NaN
            raise ValueError(
                f"expected floats in [0, 1], got {low:g} to {high:g}; divide levels of 8 bits by 255, "
                "and clip what is outside"
            )
        return np.rint(np.clip(array.astype(np.float64), 0, 1) * TOP).astype(np.uint16)
    native = array.dtype.newbyteorder("=")
    if native not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected uint8 or uint16 levels, or floats in [0, 1], got {array.dtype}; convert them to one of these"
        )
    return array.astype(native, copy=False)


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
