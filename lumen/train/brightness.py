"""The second stage: fit the head that predicts the brightness of the wanted picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lumen.models import Network
from lumen.train.data import Sampler
from lumen.train.recipe import Recipe

BANK_ITERATION = 1 << 40  # samples of this stage never repeat those of the first


def thumbnail_bank(sampler: Sampler, count: int) -> tuple[Tensor, Tensor]:
    """Draw thumbnails float32 [count, 3, t, t] in [0, 1] and the brightness [count] each wanted picture has."""
    samples = [sampler.draw(BANK_ITERATION, place) for place in range(count)]
    thumbnails = torch.from_numpy(np.stack([s.thumbnail for s in samples])).permute(0, 3, 1, 2)
    return thumbnails.contiguous(), torch.tensor([s.brightness for s in samples])


def fit_brightness(network: Network, sampler: Sampler, recipe: Recipe) -> None:
    """Fit `network.exposure` in place on thumbnails alone; the rest of the network is left as it is.

    The loss is the Huber distance between predicted and true log gain: a median, so that where most pictures are good
    already the prediction is no change.
    """
    config = recipe.brightness
    device = next(network.parameters()).device
    thumbnails, brightness = (t.to(device) for t in thumbnail_bank(sampler, config.samples))
    mean = thumbnails.mean(dim=(1, 2, 3)).clamp(min=1e-4)
    target = torch.log(brightness.clamp(min=1e-4) / mean)
    head = network.exposure
    assert isinstance(head, torch.nn.Module)
    head.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=config.weight_decay)
    generator = torch.Generator().manual_seed(recipe.seed)
    for iteration in range(config.iterations):
        rate = config.rate * (1 + math.cos(math.pi * iteration / config.iterations)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (iteration + 1) / 100)
        index = torch.randint(len(target), (config.batch,), generator=generator).to(device)
        loss = F.huber_loss(head.log_gain(thumbnails[index]), target[index], delta=0.05)  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    head.requires_grad_(False).eval()
