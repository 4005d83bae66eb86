"""Training samples: what is drawn, and by what."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs

from lumen.errors import DataError
from lumen.train.data.load import Example
from lumen.train.data.sampler import Augmentation, Sample, Sampler, blend
from lumen.train.recipe.sections import DataConfig
from tests.support.training import darker, make_pairs, make_photos, scene


def sampler(**config: float) -> Sampler:
    settings = DataConfig(crop_px=16, **config)  # type: ignore[arg-type]
    return Sampler(make_pairs(3), make_photos(3), settings, thumbnail_px=32, seed=7)


def test_a_sample_depends_on_seed_iteration_and_place_alone() -> None:
    first, again, other = sampler().draw(5, 2), sampler().draw(5, 2), sampler().draw(5, 3)
    assert np.array_equal(first.low, again.low) and np.array_equal(first.thumbnail, again.thumbnail)
    assert not np.array_equal(first.low, other.low)


def test_low_and_high_show_the_same_place() -> None:
    for place in range(20):
        sample = sampler(synthetic=0, identity=0).draw(0, place)
        assert sample.low.shape == sample.high.shape == (16, 16, 3)
        assert sample.thumbnail.shape == (32, 32, 3)
        assert np.abs(sample.high * 0.1 - sample.low).max() < 1.01 / 255


def test_shares_decide_what_is_drawn() -> None:
    identical = [sampler(pairs=0, synthetic=0, identity=1).draw(0, place) for place in range(5)]
    assert all(np.array_equal(s.low, s.high) for s in identical)
    darkened = [sampler(pairs=0, synthetic=1, identity=0).draw(0, place) for place in range(10)]
    assert np.mean([s.low.mean() / s.high.mean() for s in darkened]) < 0.8
    assert all(s.brightness == pytest.approx(s.high.mean(), abs=0.35) for s in darkened)


def test_night_darkens_photographs_and_the_good_pictures_of_pairs() -> None:
    samples = [sampler(pairs=0, synthetic=0, identity=0, night=1).draw(0, place) for place in range(30)]
    assert np.median([s.low.mean() / s.high.mean() for s in samples]) < 0.3
    targets = [scene(i) for i in (0, 1, 2, 20, 21, 22)]
    for sample in samples[:10]:
        crop = np.round(sample.high * 255).astype(np.uint8)
        assert any(found_in(crop, target) for target in targets)


def found_in(crop: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a crop, turned or mirrored, is a part of a picture."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, crop.shape)[:, :, 0]
    turned = [np.rot90(side, turn) for side in (crop, crop[:, ::-1]) for turn in range(4)]
    return any((windows == view).all(axis=(2, 3, 4)).any() for view in turned)


def test_mixup_blends_two_samples_of_a_kind() -> None:
    plain, mixed = (
        [sampler(synthetic=0, identity=0, mixup=share).draw(0, place) for place in range(10)] for share in (0.0, 1.0)
    )
    assert all(not np.array_equal(a.high, b.high) for a, b in zip(plain, mixed, strict=True))
    assert all(np.abs(s.high * 0.1 - s.low).max() < 1.01 / 255 for s in mixed)  # as in every pair
    a, b = (
        Sample(low=p, high=p + 2, thumbnail=p + 4, brightness=v, box=p + 6)
        for p, v in ((np.ones(1, np.float32), 0.2), (np.zeros(1, np.float32), 0.6))
    )
    both = blend(a, b, 0.25)
    assert (both.low[0], both.high[0], both.thumbnail[0], both.box[0]) == (0.25, 2.25, 4.25, 6.25)
    assert both.brightness == pytest.approx(0.5)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_the_box_says_where_the_crop_lies_in_the_turned_picture(turn: int, flip: bool) -> None:
    picture = np.arange(12 * 20).reshape(12, 20, 1)
    augmentation = Augmentation(box=(slice(2, 6), slice(5, 9)), turn=turn, flip=flip)
    whole, crop = augmentation.turned(picture), augmentation.turned(picture[augmentation.box])
    height, width = whole.shape[:2]
    top, left, bottom, right = np.rint(augmentation.place(12, 20) * [height, width, height, width]).astype(int)
    assert np.array_equal(whole[top:bottom, left:right], crop)


def test_frames_for_the_brightness_are_mirrored() -> None:
    source = sampler(synthetic=0, identity=0, framing=0)
    thumbnails = {source.whole(0, place).thumbnail.tobytes() for place in range(60)}
    assert len(thumbnails) == 3 * 4


def drawn_from(source: Sampler, count: int = 400) -> dict[str, float]:
    """Return how often each picture is drawn, as shares."""
    names = [source.frame(source.rng(0, place), 0)[0].name for place in range(count)]
    return {name: names.count(name) / count for name in sorted(set(names))}


def test_sources_are_drawn_by_weight_and_scenes_alike() -> None:
    of_two = [
        Example(name=f"{source}{i}", low=darker(scene(i)), high=scene(i), source=source, scene="one" if i < 3 else "")
        for source, count in ((0, 4), (1, 1))
        for i in range(count)
    ]
    config = DataConfig(crop_px=16, synthetic=0, identity=0)

    def shares(config: DataConfig, weights: tuple[float, ...]) -> dict[str, float]:
        return drawn_from(Sampler(of_two, [], config, thumbnail_px=32, seed=7, weights=(weights, ())))

    assert list(shares(config, ()).values()) == pytest.approx([0.2] * 5, abs=0.07)
    weighted = shares(config, (1.0, 3.0))
    assert weighted["10"] == pytest.approx(0.75, abs=0.07) and weighted["03"] == pytest.approx(1 / 16, abs=0.04)
    by_scene = shares(structs.replace(config, by_scene=True), (3.0, 1.0))
    assert by_scene["03"] == pytest.approx(0.375, abs=0.07) and by_scene["00"] == pytest.approx(0.125, abs=0.06)


def test_clean_frames_are_given_noise_and_others_are_not() -> None:
    clean = [Example(name=e.name, low=e.low, high=e.high, clean=True) for e in make_pairs(3)]
    as_filed, noisy = (
        Sampler(clean, [], DataConfig(crop_px=16, framing=0, camera=share), thumbnail_px=32, seed=7)
        for share in (0.0, 1.0)
    )
    stored, made = ([source.draw(0, place) for place in range(10)] for source in (as_filed, noisy))
    assert all(np.abs(s.high * 0.1 - s.low).max() < 1.01 / 255 for s in stored)
    assert np.median([np.abs(s.high * 0.1 - s.low).max() for s in made]) > 2 / 255
    assert abs(np.mean([s.low.mean() - s.high.mean() * 0.1 for s in made])) < 4 / 255
    real = Sampler(make_pairs(3), [], noisy.config, thumbnail_px=32, seed=7).draw(0, 0)
    assert np.abs(real.high * 0.1 - real.low).max() < 1.01 / 255


def test_a_sampler_needs_something_to_draw_from() -> None:
    with pytest.raises(DataError, match="found neither"):
        Sampler([], [], DataConfig(), thumbnail_px=32, seed=0)
