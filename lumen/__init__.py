"""lumen brightens and restores dark photographs.

`import lumen` is instant: the names below are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lumen.version import __version__

if TYPE_CHECKING:
    from lumen import errors as errors
    from lumen import metrics as metrics
    from lumen.codecs.codec import read_picture as read_picture
    from lumen.codecs.codec import write_picture as write_picture
    from lumen.config import EnhanceOptions as EnhanceOptions
    from lumen.config import RuntimeOptions as RuntimeOptions
    from lumen.enhance.enhancer import Enhancer as Enhancer
    from lumen.enhance.pipeline import enhance_file as enhance_file
    from lumen.enhance.pipeline import enhance_picture as enhance_picture
    from lumen.evaluation import EvalOptions as EvalOptions
    from lumen.evaluation import evaluate as evaluate
    from lumen.imaging.picture import Picture as Picture
    from lumen.runtime.onnx_model import OnnxModel as OnnxModel
    from lumen.runtime.open import ModelSet as ModelSet
    from lumen.runtime.open import open_model as open_model

_LAZY = {
    "EnhanceOptions": "lumen.config",
    "Enhancer": "lumen.enhance.enhancer",
    "EvalOptions": "lumen.evaluation",
    "ModelSet": "lumen.runtime.open",
    "OnnxModel": "lumen.runtime.onnx_model",
    "Picture": "lumen.imaging.picture",
    "RuntimeOptions": "lumen.config",
    "enhance_file": "lumen.enhance.pipeline",
    "enhance_picture": "lumen.enhance.pipeline",
    "evaluate": "lumen.evaluation",
    "open_model": "lumen.runtime.open",
    "read_picture": "lumen.codecs.codec",
    "write_picture": "lumen.codecs.codec",
}

_MODULES = ("errors", "metrics")

__all__ = [
    "EnhanceOptions",
    "Enhancer",
    "EvalOptions",
    "ModelSet",
    "OnnxModel",
    "Picture",
    "RuntimeOptions",
    "__version__",
    "enhance_file",
    "enhance_picture",
    "errors",
    "evaluate",
    "metrics",
    "open_model",
    "read_picture",
    "write_picture",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"lumen.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'lumen' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
