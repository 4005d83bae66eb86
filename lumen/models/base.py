"""The interface of all networks, on which the trainer and the exporter rely."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lumen.spec import ThumbnailKind


class Stage(nn.Module):
    """A sequence of blocks whose activations can be recomputed in the backward pass instead of being kept.

    Reference:
        Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174, 2016.
    """

    recompute = False

    def through(self, block: Callable[..., Any], *inputs: Any) -> Any:
        """Return `block(*inputs)`."""
        if self.recompute and self.training and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


class Network(nn.Module):
    """A network that restores tiles of a picture, given a thumbnail of the whole picture.

    Attributes:
        align: Tile height and width must be multiples of this.
        thumbnail: How the thumbnail is made, see `lumen.imaging.thumbnail.thumbnail_for`.
        thumbnail_px: Longest side of the thumbnail.
        edge_px: Width of the reflection around a whole picture, so that zero padding does not mark its edge; a
            multiple of `align`.
        predicts_brightness: Whether it is trained to a given brightness, and has a head, `exposure`, that predicts it.
            Other networks are trained on crops alone: their `forward` uses neither thumbnails nor brightness.
        hyperparameters: Keyword arguments that rebuild this network.
        contract: Of the files it is exported to, see `lumen.spec`; 2 where it has a tone stage.
        tone_size: Length of the vector that the tone stage gives; 0 without one.
    """

    align: int
    thumbnail: ThumbnailKind = "square"
    thumbnail_px: int
    edge_px: int = 16
    predicts_brightness: bool = True
    hyperparameters: Mapping[str, Any]
    contract: int = 1
    tone_size: int = 0

    @abstractmethod
    def brightness(self, thumbnails: Tensor) -> Tensor:
        """Predict the mean sRGB level the restored picture should have.

        Args:
            thumbnails: float [M, 3, t, t] in [0, 1].

        Returns:
            float [M] in [0, 1].
        """

    @abstractmethod
    def restore(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Restore tiles to a given mean brightness of their whole picture.

        Args:
            tiles: float [N, 3, H, W] in [0, 1]; H and W multiples of `align`.
            thumbnails: float [M, 3, t, t] in [0, 1]; M = 1 (one picture) or M = N.
            brightness: float [M], mean sRGB level of the whole restored picture, in (0, 1).

        Returns:
            float [N, 3, H, W], nominally in [0, 1], not clamped.
        """

    def attainable(self, high: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:  # noqa: ARG002
        """Return what references [N, 3, H, W] of these mean levels become for the loss: themselves.

        Networks that bound how bright a picture may become return darker ones.
        """
        return high

    @abstractmethod
    def halve(self) -> None:
        """Convert the costly part of `restore` to float16, permanently.

        Inputs, outputs and everything that only reads the thumbnail stay float32: it is cheap, and sums of many pixels
        and steep curves need the range.
        """

    def enhance(self, tiles: Tensor, thumbnails: Tensor, shift: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Restore tiles to the brightness the network chooses, shifted.

        Args:
            tiles: float [N, 3, H, W] in [0, 1].
            thumbnails: float [M, 3, t, t] in [0, 1].
            shift: Turns the chosen mean levels [M] into those to reach.

        Returns:
            The restored tiles [N, 3, H, W], not clamped, and the mean levels [M] aimed at.
        """
        brightness = shift(self.brightness(thumbnails))
        return self.restore(tiles, thumbnails, brightness), brightness

    def forward(
        self,
        tiles: Tensor,
        thumbnails: Tensor,
        brightness: Tensor,
        boxes: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the result the loss is computed from; for networks that predict brightness that of `restore`.

        `boxes`, float [N, 4] as in `lumen.spec`, matter to networks of contract 2 only.
        """
        return self.restore(tiles, thumbnails, brightness)

    def checkpoint_activations(self, on: bool = True) -> None:
        """In training keep only the activations between blocks, and recompute the rest: more time, less memory."""
        for module in self.modules():
            if isinstance(module, Stage):
                module.recompute = on
