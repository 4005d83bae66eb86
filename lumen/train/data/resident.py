"""Training data in the device's memory: pictures are kept there as uint8, and crops are cut there.

Draws the same samples as `Sampler`, from the same random numbers. Darkened photographs, which differ for every sample,
are made on the CPU and copied over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from lumen.errors import DataError
from lumen.imaging.thumbnail import area_weights
from lumen.train.data.sampler import MIXUP_BETA, Augmentation, Sampler

Parts = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class ResidentSampler:
    """Draws the crops of a sampler from pictures in the memory of a device.

    Pictures that another one, `beside`, already keeps on the same device are shared.

    Raises:
        DataError: They do not fit.
    """

    def __init__(self, sampler: Sampler, device: torch.device, beside: ResidentSampler | None = None) -> None:
        self.sampler, self.device = sampler, device
        there: dict[int, Tensor] = beside.stored if beside else {}
        kept = {id(pixels): pixels for e in (*sampler.pairs, *sampler.photos) for pixels in (e.low, e.high)}
        try:
            self.stored: dict[int, Tensor] = {
                key: there[key] if key in there else torch.tensor(pixels, device=device) for key, pixels in kept.items()
            }
        except torch.OutOfMemoryError as error:
            size = sum(pixels.nbytes for pixels in kept.values()) / 1e9
            raise DataError(
                f"the pictures ({size:.1f} GB) do not fit in the memory of {device}; leave out --resident"
            ) from error
        self._weights = cache(lambda length: torch.from_numpy(area_weights(length, sampler.thumbnail_px)).to(device))

    def batch(self, iteration: int, places: Sequence[int]) -> Parts:
        """Return low, high [n, 3, c, c], thumbnails [n, 3, t, t], brightness [n] and boxes [n, 4], on the device."""
        samples = [self._draw(iteration, place) for place in places]
        low, high, thumbnails, brightness, boxes = (torch.stack(list(parts)) for parts in zip(*samples, strict=True))
        return low.permute(0, 3, 1, 2), high.permute(0, 3, 1, 2), thumbnails.permute(0, 3, 1, 2), brightness, boxes

    def _draw(self, iteration: int, place: int) -> Parts:
        """Draw a sample in the order of `Sampler.draw`; the parts are [H, W, 3]."""
        sampler = self.sampler
        rng = sampler.rng(iteration, place)
        kind = sampler.kind(rng)
        first = self._sample(rng, kind)
        if rng.random() >= sampler.config.mixup:
            return first
        second, share = self._sample(rng, kind), float(rng.beta(*MIXUP_BETA))
        part, rest = float(np.float32(share)), float(np.float32(1 - share))  # in float32, as `blend` has them
        low, high, thumbnail, brightness, box = (part * a + rest * b for a, b in zip(first, second, strict=True))
        return low, high, thumbnail, brightness, box

    def _sample(self, rng: np.random.Generator, kind: int) -> Parts:
        sampler = self.sampler
        example, box = sampler.frame(rng, kind)
        if sampler.is_stored(kind, example):
            low, high = (self.stored[id(pixels)][box] for pixels in (example.low, example.high))
        else:
            made = sampler.render(rng, kind, example, example.low[box], example.high[box])
            low, high = (torch.tensor(pixels, device=self.device) for pixels in made)
        augmentation = sampler.draw_augmentation(rng, low.shape[0], low.shape[1])
        place = torch.tensor(augmentation.place(*low.shape[:2]), device=self.device)
        if not sampler.thumbnail_px:
            nothing = torch.zeros(1, 1, 3, device=self.device)
            return self._crop(low, augmentation), self._crop(high, augmentation), nothing, nothing[0, 0, 0], place
        mean = (high.sum(dtype=torch.int64).double() / high.numel() / 255).float()
        return (
            self._crop(low, augmentation),
            self._crop(high, augmentation),
            _turned(self._thumbnail(low), augmentation),
            mean,
            place,
        )

    def _crop(self, pixels: Tensor, augmentation: Augmentation) -> Tensor:
        return _turned(pixels[augmentation.box], augmentation).float() / 255

    def _thumbnail(self, pixels: Tensor) -> Tensor:
        """Return the area means [t, t, 3] in [0, 1] of uint8 [H, W, 3]."""
        rows, columns = (self._weights(side) for side in pixels.shape[:2])
        return torch.einsum("rh,hwc,kw->rkc", rows, pixels.float(), columns) / 255


def _turned(pixels: Tensor, augmentation: Augmentation) -> Tensor:
    turned = torch.rot90(pixels, augmentation.turn)
    return turned.flip(1) if augmentation.flip else turned
