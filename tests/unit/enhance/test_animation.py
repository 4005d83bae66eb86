"""Animations through the main path: all frames, with one steady light."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from lumen.config import EnhanceOptions
from lumen.enhance.frames import frames_per_run
from lumen.enhance.model_choice import check_options
from lumen.enhance.names import result_name
from lumen.enhance.pipeline import enhance_file, enhance_picture
from lumen.errors import UsageError
from lumen.imaging.picture import Animation, Picture
from tests.support.fakes import FakeModel, FakeModels

LEVELS = [20, 22, 19, 21, 24]
ALL = EnhanceOptions(frames="all", unchanged="encode")


def models() -> FakeModels:
    return FakeModels(contract=2, tone_size=2)


def strip(levels: list[int]) -> Picture:
    pixels = np.concatenate([np.full((32, 40, 3), level, np.uint8) for level in levels])
    return Picture(pixels=pixels, format="gif", animation=Animation(durations_ms=(50,) * len(levels)))


def means(pixels: np.ndarray, count: int) -> list[float]:
    return [float(each.mean()) for each in np.split(pixels, count)]


def test_the_frames_of_an_animation_share_one_light() -> None:
    seen: list[float] = []
    result = enhance_picture(strip(LEVELS), models(), ALL, seen.append)
    factors = [mean / level for mean, level in zip(means(result.pixels, 5), LEVELS, strict=True)]
    assert factors == pytest.approx([factors[0]] * 5, rel=0.04)
    assert result.animation == strip(LEVELS).animation
    assert seen == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_cut_in_it_is_followed() -> None:
    result = enhance_picture(strip([20] * 4 + [80] * 4), models(), ALL)
    assert means(result.pixels, 8) == pytest.approx([102] * 8, abs=1)


def test_a_tone_that_is_given_holds_for_all_frames() -> None:
    tone = np.array([np.log(3), 1], np.float32)
    result = enhance_picture(strip(LEVELS), models(), ALL, fixed_tone=tone)
    assert means(result.pixels, 5) == [3 * level for level in LEVELS]


def test_it_shares_no_run_with_others() -> None:
    assert frames_per_run(strip(LEVELS), models(), ALL) == 1


def test_a_model_without_tones_is_refused() -> None:
    with pytest.raises(UsageError, match="'fake' has no tone stage, which --frames all needs"):
        check_options(FakeModel(), ALL)
    check_options(FakeModel(contract=2, tone_size=2), ALL)


@pytest.mark.parametrize(
    ("name", "kind", "frames", "expected"),
    [
        ("a.gif", "same", "all", "a.gif"),
        ("a.GIF", "same", "all", "a.GIF"),
        ("a.gif", "same", "first", "a.png"),
        ("a.gif", "webp", "all", "a.webp"),
        ("a.png", "same", "all", "a.png"),
    ],
)
def test_the_result_of_a_gif_is_a_gif(name: str, kind: str, frames: str, expected: str) -> None:
    assert result_name(name, "", kind, frames=frames) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_a_file_of_all_frames_becomes_one(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (40, 32), (level,) * 3) for level in LEVELS]
    options: dict[str, Any] = {"duration": [50, 60, 70, 80, 90], "loop": 0} | (
        {"lossless": True} if suffix == "webp" else {}
    )
    frames[0].save(tmp_path / f"in.{suffix}", save_all=True, append_images=frames[1:], **options)
    enhance_file(tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}", models(), ALL)
    with Image.open(tmp_path / f"out.{suffix}") as result:
        assert result.format == suffix.upper()
        found = [
            (np.asarray(each.convert("RGB")).mean(), each.info["duration"]) for each in ImageSequence.Iterator(result)
        ]
    assert [duration for _, duration in found] == [50, 60, 70, 80, 90]
    assert [level for level, _ in found] == pytest.approx([5 * level for level in LEVELS], rel=0.06)
