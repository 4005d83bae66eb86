"""The second stage: fit the head that predicts the brightness of the wanted picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F

from lumen.models import Network
from lumen.models.context import BrightnessHead
from lumen.train.data.sampler import Sampler
from lumen.train.recipe.sections import BrightnessConfig

BANK_ITERATION = 1 << 40  # samples of this stage never repeat those of the first
WARMUP = 100
HUBER_DELTA = 0.2  # log levels: a fifth of the brightness


def brightness_head(network: Network) -> BrightnessHead | None:
    """Return the head that predicts the brightness, if this kind of network has one."""
    head = getattr(network, "exposure", None)
    return head if isinstance(head, BrightnessHead) else None


def thumbnail_bank(sampler: Sampler, config: BrightnessConfig) -> tuple[Tensor, Tensor]:
    """Draw thumbnails float32 [samples, 3, t, t] in [0, 1], and the mean level [samples] of each wanted picture."""
    shares = replace(
        sampler.config,
        pairs=config.pairs,
        synthetic=config.synthetic,
        identity=config.identity,
        night=0.0,
        saturation=0.0,
        mixup=0.0,
    )
    source = Sampler(
        sampler.pairs,
        sampler.photos,
        shares,
        thumbnail_px=sampler.thumbnail_px,
        seed=sampler.seed,
        weights=sampler.weights,
    )
    drawn = [source.whole(BANK_ITERATION, place) for place in range(config.samples)]
    thumbnails = torch.from_numpy(np.stack([thumbnail for thumbnail, _ in drawn]))
    return thumbnails.permute(0, 3, 1, 2), torch.tensor([level for _, level in drawn])


def fit_brightness(head: BrightnessHead, sampler: Sampler, config: BrightnessConfig, seed: int) -> None:
    """Fit a head in place.

    The loss is the Huber distance between predicted and true log gain: where most pictures of a kind are good already,
    the prediction is no change.

    Args:
        head: On any device; left in evaluation mode.
        sampler: Where thumbnails come from; its shares are replaced by those of `config`.
        config: Values of this stage.
        seed: Of dropout and of the order.
    """
    device = head.out.weight.device
    thumbnails, wanted = thumbnail_bank(sampler, config)
    with torch.no_grad():
        features = torch.cat([head.features(part.to(device)) for part in torch.split(thumbnails, 256)])
        head.centre.copy_(features.mean(dim=0))
        head.scale.copy_(features.std(dim=0) + 1e-3)
    mean = thumbnails.mean(dim=(1, 2, 3)).to(device)
    target = torch.log(wanted.to(device).clamp(min=1e-4) / mean.clamp(min=1e-4))
    torch.manual_seed(seed)
    head.requires_grad_(True).train()
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=config.weight_decay)
    for iteration in range(config.iterations):
        rate = config.rate * (1 + math.cos(math.pi * iteration / config.iterations)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (iteration + 1) / WARMUP)
        index = torch.randint(len(target), (config.batch,)).to(device)
        loss = F.huber_loss(head.predict(features[index], mean[index]), target[index], delta=HUBER_DELTA)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    head.requires_grad_(False).eval()
