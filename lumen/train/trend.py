"""The trend of the loss, and whether a training has exploded: its loss is finite, but far above what it was.

Such a training may come back by itself, but what it had learnt is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SMOOTH = 50  # steps over which the loss is averaged
EXPLODED, DOUBTFUL = 10.0, 3.0  # times the best average
LARGEST = 1000.0  # logarithm of any loss
LEAST = 1e-3  # smaller losses count as this: there, a tenfold rise means nothing


@dataclass(kw_only=True)
class LossTrend:
    """The smoothed loss of a training, and its best. Checkpoints store the attributes.

    Logarithms are averaged, so that a single batch has little weight however large its loss is. The losses of sound
    trainings vary by a factor of two or three from batch to batch, and by a third on average; those that explode rise a
    hundredfold and stay there for hundreds of steps.

    Attributes:
        level: Logarithm of the smoothed loss.
        best: The lowest one since the average has settled.
        steps: How many losses there were.
    """

    level: float = 0.0
    best: float = math.inf
    steps: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no training has, with `TypeError` or `ValueError`: checkpoints come from elsewhere."""
        if type(self.steps) is not int or self.steps < 0 or not abs(self.level) < LARGEST or math.isnan(self.best):
            raise ValueError("expected the trend of a loss")

    def observe(self, loss: float) -> None:
        """Take the loss of one step into account; NaN and infinity are left out."""
        if not math.isfinite(loss):
            return
        self.steps += 1
        self.level += (math.log(max(loss, LEAST)) - self.level) / min(self.steps, SMOOTH)
        if self.steps >= SMOOTH:
            self.best = min(self.best, self.level)

    @property
    def exploded(self) -> bool:
        """Whether the smoothed loss is ten times its best."""
        return self.level > self.best + math.log(EXPLODED)

    @property
    def doubtful(self) -> bool:
        """Whether it may be about to explode: it is three times its best."""
        return self.level > self.best + math.log(DOUBTFUL)

    def __str__(self) -> str:
        return f"the loss rose from {math.exp(self.best):.3g} to {math.exp(self.level):.3g}"
