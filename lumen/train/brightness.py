"""The second stage: fit the head that predicts how bright the restored picture should be."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor
from torch.nn import functional as F

from lumen.imaging.thumbnail import area_thumbnail
from lumen.models import Network
from lumen.models.context import BrightnessHead
from lumen.train.data.sampler import Sampler
from lumen.train.data.synthetic import blank
from lumen.train.recipe.sections import BrightnessConfig

BANK_ITERATION = 1 << 40  # far beyond the first stage, so that no sample is drawn in both
WARMUP = 100
HUBER_DELTA = 0.2  # in log levels: about a fifth of the brightness


def brightness_head(network: Network) -> BrightnessHead | None:
    """Return the network's head that predicts the brightness, or None if it has none."""
    head = getattr(network, "exposure", None)
    return head if isinstance(head, BrightnessHead) else None


def thumbnail_bank(
    sampler: Sampler, config: BrightnessConfig, step: Callable[[], None] = lambda: None
) -> tuple[Tensor, Tensor]:
    """Draw thumbnails float32 [samples, 3, t, t] in [0, 1], and the level [samples] to aim at for each.

    `step` is called for each of them.
    """
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
        [photo for photo in sampler.photos if photo.high.mean() >= 255 * config.darkest],
        shares,
        thumbnail_px=sampler.thumbnail_px,
        seed=sampler.seed,
        weights=sampler.weights,
    )
    blanks = round(config.samples * config.blank)
    drawn = []
    for place in range(config.samples - blanks):
        step()
        drawn.append(source.whole(BANK_ITERATION, place))
    thumbnails = [whole.thumbnail for whole in drawn]
    levels = [
        whole.brightness ** (1 - config.usual) * BrightnessHead.USUAL_LEVEL**config.usual
        if whole.chosen
        else whole.brightness
        for whole in drawn
    ]
    for place in range(blanks):
        step()
        thumbnail = area_thumbnail(blank(source.rng(BANK_ITERATION + 1, place)), sampler.thumbnail_px)
        thumbnails.append(thumbnail)
        levels.append(float(thumbnail.mean()))  # nothing to see: they stay as they are
    return torch.from_numpy(np.stack(thumbnails)).permute(0, 3, 1, 2), torch.tensor(levels)


def fit_brightness(
    head: BrightnessHead, sampler: Sampler, config: BrightnessConfig, seed: int, step: Callable[[], None] = lambda: None
) -> None:
    """Fit a head in place.

    The loss is the Huber distance between predicted and true log gain, so that the head learns to leave pictures alone
    where most pictures like them are already well lit.

    The head may be on any device, and is left in evaluation mode. `step` is called `config.samples + config.iterations`
    times; what it raises ends the fit.
    """
    device = head.out.weight.device
    thumbnails, wanted = thumbnail_bank(sampler, config, step)
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
        step()
        rate = config.rate * (1 + math.cos(math.pi * iteration / config.iterations)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (iteration + 1) / WARMUP)
        index = torch.randint(len(target), (config.batch,)).to(device)
        loss = F.huber_loss(head.predict(features[index], mean[index]), target[index], delta=HUBER_DELTA)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    head.requires_grad_(False).eval()
