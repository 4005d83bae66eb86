"""One path of tones for a clip: a second process of FFmpeg reads ahead, and no frame is held for that.

Steady light looks about a second and a half ahead. As pictures, the frames of that time would take gigabytes at 4K. So
they are decoded twice: here for their thumbnails, which decide on the tones, and again when they are enhanced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache

from lumen.config import EnhanceOptions
from lumen.enhance.steady import SteadyLight, refuse_unsteady, thumbnail_of
from lumen.errors import UsageError
from lumen.runtime.protocols import Floats, Model, Models
from lumen.video.facts import ClipFacts
from lumen.video.process import FFmpegProcess
from lumen.video.source import frames_of

log = logging.getLogger(__name__)

REACH_S = 0.5


def is_steady(model: Model, options: EnhanceOptions) -> bool:
    """Return whether the frames of a clip can share a path of tones; if not, say why, once for each model."""
    try:
        refuse_unsteady(model, options)
    except UsageError as error:
        _say_once(str(error))
        return False
    return True


@cache
def _say_once(why: str) -> None:
    log.warning("the light of clips is not held steady: %s", why)


def tones_of(ffmpeg: FFmpegProcess, facts: ClipFacts, models: Models, options: EnhanceOptions) -> Iterator[Floats]:
    """Yield the tone float32 [K] of each frame of a clip, in order; arguments and errors are those of `frames_of`."""
    light: SteadyLight[None] = SteadyLight(models.for_sample(facts.sample), reach=REACH_S)
    for time, picture in frames_of(ffmpeg, facts, options):
        seen = thumbnail_of(picture, models)
        for ready in light.push(time, seen, None, ev=options.ev, shadows=options.shadows):
            yield ready.tone
    for ready in light.end():
        yield ready.tone
