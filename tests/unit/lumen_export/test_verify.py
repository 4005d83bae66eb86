"""Model files against the network they came from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from lumen.config import RuntimeOptions
from lumen.errors import ModelError, NotFiniteError
from lumen.models import Network
from lumen.runtime.open import open_model
from lumen_export.exported import Exported
from lumen_export.verify import compare
from tests.support.networks import copy_of


def test_torch_and_onnxruntime_agree(exported: Exported) -> None:
    found = {(agreement.sample, agreement.precision): agreement for agreement in exported.agreements}
    assert found["uint8", "fp32"].worst_levels <= 1 and found["uint8", "fp32"].differing < 1e-3
    assert found["uint16", "fp32"].worst_levels <= 2
    assert found["uint8", "fp16"].worst_levels <= 1 and found["uint8", "fp16"].differing < 0.05


def test_another_network_is_caught(exported: Exported, network: Network) -> None:
    other = copy_of(network)
    with torch.no_grad():
        other.get_parameter("head.weight").mul_(1.5)
    with pytest.raises(ModelError, match="differ by"):
        compare(other, exported.files[0], "uint8", count=4)


def test_an_exported_file_that_overflows_runs_in_fp32_or_not_at_all(
    exported: Exported, network: Network, tmp_path: Path
) -> None:
    """A weight above 65504 is infinite in half precision; onnxruntime computes the rest in fp32 on a CPU."""
    full, _, half = (Path(shutil.copy(path, tmp_path)) for path in exported.files)
    model = onnx.load(half)
    stem = next(each for each in model.graph.initializer if each.name.endswith("stem.bias"))
    weights = onnx.numpy_helper.to_array(stem).copy()
    weights[0] = np.inf
    stem.CopyFrom(onnx.numpy_helper.from_array(weights, stem.name))
    onnx.save(model, half)
    with pytest.raises(ModelError, match="the fp16 file gives NaN or infinity for 2 of 2 tiles"):
        compare(network, half, "uint8", count=2, precision="fp16")

    feeds = np.full((1, 16, 16, 3), 20, np.uint8), np.full((1, 32, 32, 3), 0.08, np.float32), np.zeros(1, np.float32)
    options = RuntimeOptions(model=str(full), device="cpu", precision="fp16")
    expected = open_model(replace(options, precision="fp32")).run(*feeds)
    assert np.array_equal(open_model(options).run(*feeds), expected)
    full.unlink()
    with pytest.raises(NotFiniteError, match="put its fp32 file beside it"):
        open_model(replace(options, model=str(half))).run(*feeds)
