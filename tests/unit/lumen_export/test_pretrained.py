"""Public releases: the authors' weights under lumen's names, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from lumen.errors import ModelError, UsageError
from lumen.models.plain import PlainNetwork
from lumen_export.pretrained import read_release
from tests.support.releases import WIDTH, pattern, release_weights

# What the authors' own program gives for `pattern(20, 28)` with `release_weights()`: rows 0, 7, 19 and columns 0, 13,
# 27 of each channel.
GIVEN = [
    *(1.100994, -0.260419, -1.344415, 0.451359, -0.013936, 0.360042, 0.837568, 0.615998, -0.048840),
    *(1.568831, -0.248051, -0.714708, 0.238576, 0.160291, 0.322887, 1.125550, 0.309184, 0.224185),
    *(1.823229, 0.125492, -0.584633, 0.032398, 0.470162, 0.022229, 1.269214, 0.172256, 0.277002),
]


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@torch.no_grad()
def given_by(network: object) -> Tensor:
    assert isinstance(network, PlainNetwork)
    return network.whole(pattern(20, 28))[0, :, [0, 7, 19]][:, :, [0, 13, 27]].flatten()


def test_a_release_gives_what_its_own_program_gives(tmp_path: Path) -> None:
    network = read_release(saved(tmp_path / "release.pth", {"epoch": 5, "state_dict": release_weights()}), "mirnet")
    assert network.hyperparameters == {"groups": 1, "blocks": 1, "width": WIDTH, "streams": 3, "thumbnail_px": 512}
    assert torch.allclose(given_by(network), torch.tensor(GIVEN), atol=1e-3)


@torch.no_grad()
def test_bare_state_dicts_and_those_of_several_gpus_are_read_alike(tmp_path: Path) -> None:
    weights = release_weights()
    bare = read_release(saved(tmp_path / "bare.pth", weights), "mirnet")
    parallel = {f"module.{name}": value for name, value in weights.items()}
    other = read_release(saved(tmp_path / "parallel.pth", {"state_dict": parallel}), "mirnet")
    assert torch.equal(given_by(bare), given_by(other))


DOWN = "body.0.body.0.down.8_2.body.0."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({DOWN + "top.2.weight": None}, r"lacks body\.0\.body\.0\.down\.8_2\.body\.0\.top\.2\.weight$"),
        ({DOWN + "top.4.filt": None}, r"lacks .*top\.4\.filt$"),
        ({"conv_in.bias": torch.zeros(WIDTH)}, r"has unknown names: conv_in\.bias$"),
        ({DOWN + "top.2.weight": torch.zeros(8, 8, 5, 5)}, r"has other shapes: .* is \[8, 8, 5, 5\] instead of"),
        ({DOWN + "bot.0.filt": torch.full((8, 1, 3, 3), 1 / 9)}, r"expected the filter \[1 2 1\]"),
        ({"body.0.body.0.blocks.1.1.body.0.weight": torch.ones(16, 16, 3, 3)}, "differ, but the network shares them"),
        ({"body.0.body.0.blocks.2.1.body.1.weight": torch.ones(1)}, "differ, but the network shares them"),
        ({"conv_in.weight": None}, r"does not contain weights of mirnet as released \(it lacks conv_in\.weight\)"),
        ({"conv_in.weight": torch.zeros(12, 3, 3, 3)}, "multiples of 8, got 12"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, changes: dict[str, Tensor | None], message: str) -> None:
    weights = {name: value for name, value in {**release_weights(), **changes}.items() if value is not None}
    with pytest.raises(ModelError, match=message):
        read_release(saved(tmp_path / "release.pth", weights), "mirnet")


def test_long_lists_of_names_are_cut(tmp_path: Path) -> None:
    weights = {name: value for name, value in release_weights().items() if "last_up" not in name}
    with pytest.raises(ModelError, match=r"lacks .*, .*, .* and 15 more$"):
        read_release(saved(tmp_path / "release.pth", weights), "mirnet")


@pytest.mark.parametrize("content", [[1, 2], {}, {"state_dict": {"conv_in.weight": 3}}, {"state_dict": {}}])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ModelError, match="expected a state dict"):
        read_release(saved(tmp_path / "other.pth", content), "mirnet")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="more than weights and plain values, which is not loaded"):
        read_release(saved(tmp_path / "code.pth", {"state_dict": torch.nn.Conv2d(3, 3, 1)}), "mirnet")


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected weights at"):
        read_release(tmp_path / "none.pth", "mirnet")
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ModelError, match="damaged"):
        read_release(tmp_path / "torn.pth", "mirnet")


def test_other_architectures_have_no_known_release(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected --architecture out of mirnet, got 'residual'"):
        read_release(tmp_path / "release.pth", "residual")
