"""NIQE: distance between the local statistics of a picture and those of good photographs, without a reference.

A picture is normalised by its local mean and contrast. For natural scenes the result follows one family of
distributions, which blur, noise and compression change. Blocks of 96x96 pixels give 36 parameters each, at two scales.
The score is the distance between two Gaussians over them: one of the picture, one of good photographs (`NaturalModel`).
Smaller is better. Scores with different models must not be compared.

Reference:
    Mittal, Soundararajan, Bovik: Making a "completely blind" image quality analyzer.
    IEEE Signal Processing Letters 20 (3), 2013.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lumen.errors import DataError, ModelError
from lumen.metrics.fidelity import gaussian

BLOCK_PX = 96
FEATURES = 36
SHARP = 0.75  # of the sharpest block of a photograph: blocks below are not used for a fit

_WINDOW, _SIGMA = 7, 7 / 6
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SHAPES = np.arange(0.2, 10.001, 0.001)
# What reading a file of another kind raises.
_READ_FAULTS = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
)
_NOTHING = 1e-9  # levels: in flat areas the sign of a rounding error would count
_RCOND = FEATURES * float(np.finfo(np.float64).eps)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class NaturalModel:
    """Gaussian over the 36 parameters of blocks of good photographs.

    Attributes:
        name: The photographs it was fitted on, for the protocol.
        mean: float64 `[36]`.
        covariance: float64 `[36, 36]`.
    """

    name: str
    mean: Floats
    covariance: Floats

    def __post_init__(self) -> None:
        shapes = (self.mean.shape, self.covariance.shape)
        if shapes != ((FEATURES,), (FEATURES, FEATURES)):
            raise ModelError(f"expected a NIQE model of {FEATURES} parameters, got shapes {shapes}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ModelError("expected a NIQE model of finite numbers, got NaN or infinity")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ModelError("expected a NIQE model of finite numbers, got NaN or infinity")

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, rounded to seven digits, far more than a score shows."""
        rounded = {
            key: np.vectorize(lambda x: float(f"{x:.7g}"))(array).tolist()
            for key, array in (("mean", self.mean), ("covariance", self.covariance))
        }
        return {"name": self.name, **rounded}


def niqe(gray: npt.NDArray[np.uint8], model: NaturalModel | None = None) -> float:
    """Return the distance from natural photographs, 0 or more; smaller is better.

    Args:
        gray: uint8 luma `[H, W]`, rounded. Pixels beyond whole blocks of 96 are ignored.
        model: The natural model; None means the bundled one.

    Raises:
        DataError: There are fewer than two blocks with any contrast.
    """
    model = model or bundled_model()
    features = block_features(gray)[0]
    if len(features) < 2:
        raise DataError(
            f"expected at least two blocks of {BLOCK_PX}x{BLOCK_PX} pixels with some contrast for NIQE, "
            f"got a picture of {gray.shape[1]}x{gray.shape[0]}"
        )
    difference = model.mean - features.mean(axis=0)
    spread = (model.covariance + np.cov(features, rowvar=False)) / 2
    return math.sqrt(max(0.0, float(difference @ np.linalg.pinv(spread, rcond=_RCOND) @ difference)))


def block_features(gray: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Return the parameters `[N, 36]` of the blocks of a picture, and their sharpness `[N]`.

    Blocks without contrast have no parameters and are left out.
    """
    rows, columns = gray.shape[0] // BLOCK_PX, gray.shape[1] // BLOCK_PX
    whole = gray[: rows * BLOCK_PX, : columns * BLOCK_PX]
    if not whole.size:
        return np.empty((0, FEATURES)), np.empty(0)
    fine, sharpness = _scale_features(whole, BLOCK_PX)
    coarse, _ = _scale_features(half_size(whole), BLOCK_PX // 2)
    features = np.hstack([fine, coarse])
    valid = np.isfinite(features).all(axis=1)
    return features[valid], sharpness[valid]


def fit_model(photographs: Iterable[npt.NDArray[np.uint8]], name: str) -> NaturalModel:
    """Fit a model to the sharp blocks of good photographs, given as luma `[H, W]`."""
    chosen = []
    for gray in photographs:
        features, sharpness = block_features(gray)
        if len(features):
            chosen.append(features[sharpness > SHARP * sharpness.max()])
    blocks = np.concatenate(chosen)
    return NaturalModel(name=name, mean=blocks.mean(axis=0), covariance=np.cov(blocks, rowvar=False))


@cache
def bundled_model() -> NaturalModel:
    """Return the bundled model."""
    return _from_values(json.loads(files("lumen.data").joinpath("niqe.json").read_text(encoding="utf-8")))


def read_model(path: Path) -> NaturalModel:
    """Read a model from a file: JSON like the bundled one, or NPZ with `mu_pris_param` and `cov_pris_param`.

    Raises:
        ModelError: The file cannot be read, or is not a NIQE model.
    """
    try:
        if path.suffix.lower() == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return _from_values(
                    {"name": path.name, "mean": arrays["mu_pris_param"], "covariance": arrays["cov_pris_param"]}
                )
        return _from_values(json.loads(path.read_text(encoding="utf-8")))
    except _READ_FAULTS as error:
        raise ModelError(
            f"expected a NIQE model in {path}, JSON with mean and covariance or NPZ with mu_pris_param and "
            f"cov_pris_param, got none: {error}"
        ) from error


def half_size(image: npt.NDArray[Any]) -> Floats:
    """Return a picture `[H, W]` with even sides at half its size, by an antialiased cubic filter."""
    distance = np.abs(np.arange(-3.5, 4)) / 2
    taps = np.where(
        distance <= 1,
        1.5 * distance**3 - 2.5 * distance**2 + 1,
        -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2,
    )
    taps /= taps.sum()
    result: npt.NDArray[Any] = image
    for axis in (0, 1):
        pad = [(3, 3) if each == axis else (0, 0) for each in (0, 1)]
        result = _filtered(np.pad(result, pad, mode="symmetric"), taps, axis, step=2)
    return result


def _scale_features(image: npt.NDArray[Any], block: int) -> tuple[Floats, Floats]:
    """Return 18 parameters and the sharpness of each block of a picture."""
    features, sharpness = [], []
    for contrast, normalised in _strips(image, block):
        blocks = _cut(normalised, block)
        features.append(_parameters(blocks))
        sharpness.append(_cut(contrast, block).mean(axis=(1, 2)))
    return np.concatenate(features), np.concatenate(sharpness)


def _strips(image: npt.NDArray[Any], block: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the local contrast and the picture divided by it `[block, W]`, for one strip of blocks after the other."""
    edge = _WINDOW // 2
    for y in range(0, len(image), block):
        above, below = max(0, y - edge), min(len(image), y + block + edge)
        missing = (edge - (y - above), edge - (below - y - block))
        strip = np.pad(image[above:below].astype(np.float64), (missing, (edge, edge)), mode="edge")
        mean = _blurred(strip)
        contrast = np.sqrt(np.abs(_blurred(strip * strip) - mean * mean))
        difference = strip[edge:-edge, edge:-edge] - mean
        difference[np.abs(difference) < _NOTHING] = 0.0
        yield contrast, difference / (contrast + 1.0)


def _blurred(strip: Floats) -> Floats:
    """Return the Gaussian mean over the 7x7 windows inside a strip."""
    for axis in (0, 1):
        strip = _filtered(strip, gaussian(_WINDOW, _SIGMA), axis, step=1)
    return strip


def _filtered(array: npt.NDArray[Any], taps: Floats, axis: int, *, step: int) -> Floats:
    """Return the sums of the values under a window along one axis, weighted by its taps, at every `step` pixels."""
    last = array.shape[axis] - len(taps) + 1
    parts = [array[k : k + last : step] if axis == 0 else array[:, k : k + last : step] for k in range(len(taps))]
    return np.asarray(sum((tap * part for tap, part in zip(taps[1:], parts[1:], strict=True)), taps[0] * parts[0]))


def _cut(strip: Floats, block: int) -> Floats:
    """Return the blocks `[N, block, block]` of a strip `[block, N * block]`."""
    return strip.reshape(block, -1, block).swapaxes(0, 1)


def _parameters(blocks: Floats) -> Floats:
    """Return 18 parameters of each block `[N, B, B]`: for its values, and for their products with four neighbours."""
    shape, left, right, _ = _asymmetric_fit(blocks)
    columns = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right, mean = _asymmetric_fit(blocks * np.roll(blocks, shift, axis=(1, 2)))
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def _asymmetric_fit(blocks: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Fit an asymmetric generalised Gaussian to each block by its moments: shape, left and right scale, mean."""
    flat = blocks.reshape(len(blocks), -1)
    squares = flat * flat
    below, above = flat < 0, flat > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.sqrt((squares * below).sum(axis=1) / below.sum(axis=1))
        right = np.sqrt((squares * above).sum(axis=1) / above.sum(axis=1))
        ratio = left / right
        moment = np.abs(flat).mean(axis=1) ** 2 / squares.mean(axis=1)
        wanted = moment * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    moments, scales, means = _gamma_tables()
    index = _nearest(moments, wanted)
    shape, scale = _SHAPES[index], scales[index]
    missing = np.where(np.isfinite(wanted), 0.0, np.nan)
    left, right = left * scale, right * scale
    return shape + missing, left + missing, right + missing, (right - left) * means[index] + missing


@cache
def _gamma_tables() -> tuple[Floats, Floats, Floats]:
    """Return for each shape in `_SHAPES` its moment ratio (rising), the factor of its scales, and that of its mean."""
    gamma = np.vectorize(math.gamma, otypes=[np.float64])
    one, two, three = (gamma(k / _SHAPES) for k in (1, 2, 3))
    return two * two / (one * three), np.sqrt(one / three), two / one


def _nearest(rising: Floats, wanted: Floats) -> npt.NDArray[np.intp]:
    """Return the index of the nearest value to each wanted one; 0 for NaN."""
    sound = np.nan_to_num(wanted, nan=0.0, posinf=0.0)
    right = np.clip(np.searchsorted(rising, sound), 1, len(rising) - 1)
    nearer_left = sound - rising[right - 1] <= rising[right] - sound
    return right - nearer_left


def _from_values(values: Mapping[str, Any]) -> NaturalModel:
    return NaturalModel(
        name=str(values["name"]),
        mean=np.asarray(values["mean"], np.float64).reshape(-1),
        covariance=np.asarray(values["covariance"], np.float64),
    )
