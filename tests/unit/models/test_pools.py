"""Global pools, noted down and given back."""

from __future__ import annotations

import pytest
import torch

from lumen.models.pools import Recorder, Replay


def test_pools_are_replayed_in_order_whatever_is_at_hand() -> None:
    recorder = Recorder()
    first, second = torch.rand(1, 2, 4, 4), torch.rand(1, 2, 4, 4)
    assert torch.equal(recorder.mean(first).flatten(), first.mean(dim=(2, 3)).flatten())
    recorder.max(second)
    replay = Replay(recorder.taken)
    assert torch.equal(replay.mean(second).flatten(), first.mean(dim=(2, 3)).flatten())
    assert torch.equal(replay.max(first).flatten(), second.amax(dim=(2, 3)).flatten())
    with pytest.raises(StopIteration):
        replay.mean(first)
