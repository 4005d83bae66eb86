"""Networks as in papers and tutorials: a picture in, a picture out, and no brightness to choose.

::

    thumbnail -> the network ----> mean level: the brightness chosen
                     | pools
    tile ------> the network ----> a tone curve, if another brightness is requested

If such a network has global pools, they are taken from the thumbnail, so that tiles do not differ. A picture no larger
than the thumbnail is its own thumbnail: its result is that of the network run over the whole picture.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from lumen.models.base import Network
from lumen.models.curve import apply_curve, solve_curve
from lumen.models.pools import OWN, Pools, Recorder, Replay

DARKEST = 1e-4  # lowest mean level to divide by
CURVE_STEPS = 24  # more than elsewhere: an error of the curve is an error of the whole finished picture


class PlainNetwork(Network):
    """Base of networks that are not given a brightness.

    The brightness it chooses is the mean level of its result for the thumbnail. Another one is reached by applying the
    tone curve of `lumen.models.curve` to the result; if none is requested, the result is not changed.
    """

    edge_px = 0
    predicts_brightness = False

    @abstractmethod
    def correction(self, pictures: Tensor, pools: Pools) -> Tensor:
        """Return what is added to the pictures.

        Args:
            pictures: float [N, 3, H, W] in [0, 1], sides in multiples of `align`.
            pools: Source of global pools.

        Returns:
            float [N, 3, H, W].
        """

    def whole(self, pictures: Tensor, pools: Pools = OWN) -> Tensor:
        """Run the network over pictures; the sum with the input stays float32 in a halved network.

        Returns:
            float [N, 3, H, W], nominally in [0, 1], not clamped.
        """
        dtype = next(self.parameters()).dtype
        return pictures + self.correction(pictures.to(dtype), pools).to(pictures.dtype)

    def brightness(self, thumbnails: Tensor) -> Tensor:
        """Return the mean level [M] of the network's result for thumbnails [M, 3, h, w] in [0, 1]."""
        return self.whole(thumbnails).clamp(0, 1).mean(dim=(1, 2, 3))

    def restore(self, tiles: Tensor, thumbnails: Tensor, brightness: Tensor) -> Tensor:
        """Restore tiles [N, 3, H, W] in [0, 1], and apply the curve that brings the picture to a mean level [M]."""
        return self.enhance(tiles, thumbnails, lambda _: brightness)[0]

    def enhance(self, tiles: Tensor, thumbnails: Tensor, shift: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Restore tiles [N, 3, H, W]; a single run over the thumbnails [M, 3, h, w] gives both brightness and pools."""
        recorder = Recorder()
        seen = self.whole(thumbnails, recorder).clamp(0, 1)
        chosen = seen.mean(dim=(1, 2, 3))
        wanted = shift(chosen)
        restored = self.whole(tiles, Replay(recorder.taken))
        return exposed(restored, seen, chosen, wanted), wanted

    def forward(self, tiles: Tensor, *_: Tensor | None) -> Tensor:
        """Run the network over crops [N, 3, H, W] in [0, 1], each with its own pools."""
        return self.whole(tiles)

    def halve(self) -> None:
        """Convert all weights to float16; pools, curve and the sum with the input stay float32."""
        self.half()


def exposed(restored: Tensor, seen: Tensor, chosen: Tensor, wanted: Tensor) -> Tensor:
    """Bring a result to another mean level, by the curve that brings the thumbnail's result there.

    Args:
        restored: float [N, 3, H, W], the result, not clamped.
        seen: float [M, 3, h, w] in [0, 1], the thumbnail's result; M = 1 or N.
        chosen: float [M], its mean level.
        wanted: float [M], the mean level to reach in (0, 1).

    Returns:
        float [N, 3, H, W]; `restored` unchanged where `wanted` equals `chosen`.
    """
    sample = seen[:, :, 2::4, 2::4].mean(dim=(1, 2, 3))  # the pixels that the curve is solved on
    u = solve_curve(seen, (sample * wanted / chosen.clamp(min=DARKEST)).clamp(max=0.999), CURVE_STEPS)
    curved = apply_curve(restored.clamp(0, 1), u)
    return torch.where((wanted == chosen).view(-1, 1, 1, 1), restored, curved)
