"""What the trainer and the exporter may rely on in every network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class Network(nn.Module):
    """A network that restores tiles of a picture in the light of a thumbnail of the whole picture.

    Attributes:
        align: Tile height and width must be multiples of this.
        thumbnail_px: Side of the square thumbnail.
        edge_px: Reflection around a whole picture, so that zero padding does not mark its edge; a multiple of `align`.
        hyperparameters: Keyword arguments that rebuild this network.
    """

    align: int
    thumbnail_px: int
    edge_px: int = 16
    hyperparameters: Mapping[str, Any]

    @abstractmethod
    def brightness(self, thumbnails: Tensor) -> Tensor:
        """Predict the mean sRGB level the restored picture should have.

        Args:
            thumbnails: float [M, 3, t, t] in [0, 1].

        Returns:
            float [M] in (0, 1), never below the mean of the thumbnail.
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

    @abstractmethod
    def halve(self) -> None:
        """Turn the costly part of `restore` to float16 for good.

        Inputs, outputs and all that only reads the thumbnail stay float32: it is cheap, and sums of many pixels and
        steep curves need the range.
        """

    def forward(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Same as `restore`."""
        return self.restore(tiles, thumbnails, brightness)
