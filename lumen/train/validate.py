"""Scores on held-out pictures: 8-bit results, with the metrics of `lumen eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lumen.imaging.thumbnail import area_thumbnail
from lumen.imaging.tiling import box_of, cut, paste, plan_tiles
from lumen.metrics.fidelity import gt_mean, psnr, ssim
from lumen.models import Network
from lumen.models.plain import PlainNetwork
from lumen.train.data.load import Example
from lumen.train.distributed import World

PAIR_METRICS = ("psnr", "psnr_gt_mean", "psnr_given", "ssim_given")
PHOTO_METRICS = ("photo_psnr", "photo_psnr_own")
PLAIN_PAIR_METRICS = ("psnr", "psnr_gt_mean", "ssim")  # of networks that predict no brightness
PLAIN_PHOTO_METRICS = ("photo_psnr",)
MOST_OF_PHOTOS_DB = 45.0  # more of it does not count: the difference cannot be seen
HIGHEST_DB = 60.0  # the score of a photograph that comes out unchanged


@torch.no_grad()
def enhance_whole(network: Network, low: NDArray[np.uint8], brightness: float | None) -> NDArray[np.uint8]:
    """Run a network on a whole picture, mirrored at its edges as the runtime mirrors it.

    Args:
        network: In evaluation mode.
        low: uint8 [H, W, 3].
        brightness: Mean sRGB level in (0, 1) to reach; None takes the network's own prediction. Networks that predict
            no brightness ignore it.

    Returns:
        uint8 [H, W, 3].
    """
    device = next(network.parameters()).device
    height, width = low.shape[:2]
    plan = plan_tiles(
        height,
        width,
        align=network.align,
        halo_px=0,
        edge_px=network.edge_px,
        max_window_px=2 * max(height, width) + 512,
    )
    window = torch.from_numpy(cut(low, plan, plan.tiles[0])).to(device).permute(2, 0, 1)[None].float() / 255
    window = window.contiguous(memory_format=torch.channels_last)
    if isinstance(network, PlainNetwork):
        restored = network.whole(window)
    else:
        thumbnail = torch.from_numpy(area_thumbnail(low, network.thumbnail_px)).to(device).permute(2, 0, 1)[None]
        level = network.brightness(thumbnail) if brightness is None else torch.tensor([brightness], device=device)
        box = torch.from_numpy(box_of(plan, plan.tiles[0])).to(device)[None]
        restored = network(window, thumbnail, level.float(), box)
    rounded = torch.round(restored.clamp(0, 1) * 255).to(torch.uint8)[0].permute(1, 2, 0).cpu().numpy()
    result = np.empty_like(low)
    paste(result, plan, plan.tiles[0], rounded)
    return result


def validate(network: Network, pairs: Sequence[Example], photos: Sequence[Example], world: World) -> dict[str, float]:
    """Score a network; each process scores its share of the pictures.

    Returns:
        Means over the pictures: `psnr` (automatic), `psnr_gt_mean` (automatic, scaled to the reference's mean),
        `psnr_given` and `ssim_given` (given the reference's brightness), `photo_psnr` and `photo_psnr_own` (well-lit
        photographs, in against out: automatic, and at their own brightness). PSNR in dB. Networks that predict no
        brightness have `ssim` of the automatic result, and nothing that is given a brightness.
    """
    network.eval()
    plain = not network.predicts_brightness
    of_pairs = PLAIN_PAIR_METRICS if plain else PAIR_METRICS
    of_photos = PLAIN_PHOTO_METRICS if plain else PHOTO_METRICS
    scores = [_score_pair(network, example) for example in pairs[world.rank :: world.size]]
    scores += [_score_photo(network, example) for example in photos[world.rank :: world.size]]
    counts = dict.fromkeys(of_pairs, len(pairs)) | dict.fromkeys(of_photos, len(photos))
    totals = torch.tensor([sum(s.get(name, 0.0) for s in scores) for name in counts], dtype=torch.float64)
    return {name: total / n for (name, n), total in zip(counts.items(), world.sum(totals).tolist(), strict=True) if n}


def overall_score(metrics: Mapping[str, float]) -> float:
    """Return the number by which `best.pt` is chosen, from the means that `validate` returns.

    It is the PSNR at the reference's brightness, plus a tenth of the PSNR of well-lit photographs, which should come
    out unchanged. For networks that predict no brightness it is the plain PSNR instead of the first.

    Where brightness is predicted, plain PSNR is no part of it: it depends most on the head, which is fitted after the
    best state is chosen, or not trained at all. What bounds a curve is the same in all states of a training.
    """
    pairs, photos = _chosen_by(metrics)
    return metrics.get(pairs, 0.0) + 0.1 * min(MOST_OF_PHOTOS_DB, metrics.get(photos, 0.0))


def score_words(metrics: Mapping[str, float]) -> str:
    """Return what `overall_score` is, in the names of the metrics.

    >>> score_words({"psnr_given": 20.0, "photo_psnr_own": 40.0}), score_words({"psnr": 20.0})
    ('psnr_given + photo_psnr_own / 10', 'psnr')
    """
    pairs, photos = _chosen_by(metrics)
    return " + ".join([pairs] * (pairs in metrics) + [f"{photos} / 10"] * (photos in metrics))


def _chosen_by(metrics: Mapping[str, float]) -> tuple[str, str]:
    """Return the names of the metrics of pairs and of photographs that are part of the overall score."""
    pairs = "psnr_given" if "psnr_given" in metrics else "psnr"
    return pairs, "photo_psnr_own" if "photo_psnr_own" in metrics else "photo_psnr"


def _score_pair(network: Network, example: Example) -> dict[str, float]:
    automatic = enhance_whole(network, example.low, None)
    scores = {
        "psnr": psnr(automatic, example.high, data_range=255),
        "psnr_gt_mean": psnr(gt_mean(automatic, example.high), example.high, data_range=255),
    }
    if not network.predicts_brightness:
        return scores | {"ssim": ssim(automatic, example.high, data_range=255)}
    given = enhance_whole(network, example.low, float(example.high.mean()) / 255)
    return scores | {
        "psnr_given": psnr(given, example.high, data_range=255),
        "ssim_given": ssim(given, example.high, data_range=255),
    }


def _score_photo(network: Network, example: Example) -> dict[str, float]:
    """Score a photograph; PSNR has a limit, so that an unchanged one does not make the mean infinite."""
    automatic = enhance_whole(network, example.low, None)
    scores = {"photo_psnr": min(HIGHEST_DB, psnr(automatic, example.high, data_range=255))}
    if not network.predicts_brightness:
        return scores
    own = enhance_whole(network, example.low, float(example.low.mean()) / 255)
    return scores | {"photo_psnr_own": min(HIGHEST_DB, psnr(own, example.high, data_range=255))}
