"""All frames of an animation, as one sequence with steady light."""

from __future__ import annotations

import numpy as np

from lumen.color.tone import Tone
from lumen.config import EnhanceOptions
from lumen.enhance.progress import PictureProgress, ignore_progress
from lumen.enhance.steady import SteadyLight, refuse_unsteady
from lumen.enhance.tiles import enhance_pixels
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.runtime.protocols import Floats, Model, Pixels


def enhance_animation(
    picture: Picture,
    model: Model,
    options: EnhanceOptions,
    progress: PictureProgress,
    tone: Tone | None = None,
    fixed_tone: Floats | None = None,
) -> Pixels:
    """Enhance the frames of an animation.

    Args:
        picture: With an `animation`.
        model: A model of contract 2.
        options: As of `enhance_pixels`.
        progress: As of `enhance_pixels`, for all frames.
        tone: As of `enhance_pixels`.
        fixed_tone: float32 [K], for all frames; without it they have a steady light.

    Raises:
        UsageError: The model does not allow it.
    """
    refuse_unsteady(model, options)
    frames = np.split(picture.pixels, picture.count)
    tones = [fixed_tone] * len(frames) if fixed_tone is not None else _steady(frames, model, options, tone)
    results: list[Pixels] = []
    for number, (frame, each) in enumerate(zip(frames, tones, strict=True), 1):
        results.append(enhance_pixels(frame, model, options, ignore_progress, tone, fixed_tone=each))
        progress(number / len(frames))
    return np.concatenate(results)


def _steady(frames: list[Pixels], model: Model, options: EnhanceOptions, tone: Tone | None) -> list[Floats]:
    light: SteadyLight[int] = SteadyLight(model)
    ready = []
    for number, frame in enumerate(frames):
        seen = thumbnail_for(frame, model.spec, None if tone is None else tone.seen)
        ready += light.push(number, seen, number, ev=options.ev, shadows=options.shadows)
    return [each.tone for each in [*ready, *light.end()]]
