"""What is a network from picture to picture, and what of a file is read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, version_converter

from lumen.errors import ModelError
from lumen_export.foreign import reading
from lumen_export.foreign.reading import LEAST_OPSET, opset_of, read_foreign
from tests.support import foreign_networks as nets
from tests.support.fakes import write_fake_onnx
from tests.support.files import put

Make = Callable[[Path], Path]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("opset", [7, 11, 17, 18, 20])
def test_old_opsets_become_newer_ones(path: Path, opset: int) -> None:
    network = read_foreign(nets.planes(path, opset=opset))
    assert opset_of(network.original) == opset
    assert opset_of(network.model) == max(opset, LEAST_OPSET)
    assert (network.channels_last, network.one_by_one, network.half_in, network.half_out) == (False, None, False, False)


def test_what_the_file_says_is_known_and_the_rest_is_left_open(path: Path) -> None:
    assert read_foreign(nets.channels_last(path)).channels_last is True
    assert read_foreign(nets.channels_last(path, shape=("a", "b", "c", "d"))).channels_last is None
    assert read_foreign(nets.one_by_one(path)).one_by_one is True
    assert read_foreign(nets.half(path)).half_in


WRONG: dict[str, tuple[Make, str]] = {
    "two inputs": (lambda p: nets.planes(p, more_inputs=["mask"]), r"one input, a picture, got 2 \(image, mask\)"),
    "two outputs": (lambda p: nets.planes(p, more_outputs=["aux"]), r"one output, a picture, got 2 \(better, aux\)"),
    "levels": (lambda p: nets.planes(p, dtype=TensorProto.UINT8), "float32 or float16 in .*, got uint8"),
    "doubles": (lambda p: nets.planes(p, dtype=TensorProto.DOUBLE), "got double"),
    "one size": (lambda p: nets.planes(p, shape=(1, 3, 64, 64)), r"any size, got \[1, 3, 64, 64\]; .*dynamic_axes"),
    "one width": (lambda p: nets.channels_last(p, shape=("n", "h", 64, 3)), r"any size, got \[\?, \?, 64, 3\]"),
    "batch of 4": (lambda p: nets.planes(p, shape=(4, 3, "h", "w")), r"got 4 in \[4, 3, \?, \?\]"),
    "grey": (nets.grey, r"3 channels, got \[\?, 1, \?, \?\]"),
    "three sizes": (lambda p: nets.planes(p, shape=(3, "h", "w")), r"as \[N, 3, H, W\] or .*, got \[3, \?, \?\]"),
    "nothing computed": (nets.without_operators, "computes its output"),
    "a model of lumen": (write_fake_onnx, "is a model of lumen already; use it as it is, with --model"),
    "garbage": (lambda p: put(p.parent, p.name, b"no network"), "expected an ONNX model in"),
    "empty": (lambda p: put(p.parent, p.name, b""), "expected an ONNX model in"),
    "nothing": (lambda p: p, "is no file"),
    "many functions": (lambda p: nets.with_functions(p, 12, 10), "at most 1,000,000 operators"),
    "an endless function": (lambda p: nets.with_functions(p, 0, 2), "f0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_such_network_is_refused_in_one_line(path: Path, name: str) -> None:
    make, says = WRONG[name]
    make(path)
    with pytest.raises(ModelError, match=says) as found:
        read_foreign(path)
    assert "\n" not in str(found.value)


def test_an_opset_that_cannot_be_converted_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no adapter\nat line 3")

    monkeypatch.setattr(version_converter, "convert_version", fail)
    with pytest.raises(ModelError, match=r"got 11: no adapter; export the network again with opset 18$"):
        read_foreign(nets.planes(path, opset=11))


def test_functions_are_put_in_place(path: Path) -> None:
    network = read_foreign(nets.with_functions(path, 3, 2))
    assert len(network.original.functions) == 3
    assert len(network.model.functions) == 0
    assert [node.op_type for node in network.model.graph.node] == [*["Identity"] * 4, "Conv"]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="is no file"):
        read_foreign(tmp_path / "net.onnx")


# Data in other files


def test_data_beside_the_file_is_read(path: Path) -> None:
    network = read_foreign(nets.with_data_beside(path))
    (weights,) = network.original.graph.initializer
    assert np.array_equal(onnx.numpy_helper.to_array(weights), nets.blur())


@pytest.mark.parametrize("location", ["../net.onnx.data", "/etc/passwd", "", "..", "missing", "net.onnx.data/", "a\0b"])
def test_data_elsewhere_is_not_read(path: Path, location: str) -> None:
    with pytest.raises(ModelError, match=r"in a file beside it, got|embedded null"):
        read_foreign(nets.with_data_beside(path, location))


def test_data_behind_a_link_is_not_read(path: Path, tmp_path: Path) -> None:
    nets.with_data_beside(path)
    data = tmp_path / "net.onnx.data"
    data.rename(tmp_path / "moved")
    data.symlink_to(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"in a file beside it, got 'net\.onnx\.data'"):
        read_foreign(path)


def test_data_that_is_too_short_or_too_large_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets.with_data_beside(path)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "MOST_BYTES", path.stat().st_size + 323)
        with pytest.raises(ModelError, match="at most 2 GB together"):
            read_foreign(path)
        patch.setattr(reading, "MOST_BYTES", 10)
        with pytest.raises(ModelError, match="of at most 2 GB, got"):
            read_foreign(path)
    data = path.with_name("net.onnx.data")
    data.write_bytes(data.read_bytes()[:300])
    with pytest.raises(ModelError, match=re.escape("expected 324 bytes for 'w'")):
        read_foreign(path)
