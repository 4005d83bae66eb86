"""What waits takes little memory, and comes out as it was."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from lumen.batch.block import Block
from lumen.batch.packed_queue import PackedQueue

FILES = 50


def block(number: int) -> Block:
    names = [f"IMG_{number:05}_{each:04}.jpg" for each in range(FILES)]
    folder = Path(f"cam/{number:05}")
    return Block(source="in" / folder, target="out" / folder, place=folder, names=names, results=names)


def test_what_waits_takes_a_few_bytes_a_file() -> None:
    queue = PackedQueue[Block]()
    tracemalloc.start()
    try:
        sizes = []
        for number in range(1200):
            queue.put(block(number), FILES)
            if number in (199, 1199):
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert (sizes[1] - sizes[0]) / (1000 * FILES) < 10
    for number in range(1200):
        one = queue.take()
        assert one is not None
        assert one == block(number)
    assert queue.take() is None
