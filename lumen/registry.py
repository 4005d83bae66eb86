"""The list of network architectures. The classes are named by strings, so that reading it does not import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network lumen can train and export.

    Attributes:
        name: Its name in recipes and checkpoints.
        target: `module:Class`, imported when the network is built.
        summary: One line for people.
    """

    name: str
    target: str
    summary: str


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        name="tone-mirnet",
        target="lumen.models.tone_mirnet:ToneMIRNet",
        summary="context-mirnet with a tone stage: a predicted curve that keeps colours, decided once per picture",
    ),
    Architecture(
        name="context-mirnet",
        target="lumen.models.context_mirnet:ContextMIRNet",
        summary="MIRNet whose gates read a context code taken from a thumbnail of the whole picture",
    ),
    Architecture(
        name="mirnet",
        target="lumen.models.mirnet:MIRNet",
        summary="MIRNet as its authors released it",
    ),
    Architecture(
        name="mirnet-keras",
        target="lumen.models.mirnet_keras:KerasMIRNet",
        summary="MIRNet as most tutorials build it",
    ),
    Architecture(
        name="mirnet-cbam",
        target="lumen.models.mirnet_keras:CBAMMIRNet",
        summary="the tutorials' MIRNet with the attention of CBAM",
    ),
    Architecture(
        name="residual",
        target="lumen.models.residual:Residual",
        summary="residual groups of 3x3 convolutions, without streams, attention or pools",
    ),
)
