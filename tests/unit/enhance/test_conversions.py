"""Arrays, tensors and PIL images come back as what they were."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lumen.enhance.conversions import array_through, is_tensor, tensor_through
from lumen.imaging.picture import Picture
from tests.conftest import ROOT


def doubled(picture: Picture) -> Picture:
    return replace(picture, pixels=picture.pixels * 2)


def levels(*shape: int, dtype: str = "uint8") -> Any:
    """Return values of which the double is in range: levels, or floats below a half."""
    rng = np.random.default_rng(0)
    if dtype.startswith("float"):
        return (rng.random(shape) / 2).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max // 2, shape).astype(dtype)


SHAPES = [(5, 7, 3), (5, 7), (5, 7, 1), (2, 5, 7, 3), (2, 5, 7, 1)]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_arrays_keep_shape_and_type(shape: tuple[int, ...], dtype: str) -> None:
    array = levels(*shape, dtype=dtype)
    result = array_through(array, doubled)
    assert (result.shape, result.dtype) == (array.shape, array.dtype)
    tolerance = {"float16": 1e-3, "float32": 2e-5, "float64": 2e-5}.get(dtype, 0)
    assert np.abs(result.astype(float) - 2 * array.astype(float)).max() <= tolerance


def test_what_half_a_thousandth_is_beyond_counts_as_the_end() -> None:
    seen = []

    def kept(picture: Picture) -> Picture:
        seen.append(picture)
        return picture

    assert array_through(np.array([[-0.0005, 1.0005]]), kept).tolist() == [[0.0, 1.0]]
    assert seen[0].sample == "uint16"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 5, 7), (2, 3, 5, 7), (3, 3, 5), *SHAPES], ids=str)
def test_tensors_keep_shape_type_and_device(shape: tuple[int, ...], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    whole = dtype.startswith("uint")
    tensor = torch.from_numpy(levels(*shape, dtype=dtype if whole else "float32")).to(kind)
    before = tensor.clone()
    result = tensor_through(tensor, doubled)
    assert (result.shape, result.dtype, result.device) == (tensor.shape, kind, tensor.device)
    assert result.is_contiguous()
    tolerance = 0 if whole else {"float16": 1e-3, "bfloat16": 5e-3}.get(dtype, 2e-5)
    assert float((result.double() - 2 * before.double()).abs().max()) <= tolerance
    assert torch.equal(tensor, before)


def test_the_third_size_from_the_end_tells_the_layout() -> None:
    """A picture of three rows: the same numbers are channels in torch's layout."""
    torch = pytest.importorskip("torch")
    seen = []

    def kept(picture: Picture) -> Picture:
        seen.append(picture)
        return picture

    tensor_through(torch.zeros(3, 5, 3), kept)
    tensor_through(torch.zeros(4, 5, 3), kept)
    assert [(each.height, each.width) for each in seen] == [(5, 3), (4, 5)]


def test_gradients_end_at_a_result() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.zeros(3, 5, 7, requires_grad=True)
    assert not tensor_through(tensor, doubled).requires_grad


@pytest.mark.parametrize("kind", ["int64", "bool"])
def test_tensors_of_other_types_are_refused(kind: str) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=f"got {kind}"):
        tensor_through(torch.zeros(3, 4, 4, dtype=getattr(torch, kind)), doubled)


def test_nobody_imports_torch_for_a_tensor() -> None:
    code = "import sys; from lumen.enhance.conversions import is_tensor; print(is_tensor(1), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    assert not is_tensor(np.zeros(3))
