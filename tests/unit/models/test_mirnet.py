"""The authors' MIRNet."""

from __future__ import annotations

import torch

from lumen.models.mirnet import Blur


def test_the_blur_is_that_of_the_release() -> None:
    """[1 2 1] in both directions, every second pixel, the rim reflected."""
    row = torch.tensor([0.0, 4.0, 8.0, 4.0])
    expected = torch.tensor([(2 * 0 + 4 + 4) / 4, (4 + 16 + 4) / 4])
    blurred = Blur()(row.expand(1, 1, 4, 4))
    assert torch.allclose(blurred, expected.expand(1, 1, 2, 2))
