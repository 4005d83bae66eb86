"""The papers' networks as model files: as torch computes them, exact in tiles, with an exposure to ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.model_choice import chosen_brightness
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import UsageError
from lumen.imaging.picture import Picture
from lumen.models.plain import PlainNetwork
from lumen.runtime.open import ModelSet
from lumen.train.validate import enhance_whole
from lumen_export import export
from lumen_export.convert import to_onnx
from lumen_export.tile_safety import tile_faults
from lumen_export.verify import compare
from tests.support.networks import NARROW, POOLED, dark_picture, narrow

HALO = 32
THUMBNAIL_PX = 128
STREAMS = 2  # tracing takes as long as there are ways between them


class Model(NamedTuple):
    network: PlainNetwork
    path: Path

    @property
    def models(self) -> ModelSet:
        return ModelSet(RuntimeOptions(model=str(self.path), device="cpu", threads=1))

    def enhance(self, pixels: NDArray[np.uint8], **options: Any) -> NDArray[np.uint8]:
        picture = Picture(pixels=pixels, format="png")
        return np.asarray(enhance_picture(picture, self.models, EnhanceOptions(**options)).pixels, np.uint8)


@pytest.fixture(scope="module", params=NARROW)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A narrow network and its 8-bit file; halo and memory are given, as measuring them takes long."""
    changes = {"thumbnail_px": THUMBNAIL_PX, "streams": STREAMS} if request.param in POOLED else {}
    network = narrow(request.param, **changes)
    path = tmp_path_factory.mktemp("plain") / f"{request.param}.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "calibrate_halo", lambda _: HALO)
        patch.setattr(export, "bytes_per_pixel", lambda *_, **__: 1000)
        trained = export.TrainedNetwork(network=network, architecture=request.param, training={})
        export.write_model(to_onnx(network), export.spec_of(trained, request.param, {}), path)
    return Model(network, path)


def pixels_of(picture: Tensor) -> NDArray[np.uint8]:
    return np.asarray((picture[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy())


def levels_apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    return int(np.abs(a.astype(int) - b).max())


def test_torch_and_onnxruntime_agree(model: Model) -> None:
    agreement = compare(model.network, model.path, "uint8", count=6)
    assert agreement.worst_levels <= 1 and agreement.differing < 1e-2


@pytest.mark.parametrize("size", [(53, 61), (128, 97), (1, 1)])
def test_a_picture_of_any_size_up_to_the_thumbnails_equals_the_network_run_whole(
    model: Model, size: tuple[int, int]
) -> None:
    pixels = pixels_of(dark_picture(*size))
    result = model.enhance(pixels)
    assert result.shape == pixels.shape
    assert levels_apart(result, enhance_whole(model.network, pixels, None)) <= 1
    if size > (1, 1):
        assert levels_apart(result, pixels) > 8, "control: the network does something"


def test_a_larger_picture_in_tiles_is_near_the_network_run_whole_and_has_no_steps(model: Model) -> None:
    pixels = pixels_of(torch.nn.functional.avg_pool2d(dark_picture(342, 462), 2))
    at_once, tiled = model.enhance(pixels), model.enhance(pixels, tile_px=100)
    difference = np.abs(at_once.astype(int) - tiled)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01, "tiles are a matter of memory alone"
    whole = enhance_whole(model.network, pixels, None)
    assert levels_apart(tiled, whole) <= 4
    if model.network.thumbnail == "square":
        assert levels_apart(tiled, whole) <= 1, "nothing is pooled"


def test_exposure_is_obeyed(model: Model) -> None:
    pixels = pixels_of(dark_picture(64, 80))
    picture = Picture(pixels=pixels, format="png")
    assert chosen_brightness(picture, model.models) == pytest.approx(model.enhance(pixels).mean() / 255, abs=0.02)
    darker, own, brighter = (float(model.enhance(pixels, ev=ev).mean()) for ev in (-1.0, 0.0, 1.0))
    assert darker < 0.8 * own and brighter > 1.2 * own


def test_memory_for_a_thumbnail_is_asked_for(model: Model) -> None:
    """One of the picture's own size takes as much as a window of that size."""
    pixels = pixels_of(dark_picture(16, 16))
    side = THUMBNAIL_PX if model.network.thumbnail == "fit" else 3 * HALO + 4
    if side == THUMBNAIL_PX:
        with pytest.raises(UsageError, match="--max-memory of at least 17M"):
            model.enhance(pixels, max_memory_bytes=16_000_000)
    assert model.enhance(pixels, max_memory_bytes=17_000_000).shape == pixels.shape


def test_pools_of_the_thumbnail_are_safe(model: Model) -> None:
    assert tile_faults(onnx.load(model.path)) == []


def test_pools_of_tiles_are_caught() -> None:
    network = narrow("mirnet-cbam", streams=2)
    network.enhance = lambda tiles, thumbnails, shift: (  # type: ignore[method-assign]
        network.whole(tiles),
        shift(thumbnails.mean(dim=(1, 2, 3))),
    )
    faults = tile_faults(to_onnx(network))
    assert {fault.split()[0] for fault in faults} == {"ReduceMean", "ReduceMax"}
