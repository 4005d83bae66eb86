"""Networks in PyTorch.

All of them take and return float tensors in NCHW layout, sRGB levels in [0, 1].
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lumen.errors import UsageError
from lumen.models.base import Network
from lumen.registry import ARCHITECTURES

__all__ = ["Network", "build_network"]


def build_network(name: str, **hyperparameters: Any) -> Network:
    """Build an untrained network by its name in `lumen.registry.ARCHITECTURES`, with arguments of its class.

    Raises:
        UsageError: The name is unknown, or a hyper-parameter is unknown or out of range.
    """
    by_name = {architecture.name: architecture for architecture in ARCHITECTURES}
    if name not in by_name:
        raise UsageError(f"expected an architecture out of {', '.join(sorted(by_name))}, got {name!r}")
    module, _, class_name = by_name[name].target.partition(":")
    try:
        network = getattr(import_module(module), class_name)(**hyperparameters)
    except (TypeError, ValueError, LookupError, RuntimeError, OverflowError, MemoryError) as error:
        raise UsageError(f"hyper-parameters of {name}: {str(error).partition(chr(10))[0]}") from error
    assert isinstance(network, Network)
    return network
