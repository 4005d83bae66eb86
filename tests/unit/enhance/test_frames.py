"""Pictures that share a run of the model come out as if each were alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.frames import MOST_FRAMES, are_alike, enhance_frames, frames_per_run
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import OutOfMemoryError
from lumen.imaging.picture import Extra, Metadata, Picture
from lumen.runtime.open import ModelSet
from lumen.spec import SampleType
from tests.support.fakes import FakeModels


def frame(seed: int, height: int = 60, width: int = 90, sample: SampleType = "uint8") -> Picture:
    top = 120 if sample == "uint8" else 30000
    pixels = np.random.default_rng(seed).integers(0, top, (height, width, 3)).astype(sample)
    return Picture(pixels=pixels, format="png", metadata=Metadata(xmp=b"of its own"))


@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_together_each_comes_out_as_alone(sample: SampleType) -> None:
    models, options = FakeModels(gain=1.7, radius=2), EnhanceOptions(ev=0.5)
    pictures = [frame(seed, sample=sample) for seed in range(4)]
    together = enhance_frames(pictures, models, options)
    assert [shape[0] for shape in models.for_sample(sample).shapes] == [4]
    for picture, result in zip(pictures, together, strict=True):
        alone = enhance_picture(picture, models, options)
        assert np.array_equal(result.pixels, alone.pixels)
        assert result.metadata == alone.metadata
    assert not np.array_equal(together[0].pixels, together[1].pixels)


def test_the_bundled_model_gives_each_frame_its_own_exposure() -> None:
    models, options = ModelSet(RuntimeOptions(device="cpu", threads=1)), EnhanceOptions()
    pictures = [frame(seed, 64, 96) for seed in range(2)]
    pictures[1] = replace(pictures[1], pixels=pictures[1].pixels // 8)
    for picture, result in zip(pictures, enhance_frames(pictures, models, options), strict=True):
        alone = enhance_picture(picture, models, options)
        assert np.abs(result.pixels.astype(int) - alone.pixels).max() <= 1


def test_as_many_fit_as_fill_one_window() -> None:
    models, options = FakeModels(), EnhanceOptions(tile_px=512)
    assert frames_per_run(frame(0, 480, 480), models, options) == 1
    assert frames_per_run(frame(0, 240, 240), models, options) == 4  # 256 with the reflected border
    assert frames_per_run(frame(0, 16, 16), models, options) == MOST_FRAMES
    assert frames_per_run(frame(0, 600, 500), models, options) == 1  # more than one window
    assert frames_per_run(frame(0, 16, 16), FakeModels(whole=True), EnhanceOptions()) == 1  # windows have no limit


@pytest.mark.parametrize("options", [EnhanceOptions(strength=0.5), EnhanceOptions(quality_passes=4)])
def test_what_needs_more_than_a_plain_run_goes_alone(options: EnhanceOptions) -> None:
    assert frames_per_run(frame(0), FakeModels(), options) == 1


def test_other_tone_curves_go_alone(profile_gamma_1_8: Callable[[], bytes]) -> None:
    picture = replace(frame(0), metadata=Metadata(icc=profile_gamma_1_8()))
    assert frames_per_run(picture, FakeModels(), EnhanceOptions()) == 1


@pytest.fixture
def profile_gamma_1_8() -> Callable[[], bytes]:
    """Return an RGB profile whose levels are not those of sRGB."""

    def make() -> bytes:
        curve = b"curv\0\0\0\0" + (1).to_bytes(4) + round(1.0 * 256).to_bytes(2) + b"\0\0"
        tags = [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
        table, body = b"", b""
        offset = 128 + 4 + 12 * len(tags)
        for name, data in tags:
            table += name + (offset + len(body)).to_bytes(4) + len(data).to_bytes(4)
            body += data
        size = offset + len(body)
        header = size.to_bytes(4) + b"none" + b"\x02\x40\0\0" + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(88)
        return header + len(tags).to_bytes(4) + table + body

    return make


def test_only_equal_sizes_and_depths_are_alike() -> None:
    assert are_alike(frame(0), frame(1))
    assert not are_alike(frame(0), frame(1, 60, 91))
    assert not are_alike(frame(0), frame(1, sample="uint16"))


def test_a_fault_is_raised_for_all() -> None:
    def fault(_tiles: object) -> None:
        raise OutOfMemoryError("too many")

    with pytest.raises(OutOfMemoryError):
        enhance_frames([frame(0), frame(1)], FakeModels(fault=fault), EnhanceOptions())


def test_only_equal_tone_curves_are_alike(profile_gamma_1_8: Callable[[], bytes]) -> None:
    gamma = Extra(format="png", kind=b"gAMA", data=(100_000).to_bytes(4), label="gamma")
    text = Extra(format="png", kind=b"tEXt", data=b"Time\0now", label="text")
    for other in (Metadata(icc=profile_gamma_1_8()), Metadata(extras=(gamma,))):
        assert frames_per_run(replace(frame(0), metadata=other), FakeModels(), EnhanceOptions()) == 1
        assert not are_alike(frame(0), replace(frame(1), metadata=other))
    assert are_alike(frame(0), replace(frame(1), metadata=Metadata(extras=(text,))))
