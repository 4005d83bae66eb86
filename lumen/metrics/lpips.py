"""LPIPS: distance of two pictures in the features of a classification network. Needs torch and weights by path.

Reference:
    Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features as a perceptual metric.
    CVPR 2018.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lumen.errors import DataError, ModelError
from lumen.extras import TORCH_FAULTS, require_extra

MIN_SIDE_PX: Final = 35  # smaller pictures leave nothing for the last layers

# Number of a convolution in torchvision's AlexNet -> out, in, kernel, stride, padding, whether a pool precedes it.
_LAYERS: Final = {
    0: (64, 3, 11, 4, 2, False),
    3: (192, 64, 5, 1, 2, True),
    6: (384, 192, 3, 1, 1, True),
    8: (256, 384, 3, 1, 1, False),
    10: (256, 256, 3, 1, 1, False),
}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_NAMES = (
    re.compile(r"(?:.*\.)?(?:features|slice\d)\.(?P<layer>\d+)\.(?P<kind>weight|bias)"),
    re.compile(r"(?:.*\.)?lin(?P<head>\d)\.model\.1\.weight"),
)


class Lpips:
    """LPIPS 0.1 with AlexNet, safe to share between threads.

    The weights come from two files of other projects and are not part of lumen: torchvision's AlexNet (its state as a
    `.pth` file) and the five heads (`alex.pth` of the authors' package). One file may hold both.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """Load the weights.

        Raises:
            MissingExtraError: torch is not installed.
            ModelError: The files do not contain the weights.
        """
        with require_extra("lpips"):
            import torch
        self._torch = torch
        self._lock = threading.Lock()
        state: dict[str, Any] = {}
        for path in paths:
            state |= _named(_loaded(torch, path))
        wanted: dict[str, tuple[int, ...]] = {}
        for head, (layer, (out, into, side, *_)) in enumerate(_LAYERS.items()):
            wanted |= {
                f"{layer}.weight": (out, into, side, side),
                f"{layer}.bias": (out,),
                f"head{head}": (1, out, 1, 1),
            }
        wrong = [name for name, shape in wanted.items() if name not in state or tuple(state[name].shape) != shape]
        if wrong:
            raise ModelError(
                f"expected the weights of AlexNet and of the LPIPS heads in {', '.join(map(str, paths))}, "
                f"missing or of another shape: {', '.join(wrong[:3])}"
            )
        self._state = {name: state[name].to(torch.float32) for name in wanted}

    def __call__(self, prediction: npt.NDArray[np.uint8], reference: npt.NDArray[np.uint8]) -> float:
        """Return the distance of two sRGB pictures uint8 `[H, W, 3]`, 0 for equal pictures.

        Raises:
            DataError: Shapes differ, or a side is shorter than 35 pixels.
        """
        if prediction.shape != reference.shape or prediction.ndim != 3 or prediction.shape[2] != 3:
            raise DataError(f"expected two RGB pictures of one size, got {prediction.shape} and {reference.shape}")
        if min(prediction.shape[:2]) < MIN_SIDE_PX:
            raise DataError(f"expected pictures of at least {MIN_SIDE_PX}x{MIN_SIDE_PX} pixels for LPIPS")
        torch = self._torch
        with self._lock, torch.inference_mode():  # torch uses all cores by itself
            pair = torch.from_numpy(np.stack([prediction, reference])).permute(0, 3, 1, 2).float() / 127.5 - 1.0
            shift, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
            return self._distance((pair - shift) / scale)

    def _distance(self, x: Any) -> float:
        """Return the weighted squared differences of unit features, averaged over places and summed over layers."""
        functional, total = self._torch.nn.functional, 0.0
        for head, (layer, (_, _, _, stride, padding, pooled)) in enumerate(_LAYERS.items()):
            x = functional.max_pool2d(x, 3, 2) if pooled else x
            weight, bias = self._state[f"{layer}.weight"], self._state[f"{layer}.bias"]
            x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
            unit = x / (x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10)
            difference = (unit[:1] - unit[1:]).pow(2)
            total += float(functional.conv2d(difference, self._state[f"head{head}"]).mean())
        return total


def _loaded(torch: Any, path: Path) -> Mapping[str, Any]:
    """Load tensors from a file without executing anything in it."""
    if not path.is_file():  # opening a pipe would wait for a writer
        raise ModelError(f"expected LPIPS weights in {path}, got something that is no file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except TORCH_FAULTS as error:
        raise ModelError(f"expected LPIPS weights in {path}, got none: {str(error).partition(chr(10))[0]}") from error
    if not isinstance(state, Mapping):
        raise ModelError(f"expected LPIPS weights by name in {path}, got {type(state).__name__}")
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _named(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return tensors under short names: `0.weight` of the network, `head0` of the heads."""
    found = {}
    for name, tensor in state.items():
        if match := _NAMES[0].fullmatch(name):
            found[f"{match['layer']}.{match['kind']}"] = tensor
        elif match := _NAMES[1].fullmatch(name):
            found[f"head{match['head']}"] = tensor
    return found
