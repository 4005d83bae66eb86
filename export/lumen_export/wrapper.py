"""The exported module: integers in, integers out, all conversions inside the graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lumen.models import Network
from lumen.models.tone_mirnet import ToneMIRNet

BRIGHTEST = 0.98


def shift_exposure(brightness: Tensor, ev: Tensor) -> Tensor:
    """Shift mean sRGB levels by stops of linear light.

    Args:
        brightness: float [M] in [0, 1].
        ev: float [M], stops.

    Returns:
        float [M] in [0, 0.98]; where ev = 0 the brightness itself, even if it is higher.
    """
    linear = torch.where(brightness <= 0.04045, brightness / 12.92, ((brightness + 0.055) / 1.055) ** 2.4)
    light = linear * torch.exp2(ev)
    level = torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
    return torch.where(ev == 0, brightness, level.clamp(max=BRIGHTEST))


class TileModel(nn.Module):
    """A network in evaluation mode, behind contract 1 of `lumen.spec`; tiles are `torch.uint8` or `torch.uint16`."""

    def __init__(self, network: Network, sample: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.sample = sample
        # Their names stand in the graph, where `lumen_export.convert` looks for them.
        self.levels: Tensor
        self.level: Tensor
        self.register_buffer("levels", torch.tensor(float(torch.iinfo(sample).max)))
        self.register_buffer("level", torch.tensor(1 / torch.iinfo(sample).max))

    def forward(self, tiles: Tensor, thumbnails: Tensor, ev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return enhanced [N, H, W, 3] of the tiles' type, brightness float [M] and finite bool [N].

        Inputs as in `lumen.spec`.
        """
        x = planes(tiles.to(torch.float32)) * self.level
        thumbnail = thumbnails.permute(0, 3, 1, 2)
        y, brightness = self.network.enhance(x, thumbnail, lambda chosen: shift_exposure(chosen, ev))
        return self.stored(y), brightness, is_finite(y)

    def stored(self, y: Tensor) -> Tensor:
        """Return float [N, 3, H, W] as [N, H, W, 3] of the tiles' type."""
        y = torch.round(y.clamp(0, 1) * self.levels).permute(0, 2, 3, 1)
        return y.to(torch.int32).to(self.sample)


class ToneModel(TileModel):
    """A network with a tone stage behind contract 2: two halves that share nothing."""

    network: ToneMIRNet

    def forward(  # type: ignore[override]
        self, tiles: Tensor, tones: Tensor, boxes: Tensor, thumbnails: Tensor, ev: Tensor, shadows: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return enhanced [N, H, W, 3], finite bool [N], tone float [M, K] and brightness float [M].

        Inputs as in `lumen.spec`.
        """
        x = planes(tiles.to(torch.float32)) * self.level
        y = self.network.restore_toned(x, boxes, tones)
        tone, brightness = self.tone(thumbnails, ev, shadows)
        return self.stored(y), is_finite(y), tone, brightness

    def tone(self, thumbnails: Tensor, ev: Tensor, shadows: Tensor) -> tuple[Tensor, Tensor]:
        """Return tone float [M, K] and brightness float [M] for thumbnails [M, t, t, 3], ev and shadows [M]."""
        thumbnail = thumbnails.permute(0, 3, 1, 2)
        tone = self.network.tone(thumbnail, shift_exposure(self.network.brightness(thumbnail), ev), shadows)
        return tone, self.network.reached(thumbnail, tone)


def planes(pictures: Tensor) -> Tensor:
    """Return pictures [N, H, W, 3] as [N, 3, H, W].

    Behind the reshaping onnxruntime leaves the transposition where it is; else it moves it down the graph, to where
    values of one channel meet values of three, which is slow with the channels last.
    """
    count, height, width, channels = pictures.shape
    return pictures.reshape(count, height * width, channels).transpose(1, 2).reshape(count, channels, height, width)


def model_of(network: Network, sample: torch.dtype) -> TileModel:
    """Return a network behind the contract it follows, in evaluation mode; `sample` as in `TileModel`."""
    kind = ToneModel if isinstance(network, ToneMIRNet) else TileModel
    return kind(network, sample).eval()


def is_finite(y: Tensor) -> Tensor:
    """Return bool [N]: one number of [N, 3, H, W] that is none makes the mean none."""
    return torch.isfinite(y.mean(dim=(1, 2, 3)))
