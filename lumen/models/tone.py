"""The tone stage: what is decided once per picture, as one vector that every tile is given.

::

    thumbnail, wanted mean level -> shape of the curve, local light -> exposure u that reaches the level -> tone [M, K]
    tile, its place, tone -> base: the tile brightened, what the network starts from

The vector holds, in the order of `FIELDS`, the curve and how it treats colours, then the grid of local light
(`lumen.models.local`) and the context code. What
is smoothed over time, locked or corrected by hand is this vector; tiles that are given the same one fit together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIELDS = ("exposure", "toe", "lift", "contrast", "chroma", "fade", "colour")
CURVE = len(FIELDS)

U_MIN, U_MAX = -6.0, 6.5
ROUNDS, PARTS = 2, 16  # of the search for the exposure; the Newton step after it squares what is left
U_EPS = 1e-3
SLOPE_STEP = 1e-2  # of u, for the slope of the mean level
LEAST_SLOPE = 1e-3
DARKEST = 1e-5  # keeps ratios of black pixels finite
GREY = 0.25 / 255  # channels of a thumbnail that never differ by more belong to a grey picture

# Crushed blacks: dark and flat, as JPEG leaves them. Noise fills the lowest levels of other dark pictures, and flats of
# level 1 are common in clean ones. As shares of the thumbnail: none in LOL, a few in a hundred in exposure brackets,
# .01 to .25 in night frames of dash cameras that a steep curve ruins.
BLACK, FLAT, FLAT_DISTANCE = (1.25 / 255, 6 / 255), 0.05 / 255, 3
CRUSHED = 0.15  # share at which the bound is full
CRUSHED_U, CRUSHED_TOE = 4.0, 3 / 255

# The finish, as far as the exposure leaves 0. A loss of means greys colours that are uncertain; on validation this much
# more costs no PSNR, and colours that fade where next to nothing was recorded gain some (`benchmarks/README.md`).
VIVID = 0.22
SQUARE = 8  # px, as JPEG codes them: over such squares, levels say what was recorded
DIM, BLANK = 1.5 / 255, 0.1 / 255  # levels at which colours, and everything, are half as strong
# Dark squares that are flat, as JPEG leaves them: there a level says little, and the next square has another.
EVEN = 0.2 / 255  # range of a flat square
FLAT_DIM = 2 / 255  # level at which its colours are half as strong
FLAT_LEVEL = 12 / 255  # below which a flat square counts
LEAST_EXPOSURE = 0.5  # above which squares are evened out
FLAT_SQUARES = 5  # across which flats are evened out
KNEE = 0.94  # level from which highlights roll off
WHITE_SPAN = 0.2  # below white; tiles that were brighter stay

# Ranges of the predicted shape. Lift and contrast together stay under 1, or the curve would fall towards white.
TOE, FADE = (0.1 / 255, 10 / 255), (0.3 / 255, 18 / 255)
LIFT, CONTRAST = 0.55, 0.42
# Where the prediction starts, before its ranges: fitted on thumbnails of pairs (`benchmarks/README.md`).
START = (-1.2, 1.0, 1.0, -1.0, 0.8)


class ShapeHead(nn.Module):
    """Predict the shape of the curve from statistics of the thumbnail.

    How steep the curve may begin depends on what fills the lowest levels: noise, which the network can smooth, or the
    flat areas and blocks that JPEG leaves, which it would only magnify.

    Args:
        statistics: Number of statistics.
        hidden: Width of the hidden layer.
        dropout: Share of it dropped in training.
    """

    def __init__(self, statistics: int, hidden: int = 32, dropout: float = 0.1) -> None:
        super().__init__()
        self.hidden = nn.Linear(statistics, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, len(START))
        nn.init.zeros_(self.out.weight)
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor(START))

    def forward(self, statistics: Tensor) -> Tensor:
        """Return float [M, 5], `toe` to `fade` of `FIELDS`, for statistics [M, S]."""
        toe, lift, contrast, chroma, fade = self.out(self.dropout(F.relu(self.hidden(statistics)))).unbind(dim=1)
        return torch.stack(
            [
                _between(torch.sigmoid(toe), TOE),
                LIFT * torch.tanh(lift),
                CONTRAST * torch.tanh(contrast),
                torch.sigmoid(chroma),
                _between(torch.sigmoid(fade), FADE),
            ],
            dim=1,
        )


def _between(share: Tensor, ends: Sequence[float]) -> Tensor:
    """Return the value that lies a share of the way between two ends, on a logarithmic scale."""
    low, high = math.log(ends[0]), math.log(ends[1])
    return torch.exp(low + (high - low) * share)


def brighten(level: Tensor, curve: Tensor) -> Tensor:
    """Map levels by a tone curve that keeps a part of the ratio of the channels.

    A toe `x^2 / (x + toe)` bounds the slope in the shadows, the logarithm of `1 + k x` lifts them, and a cubic bends
    the result: `lift` raises the middle, `contrast` steepens it, both flatten the highlights. Toe and cubic come in as
    the exposure leaves 0, where the curve is the identity. The curve is taken of every channel, which greys colours,
    and of the largest channel, whose gain all three then share, which keeps them; `chroma` mixes the two, and fades the
    second out below levels of about `fade`.

    Args:
        level: float [N, 3, H, W] in [0, 1].
        curve: float [M, 6 or more], `FIELDS`; M = 1 or N.

    Returns:
        float [N, 3, H, W] in [0, 1]; rises with `level` and with `exposure`, and leaves black black.
    """
    u, toe, lift, contrast, chroma, fade = (part.view(-1, 1, 1, 1) for part in curve[:, :6].unbind(dim=1))
    u = torch.where(u.abs() < U_EPS, torch.full_like(u, U_EPS), u)
    changed = u * u / (1 + u * u)
    toe, lift, contrast = toe * changed, lift * changed, contrast * changed
    k = torch.expm1(u) * (1 + toe)
    first, second, third = (1 + lift - contrast) / u, (3 * contrast - lift) / (u * u), -2 * contrast / (u * u * u)
    z = torch.log1p(k * (level * level / (level + (toe + DARKEST * DARKEST))))
    each = z * (first + z * (second + z * third))
    largest = brightest_channel(level)
    gain = brightest_channel(each) / (largest + DARKEST)  # the curve rises, so this is that of the largest channel
    shared = chroma * (largest / (largest + fade))
    return each * (1 - shared) + level * (shared * gain)


def brightest_channel(picture: Tensor) -> Tensor:
    """Return the largest channel [N, 1, H, W] of pictures [N, 3, H, W]: by planes, which onnxruntime does fastest."""
    red, green, blue = torch.split(picture, 1, dim=1)
    return torch.maximum(torch.maximum(red, green), blue)


def mean_channel(picture: Tensor) -> Tensor:
    """Return the mean [N, 1, H, W] of the channels of pictures [N, 3, H, W], in the same way."""
    red, green, blue = torch.split(picture, 1, dim=1)
    return (red + green + blue) * (1 / 3)


def crushed_blacks(thumbnails: Tensor) -> Tensor:
    """Return float [M] in [0, 1]: how far thumbnails [M, 3, t, t] show flat blacks, which must not be magnified."""
    apart = FLAT_DISTANCE
    here = thumbnails[..., :-apart, :-apart]
    across = (thumbnails[..., :-apart, apart:] - here).abs().amax(dim=1)
    down = (thumbnails[..., apart:, :-apart] - here).abs().amax(dim=1)
    level = here.amax(dim=1)
    flat = (level > BLACK[0]) & (level < BLACK[1]) & (across < FLAT) & (down < FLAT)
    return (flat.to(thumbnails.dtype).mean(dim=(1, 2)) / CRUSHED).clamp(max=1)


def solve_exposure(thumbnails: Tensor, brightness: Tensor, shape: Tensor, highest: Tensor) -> Tensor:
    """Find the exposure whose curve gives the thumbnails a mean level.

    A fixed number of searches over parts of the range, so that they unroll into a graph, and a step of Newton's
    method, through which the shape has a gradient: the exposure follows it so that the mean level stays.

    Args:
        thumbnails: float [M, 3, t, t] in [0, 1], after local light.
        brightness: float [M], the wanted mean level in (0, 1).
        shape: float [M, 5] as `ShapeHead` gives it.
        highest: float [M], the highest exposure allowed.

    Returns:
        float [M] from -6 to `highest`; the nearest end where no exposure reaches the level.
    """

    def mean(u: Tensor, shape: Tensor) -> Tensor:
        return mean_level(thumbnails, torch.cat([u[:, None], shape], dim=1))

    with torch.no_grad():
        parts = torch.arange(1, PARTS, device=shape.device, dtype=shape.dtype) / PARTS
        many = thumbnails[:, None].expand(-1, PARTS - 1, -1, -1, -1).flatten(0, 1)
        shapes = shape[:, None].expand(-1, PARTS - 1, -1).flatten(0, 1)
        low, width = torch.full_like(brightness, U_MIN), highest - U_MIN
        for _ in range(ROUNDS):
            tried = low[:, None] + width[:, None] * parts
            reached = mean_level(many, torch.cat([tried.flatten()[:, None], shapes], dim=1)).view(-1, PARTS - 1)
            width = width / PARTS
            low = low + width * (reached < brightness[:, None]).to(width.dtype).sum(dim=1)
        u = low + width / 2
        rise = mean(u + SLOPE_STEP, shape) - mean(u - SLOPE_STEP, shape)
        slope = (rise / (2 * SLOPE_STEP)).clamp(min=LEAST_SLOPE)
    return torch.minimum((u - (mean(u, shape) - brightness) / slope).clamp(min=U_MIN), highest)


def mean_level(picture: Tensor, curve: Tensor) -> Tensor:
    """Return the mean level [M] that curves [M, 6 or more] give pictures [M, 3, h, w]."""
    return brighten(picture, curve).mean(dim=(1, 2, 3))


def is_grey(thumbnails: Tensor) -> Tensor:
    """Return float [M], 1 where the channels of a picture do not differ, 0 elsewhere."""
    spread = thumbnails.amax(dim=1) - thumbnails.amin(dim=1)
    return (spread.amax(dim=(1, 2)) < GREY).to(thumbnails.dtype)


def share_finished(exposure: Tensor) -> Tensor:
    """Return how much of the finish an exposure gets: none at 0, where the picture stays, all from 1 on."""
    return exposure.square().clamp(max=1)


def finish(picture: Tensor, tiles: Tensor, curve: Tensor, square: int = SQUARE) -> Tensor:
    """Give restored tiles the strength of colour of their picture, and roll off the highlights that they did not have.

    Colours fade where the tiles are all but black: there they are those of noise, and of the blocks of JPEG. Where they
    are black, so is the result. Dark flat squares become as bright as those around them: lifted one by one, those of
    level 0, 1 and 2 would be a chequerboard.

    Args:
        picture: float [N, 3, H, W], restored; H and W multiples of `square`.
        tiles: float [N, 3, H, W] in [0, 1], as they were.
        curve: float [M, 7], `FIELDS`; M = 1 or N.
        square: Side of the squares over which it is judged whether anything was recorded, in pixels.

    Returns:
        float [N, 3, H, W]; all channels alike where the colour is 0.
    """
    exposure, colour = (curve[:, index].view(-1, 1, 1, 1) for index in (0, CURVE - 1))
    share = share_finished(exposure)
    half = half_level(tiles)
    level = F.avg_pool2d(half, square // 2)
    anything, colours = (1 - share * (1 - level / (level + faint)) for faint in (BLANK, DIM))
    recorded = F.interpolate(torch.cat([anything, colour * colours], dim=1), scale_factor=square, mode="bilinear")
    anything, colours = recorded[:, :1], recorded[:, 1:]
    own = anything * colours
    picture = own * picture + (anything - own) * mean_channel(picture)
    flat, even = even_flats(picture, half, level, square)
    picture = torch.where(flat & (exposure > LEAST_EXPOSURE), even, picture)
    most = share * (1 - KNEE)
    room = torch.minimum(most / WHITE_SPAN * (1 - tiles), most)
    picture = picture.clamp(max=1)
    over = F.relu(picture - KNEE) * (1 / (1 - KNEE))
    return picture - room * (over - torch.tanh(over))


def half_level(tiles: Tensor) -> Tensor:
    """Return the mean level of every 2x2 pixels, float [N, 1, H / 2, W / 2], of tiles [N, 3, H, W]."""
    return F.avg_pool2d(mean_channel(tiles), 2)


def even_flats(picture: Tensor, half: Tensor, level: Tensor, square: int) -> tuple[Tensor, Tensor]:
    """Return which places are dark and flat, and what a picture is there and in the flats around on average.

    Args:
        picture: float [N, 3, H, W], restored.
        half: float [N, 1, H / 2, W / 2] in [0, 1], levels of the tiles as they were.
        level: float [N, 1, H / square, W / square], their means over squares.
        square: Side of the squares, in pixels.

    Returns:
        bool [N, 1, H, W], and float [N, 3, H, W].
    """

    def around(squares: Tensor) -> Tensor:
        return F.avg_pool2d(squares, FLAT_SQUARES, 1, FLAT_SQUARES // 2, count_include_pad=False)

    spread = F.max_pool2d(half, square // 2) + F.max_pool2d(-half, square // 2)
    flat = ((spread < EVEN) & (level < FLAT_LEVEL)).to(level.dtype)
    weight = around(flat) + DARKEST
    even, seen = around(F.avg_pool2d(picture, square) * flat) / weight, around(level * flat) / weight
    mean = mean_channel(even)
    even = mean + seen**2 / (seen**2 + FLAT_DIM**2) * (even - mean)
    wide = F.interpolate(flat, scale_factor=square), F.interpolate(even, scale_factor=square)  # not smoothly
    return wide[0] > 0.5, wide[1]
