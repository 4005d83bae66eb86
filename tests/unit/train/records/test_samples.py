"""Sheets of held-out pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from lumen.models import build_network
from lumen.train.records.samples import write_sheet
from tests.support.training import make_pairs


def test_a_sheet_has_a_row_for_each_of_the_first_pairs(tmp_path: Path) -> None:
    network = build_network("residual", groups=1, blocks=1, width=8).eval()
    pairs = make_pairs(6)
    write_sheet(network, pairs, tmp_path / "samples" / "1.jpg")
    with Image.open(tmp_path / "samples" / "1.jpg") as image:
        assert image.size == (3 * 400 + 8, 4 * (300 + 4))
        sheet = np.asarray(image).astype(int)
    expected = np.asarray(Image.fromarray(pairs[0].high).resize((400, 300), Image.Resampling.BOX)).astype(int)
    assert np.abs(sheet[:300, 808:1208] - expected).mean() < 4
    assert sheet[:300, :400].mean() < 0.2 * expected.mean()
    write_sheet(network, [], tmp_path / "none.jpg")
    assert not (tmp_path / "none.jpg").exists()
