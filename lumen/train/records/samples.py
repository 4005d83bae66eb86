"""A sheet of samples: for some held-out pictures the input, the network's result and the reference."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lumen.files.atomic import make_folder, write_atomically
from lumen.models import Network
from lumen.train.data.load import Example, Pixels
from lumen.train.validate import enhance_whole

MOST = 4  # pictures on a sheet
PANEL_PX = 400  # width of each of the three panels
GAP_PX = 4
QUALITY = 90


def write_sheet(network: Network, examples: Sequence[Example], out: Path) -> None:
    """Write a JPEG file with a row for each of the first few pairs, and make its folder; without pairs write nothing.

    The network must be in evaluation mode.
    """
    rows = [_row((e.low, enhance_whole(network, e.low, None), e.high)) for e in examples[:MOST]]
    if not rows:
        return
    make_folder(out.parent)
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(rows)).save(buffer, "JPEG", quality=QUALITY)
    write_atomically(out, buffer.getvalue())


def _row(panels: Sequence[Pixels]) -> Pixels:
    """Return panels of equal width side by side, with a white gap below."""
    height, width = panels[0].shape[:2]
    size = (PANEL_PX, max(1, round(height * PANEL_PX / width)))
    images = [np.asarray(Image.fromarray(panel).resize(size, Image.Resampling.BOX)) for panel in panels]
    row = np.full((size[1] + GAP_PX, 3 * PANEL_PX + 2 * GAP_PX, 3), 255, np.uint8)
    for index, image in enumerate(images):
        left = index * (PANEL_PX + GAP_PX)
        row[: size[1], left : left + PANEL_PX] = image
    return row
