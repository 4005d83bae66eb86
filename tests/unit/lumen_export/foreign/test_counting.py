"""What a graph costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import shape_inference

from lumen_export.foreign.counting import count_macs_of, count_weights, digest_of_weights
from lumen_export.foreign.reading import read_foreign
from tests.support import foreign_networks as nets


def test_weights_and_macs_of_convolutions(tmp_path: Path) -> None:
    for make in (nets.planes, nets.channels_last):
        network = read_foreign(make(tmp_path / "net.onnx"))
        assert count_weights(network.model) == 81
        assert count_macs_of(network, 100) == pytest.approx(81 * 100**2 / 1e9)


def test_what_onnx_cannot_infer_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise shape_inference.InferenceError("no shapes")

    monkeypatch.setattr(shape_inference, "infer_shapes", fail)
    assert count_macs_of(read_foreign(nets.planes(tmp_path / "net.onnx")), 100) == 0.0


def test_the_digest_is_of_the_weights(tmp_path: Path) -> None:
    first, again, other = (
        digest_of_weights(read_foreign(nets.planes_of(tmp_path / "net.onnx", nets.blur(gain), opset=opset)).model)
        for gain, opset in ((1.0, 18), (1.0, 11), (np.nextafter(1.0, 2) + 1e-6, 18))
    )
    assert first == again != other
