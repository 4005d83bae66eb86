"""The learning rate: the recipe's schedule, lowered on a plateau or after NaN gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lumen.train.recipe.sections import OptimizerConfig


def learning_rate(config: OptimizerConfig, iteration: int) -> float:
    """Return the scheduled rate: linear warm-up, a constant, and for `cosine` half a cosine down to `final_rate`."""
    if iteration < config.warmup:
        return config.rate * (iteration + 1) / config.warmup
    start = max(config.warmup, int(config.hold * config.iterations))
    if config.schedule != "cosine" or iteration < start:
        return config.rate
    progress = min(1.0, (iteration - start) / max(1, config.iterations - 1 - start))
    return config.final_rate + (config.rate - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2


@dataclass(kw_only=True)
class RateControl:
    """The rate of a training: the schedule's, times a factor.

    The factor goes down when scores stop rising, or when the gradients became NaN. Checkpoints store the attributes.

    Attributes:
        factor: Multiplies the rate of the schedule.
        best: Best score so far.
        waited: Validations since the best score.
    """

    factor: float = 1.0
    best: float = -math.inf
    waited: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no training has, with `TypeError` or `ValueError`: checkpoints come from elsewhere."""
        if type(self.waited) is not int or not 0 < self.factor < math.inf or math.isnan(self.best):
            raise ValueError("expected the state of a learning rate")

    def at(self, config: OptimizerConfig, iteration: int) -> float:
        """Return the learning rate of an iteration."""
        rate = learning_rate(config, iteration) * self.factor
        return max(rate, min(config.final_rate, config.rate)) if config.schedule == "plateau" else rate

    def observe(self, score: float, config: OptimizerConfig) -> bool:
        """Record the score of a validation; return whether the rate was lowered."""
        if config.schedule != "plateau":
            return False
        self.waited = 0 if score > self.best else self.waited + 1
        self.best = max(self.best, score)
        if self.waited < config.plateau_patience:
            return False
        self.factor, self.waited = self.factor * config.plateau_factor, 0
        return True
