"""What is measured of a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.errors import ModelError
from lumen_export.foreign import measuring
from lumen_export.foreign.measuring import ALIGNS, Tiling, measure_layout, measure_tiles
from lumen_export.foreign.reading import read_foreign
from tests.support import foreign_networks as nets

Make = Callable[[Path], Path]


def measured(path: Path, **options: Any) -> Tiling:
    network, run = measure_layout(read_foreign(path), path.parent, options.get("align") or 1)
    return measure_tiles(run, half=network.half_in, **options)


@pytest.mark.parametrize(
    ("make", "align", "halo_px"),
    [
        (nets.planes, 1, 32),
        (nets.half, 1, 32),
        (lambda path: nets.multiples_of(path, 8), 8, 32),
        (nets.any_size_but_in_blocks, 4, 32),
    ],
    ids=["conv", "half", "multiples of 8", "blocks of 4"],
)
def test_align_and_halo_are_measured(tmp_path: Path, make: Make, align: int, halo_px: int) -> None:
    found = measured(make(tmp_path / "net.onnx"))
    assert (found.align, found.halo_px) == (align, halo_px)
    assert found.worst_levels <= 0.5


def test_a_deep_network_gets_a_large_halo(tmp_path: Path) -> None:
    """25 convolutions see 25 pixels around."""
    nodes = [nets.conv("image" if i == 0 else f"v{i}", "better" if i == 24 else f"v{i + 1}") for i in range(25)]
    box = np.zeros((3, 3, 3, 3), np.float32)
    box[range(3), range(3)] = 1 / 9
    found = measured(nets.write_network(tmp_path / "net.onnx", nodes, {"w": box}))
    assert 24 <= found.halo_px <= 40


def test_the_layout_is_tried_if_the_file_does_not_tell_it(tmp_path: Path) -> None:
    free = ("a", "b", "c", "d")
    for last, path in (
        (True, nets.channels_last(tmp_path / "last.onnx", shape=free)),
        (False, nets.planes(tmp_path / "first.onnx", shape=free)),
    ):
        assert measure_layout(read_foreign(path), tmp_path)[0].channels_last is last


def test_batches_are_tried(tmp_path: Path) -> None:
    assert measure_layout(read_foreign(nets.planes(tmp_path / "net.onnx")), tmp_path)[0].one_by_one is False
    network = read_foreign(nets.one_by_one(tmp_path / "net.onnx"))
    assert measure_layout(network, tmp_path)[0].one_by_one is True
    nets.one_by_one(tmp_path / "net.onnx", shape=nets.FREE)  # it says that it takes any number
    network, run = measure_layout(read_foreign(tmp_path / "net.onnx"), tmp_path)
    assert network.one_by_one is True
    assert run(np.zeros((3, 8, 8, 3), np.float32)).shape == (3, 8, 8, 3)


def test_a_network_that_looks_at_the_whole_picture_is_refused_or_not_cut(tmp_path: Path) -> None:
    path = nets.mean_of_all(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match=r"whole picture: tiles would differ from it by \d+ levels of 255; --whole"):
        measured(path, align=8)
    with pytest.raises(
        ModelError, match=r"with a halo of 64 px tiles would differ from the whole picture by \d+ levels"
    ):
        measured(path, align=8, halo_px=64)
    assert measured(path, whole=True) == Tiling(align=1, halo_px=0, worst_levels=0.0)


def test_a_halo_may_be_given_and_is_checked(tmp_path: Path) -> None:
    path = nets.multiples_of(tmp_path / "net.onnx", 8)
    assert measured(path, halo_px=20).halo_px == 24
    assert measured(nets.planes(tmp_path / "net.onnx"), halo_px=1).halo_px == 1
    with pytest.raises(
        ModelError, match=r"with a halo of 0 px tiles would differ .* by \d+ levels .* leave --halo out"
    ):
        measured(tmp_path / "net.onnx", align=8, halo_px=0)


def test_another_multiple_is_given(tmp_path: Path) -> None:
    path = nets.multiples_of(tmp_path / "net.onnx", 12)
    with pytest.raises(
        ModelError, match=r"the network fails for 256x128 pixels \(--align N if it needs multiples of N\)"
    ):
        measured(path)
    assert measured(path, align=12) == Tiling(align=12, halo_px=36, worst_levels=0.0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (nets.twice_as_large, "keeps the size of a picture, got one that enlarges it 2 times"),
        (nets.unpadded, rf"got \[1, {5 * ALIGNS[-1] - 2}|got \[1, 126, 254, 3\]"),
        (nets.in_levels, r"expected results in \[0, 1\] for a picture in \[0, 1\], got .* to \d+"),
    ],
    ids=["upscaler", "unpadded", "levels"],
)
def test_other_networks_are_refused(tmp_path: Path, make: Make, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        measured(make(tmp_path / "net.onnx"))


@pytest.mark.parametrize(
    "make",
    [
        nets.with_choice,
        nets.with_weights_as_inputs,
        nets.with_constants,
        lambda path: nets.with_operator_of(path, "com.microsoft", "Gelu"),
        lambda path: nets.planes(path, opset=23),
    ],
    ids=["inner graphs", "IR version 3", "constants", "operators of ONNX Runtime", "opset 23"],
)
def test_many_ways_to_write_a_network_are_run(tmp_path: Path, make: Make) -> None:
    assert measured(make(tmp_path / "net.onnx")).halo_px == 32


def test_hostile_networks_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(ModelError, match=r"cannot load the network: .*Load model from it failed.*com\.example:Strange"):
        measured(nets.with_operator_of(path, "com.example", "Strange"))
    with pytest.raises(ModelError, match=r"the network fails for 256x128 pixels .*allocate"):
        measured(nets.huge(path))
    monkeypatch.setattr(measuring, "LIMIT_S", 0.2)
    with pytest.raises(ModelError, match=r"takes more than 0\.2 s for 256x128 pixels"):
        measured(nets.endless(path))
