"""A sequence of pictures with steady light, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.enhance.steady import REACH, SteadyLight, refuse_unsteady, thumbnail_of
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models


def enhance_sequence(
    frames: Iterable[tuple[float, Picture]],
    models: Models,
    options: EnhanceOptions | None = None,
    *,
    reach: float = REACH,
) -> Iterator[Picture]:
    """Enhance the pictures of a sequence with steady light, in their order.

    Those of the look-ahead, about three `reach`, are held in memory.

    Args:
        frames: Time and picture of each; times as in `SteadyLight.push`.
        models: The 8-bit and 16-bit models.
        options: Exposure, shadows, strength, passes and memory.
        reach: As in `SteadyLight`.

    Raises:
        UsageError: The model or the passes do not allow it.
    """
    options = options or EnhanceOptions()
    steadied = models.for_sample("uint8")
    refuse_unsteady(steadied, options)
    light: SteadyLight[Picture] = SteadyLight(steadied, reach=reach)
    for time, picture in frames:
        seen = thumbnail_of(picture, models)
        for ready in light.push(time, seen, picture, ev=options.ev, shadows=options.shadows):
            yield enhance_picture(ready.item, models, options, fixed_tone=ready.tone)
    for ready in light.end():
        yield enhance_picture(ready.item, models, options, fixed_tone=ready.tone)
