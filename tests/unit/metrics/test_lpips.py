"""LPIPS by the formula of the paper, on networks of random weights; needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lumen.errors import DataError, ModelError
from lumen.evaluation import EvalOptions, score
from lumen.metrics.lpips import Lpips

torch: Any = pytest.importorskip("torch")


def network() -> Any:
    """Return torchvision's AlexNet up to its last convolution, by its own description."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1),
        nn.ReLU(),
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files as torchvision and the authors' package have them."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("weights")
    state = {f"features.{name}": value for name, value in network().state_dict().items()}
    torch.save(state | {"classifier.1.weight": torch.zeros(2, 2)}, folder / "alexnet.pth")
    widths = (64, 192, 384, 256, 256)
    torch.save({f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate(widths)}, folder / "alex.pth")
    return folder / "alexnet.pth", folder / "alex.pth"


def noise(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (70, 80, 3)).astype(np.uint8)


def expected(weights: tuple[Path, Path], first: Any, second: Any) -> float:
    state, heads = (torch.load(path, weights_only=True) for path in weights)
    net = network()
    net.load_state_dict({name[9:]: value for name, value in state.items() if name.startswith("features.")})
    features: list[list[Any]] = []
    for pixels in (first, second):
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 * 2 - 1
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)) / torch.tensor([0.458, 0.448, 0.450]).view(
            1, 3, 1, 1
        )
        found = []
        for layer in net:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        features.append(found)
    total = 0.0
    for i, (a, b) in enumerate(zip(*features, strict=True)):
        total += float((heads[f"lin{i}.model.1.weight"] * (a - b).detach() ** 2).sum(1).mean())
    return total


def test_the_distance_is_that_of_the_formula(weights: tuple[Path, Path]) -> None:
    a, b = noise(1), noise(2)
    assert Lpips(weights)(a, b) == pytest.approx(expected(weights, a, b), rel=1e-4)
    assert Lpips(weights)(a, a) == 0


def test_it_is_a_measure_of_eval(weights: tuple[Path, Path]) -> None:
    found = score(noise(1), noise(2), EvalOptions(lpips=weights))
    assert found.values["lpips"] == pytest.approx(Lpips(weights)(noise(1), noise(2)))


def test_one_file_may_hold_both(weights: tuple[Path, Path], tmp_path: Path) -> None:
    state, heads = (torch.load(path, weights_only=True) for path in weights)
    both = {f"net.slice1.{name[9:]}": value for name, value in state.items() if name.startswith("features.")}
    torch.save(both | heads, tmp_path / "both.pth")
    assert Lpips([tmp_path / "both.pth"])(noise(1), noise(2)) == pytest.approx(Lpips(weights)(noise(1), noise(2)))


def test_other_files_are_refused(weights: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "no.pth").write_bytes(b"no weights")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "short.pth")
    torch.save({1: torch.zeros(1), "features.0.weight": 1}, tmp_path / "others.pth")
    (tmp_path / "cut.pth").write_bytes(weights[0].read_bytes()[:1000])
    for paths, says in (
        (weights[:1], "head0"),
        ((tmp_path / "no.pth",), "expected LPIPS weights"),
        ((tmp_path / "list.pth",), "by name"),
        ((weights[1], tmp_path / "short.pth"), "missing or of another shape"),
        ((weights[1], tmp_path / "others.pth"), "missing or of another shape"),
        ((tmp_path / "cut.pth",), "expected LPIPS weights"),
    ):
        with pytest.raises(ModelError, match=says):
            Lpips(paths)


def test_small_and_unlike_pictures_are_refused(weights: tuple[Path, Path]) -> None:
    lpips = Lpips(weights)
    with pytest.raises(DataError, match="35x35"):
        lpips(noise(1)[:20], noise(2)[:20])
    with pytest.raises(DataError, match="one size"):
        lpips(noise(1), noise(2)[:60])
