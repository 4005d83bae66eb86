"""What the size of a block does on a large cluster, simulated: some workers are slow, and nodes are lost.

The blocks go out as `lumen/cluster/blocks.py` hands them out: the next one to whoever is idle, smaller ones at the end,
and the pictures of a lost worker again, each alone. `share` is what `--shard` does: each worker has its part from the
start, and that of a lost one begins anew on another machine when somebody notices. The costs of a block are those that
`ray_cluster.py` measures; all of them are options.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import statistics
from collections import deque
from dataclasses import dataclass

SIZES = (1, 2, 4, 8, 16, 32, 64, 256)
BLOCKS_PER_WORKER = 2


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The pictures, the workers and what goes wrong.

    Attributes:
        pictures: How many there are.
        workers: How many work on them.
        nodes: Machines that share the workers evenly.
        picture_s: Median seconds for a picture; they are spread log-normally by `spread`.
        spread: Standard deviation of the logarithm.
        slow: Share of the workers that are slower, by the factor `slowness`.
        slowness: See there.
        lost: Share of the nodes that are lost, each at some moment.
        notice_s: Seconds until a lost node is noticed.
        block_s: What a block costs its worker beside its pictures.
        hand_s: What a block costs the one process that hands them out.
    """

    pictures: int
    workers: int
    nodes: int
    picture_s: float
    spread: float
    slow: float
    slowness: float
    lost: float
    notice_s: float
    block_s: float
    hand_s: float


@dataclass(frozen=True, kw_only=True)
class Ending:
    """What a run took, over the time with no loss at all; pictures that were begun twice; the load of the driver."""

    stretch: float
    twice: int
    driver: float


def simulate(fleet: Fleet, size: int | None, seed: int) -> Ending:
    """Run once with blocks of a size; None gives each worker its share at the start."""
    rng = random.Random(seed)
    speeds = [1 / fleet.slowness if rng.random() < fleet.slow else 1.0 for _ in range(fleet.workers)]
    per_picture = fleet.picture_s * math.exp(fleet.spread**2 / 2)  # the mean of what is spread so
    ideal = fleet.pictures * per_picture / sum(speeds)
    gone = rng.sample(range(fleet.nodes), round(fleet.lost * fleet.nodes))
    ends = {node: rng.uniform(0, ideal) for node in gone}
    if size is None:
        return _by_share(fleet, rng, speeds, ends, ideal)
    room, left = BLOCKS_PER_WORKER * fleet.workers, fleet.pictures
    again: deque[tuple[float, int]] = deque()  # from when on, and how many
    idle = [(0.0, worker) for worker in range(fleet.workers)]
    handed = latest = 0.0
    blocks = twice = 0
    while idle and (left or again):
        now, worker = heapq.heappop(idle)
        if again and (again[0][0] <= now or not left):
            begin, count = again.popleft()
            now = max(now, begin)
            if count > 1:
                again.appendleft((begin, count - 1))
            count = 1
        else:
            count = max(1, min(size, left // room))
            left -= count
        blocks += 1
        handed = max(handed, now) + fleet.hand_s
        took = fleet.block_s + sum(rng.lognormvariate(0, fleet.spread) for _ in range(count)) * fleet.picture_s
        done = handed + took / speeds[worker]
        end = ends.get(worker * fleet.nodes // fleet.workers)
        if end is not None and done > end:
            again.append((max(end, handed) + fleet.notice_s, count))
            twice += count if end > handed else 0  # else it was not begun
        else:
            latest = max(latest, done)
            heapq.heappush(idle, (done, worker))
    assert not left and not again
    return Ending(stretch=latest / ideal, twice=twice, driver=blocks * fleet.hand_s / latest)


def _by_share(fleet: Fleet, rng: random.Random, speeds: list[float], ends: dict[int, float], ideal: float) -> Ending:
    latest, twice, share = 0.0, 0, fleet.pictures // fleet.workers
    for worker, speed in enumerate(speeds):
        took = sum(rng.lognormvariate(0, fleet.spread) for _ in range(share)) * fleet.picture_s
        end = ends.get(worker * fleet.nodes // fleet.workers)
        if end is not None and end < took / speed:  # results that are there are skipped, but for the picture in work
            twice += 1
            took_before = end * speed
            latest = max(latest, end + fleet.notice_s + max(0.0, took - took_before))
        else:
            latest = max(latest, took / speed)
    return Ending(stretch=latest / ideal, twice=twice, driver=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument(
        "--picture-s", type=float, nargs="+", default=[1.3, 0.3], help="2 megapixels at 0.66 s each, 0.3 at 1.02"
    )
    parser.add_argument("--spread", type=float, default=0.5)
    parser.add_argument("--slow", type=float, default=0.02)
    parser.add_argument("--slowness", type=float, default=4.0)
    parser.add_argument("--lost", type=float, default=0.01)
    parser.add_argument("--notice-s", type=float, default=30.0)
    parser.add_argument("--block-s", type=float, default=0.03)
    parser.add_argument("--hand-s", type=float, default=0.001)
    parser.add_argument("--runs", type=int, default=3)
    asked = vars(parser.parse_args())
    runs, seconds = asked.pop("runs"), asked.pop("picture_s")
    fleets = [Fleet(picture_s=each, **asked) for each in seconds]
    heads = [f"{each:g} s a picture: time | begun twice | the driver is busy" for each in seconds]
    print("| files in a block |", " | ".join(heads), "|")
    print("|---|" + "---|---|---|" * len(heads))
    for size in (*SIZES, None):
        print(f"| {size or 'its share'} |", " | ".join(_cells(fleet, size, runs) for fleet in fleets), "|", flush=True)


def _cells(fleet: Fleet, size: int | None, runs: int) -> str:
    """Return what the table says of a size: means of several runs."""
    found = [simulate(fleet, size, seed) for seed in range(runs)]
    stretch = statistics.mean(each.stretch for each in found)
    twice, driver = (statistics.mean(values) for values in zip(*((e.twice, e.driver) for e in found), strict=True))
    return f"{stretch:.3f} | {twice:.0f} | {100 * driver:.0f} %"


if __name__ == "__main__":
    main()
