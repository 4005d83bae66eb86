"""Whose fault it is that a model failed: the picture's, or that of models which fail with every picture."""

from __future__ import annotations

import numpy as np

from lumen.config import EnhanceOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import ContractError, ModelError, NotFiniteError, UnavailableError
from lumen.imaging.picture import Picture
from lumen.runtime.protocols import Models
from lumen.spec import SampleType

PROBE_PX = 64


class LostModelsError(Exception):
    """The models fail with every picture; `__cause__` says why."""


def attributed(error: Exception, picture: Picture | None, models: Models, options: EnhanceOptions) -> Exception:
    """Return the error itself if it is that of the picture, `LostModelsError` if the models cannot be used."""
    if isinstance(error, ContractError):
        return _lost(error)
    if isinstance(error, NotFiniteError) and picture is not None:
        return error if _work(models, picture.sample, options) else _lost(error)
    if isinstance(error, UnavailableError):
        return error if _work(models, "uint8", options) else _lost(error)
    return error


def _work(models: Models, sample: SampleType, options: EnhanceOptions) -> bool:
    """Tell whether the models work with a picture that nobody sent: small, grey and dark."""
    level = np.iinfo(sample).max // 6
    picture = Picture(pixels=np.full((PROBE_PX, PROBE_PX, 3), level, sample), format="png")
    try:
        enhance_picture(picture, models, options)
    except Exception:  # noqa: BLE001
        return False
    return True


def _lost(error: Exception) -> LostModelsError:
    lost = LostModelsError()
    lost.__cause__ = error if isinstance(error, UnavailableError) else ModelError(str(error))
    return lost
