"""Choice of the model for a picture, and the brightness that the model chooses."""

from __future__ import annotations

import logging

from lumen.color.tone import Tone, tone_of
from lumen.config import EnhanceOptions
from lumen.enhance.tile_size import window_px
from lumen.errors import ModelError, UnusableModelError, UsageError
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import thumbnail_for
from lumen.runtime.protocols import Model, Models

log = logging.getLogger(__name__)


def model_for(picture: Picture, models: Models) -> tuple[Model, Tone | None]:
    """Return the model for a picture, and the conversion of its levels to sRGB if they need one.

    The picture's depth decides. A picture with a tone curve other than that of sRGB always needs the 16-bit model: in
    8 bits the dark levels of other curves would merge. Without one its colours are taken for sRGB, with a warning.

    Raises:
        UnusableModelError: The file of the model is there, but damaged or of another contract.
        ModelError: The picture has 16 bits, and there is no model for them.
    """
    tone = tone_of(picture.metadata, picture.pixels.dtype)
    if tone is not None:
        try:
            return models.for_sample("uint16"), tone
        except UnusableModelError:
            raise
        except ModelError as error:
            log.warning(
                "treating the picture's colours as sRGB, so its brightness may be off, because the 16-bit model is "
                "missing: %s",
                error,
            )
    return models.for_sample(picture.sample), None


def check_options(model: Model, options: EnhanceOptions) -> None:
    """Refuse options that a model cannot follow, before the first picture.

    Raises:
        UsageError: The size of a window or the memory is too small, or the model has no local light to scale.
    """
    window_px(model, options)
    check_shadows(model, options)
    if options.frames == "all" and model.spec.contract == 1:
        raise UsageError(
            f"model {model.spec.name!r} has no tone stage, which --frames all needs for a steady light; use lumen-s"
        )


def check_shadows(model: Model, options: EnhanceOptions) -> None:
    """Refuse to scale local light that a model does not have; raises `UsageError`."""
    if options.shadows != EnhanceOptions.shadows and model.spec.contract == 1:
        raise UsageError(f"model {model.spec.name!r} has no tone stage, which --shadows needs; leave --shadows out")


def chosen_brightness(picture: Picture, models: Models) -> float:
    """Return the mean sRGB level in [0, 1] that the model chooses by itself."""
    model, tone = model_for(picture, models)
    return model.brightness(thumbnail_for(picture.pixels, model.spec, None if tone is None else tone.seen))
