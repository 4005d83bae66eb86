"""The batches of a training, in the order of its iterations, prepared ahead."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lumen.train.data.resident import ResidentSampler
from lumen.train.data.sampler import Sampler, Weights
from lumen.train.data.split import Split
from lumen.train.distributed import World
from lumen.train.recipe.recipe import Recipe

TrainingBatch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # low, high, thumbnails, brightness, boxes


class Batches(Dataset[TrainingBatch]):
    """Draws this process's share of each batch.

    The recipe has its epochs turned into iterations; `thumbnail_px` is 0 for networks that read none in training;
    `weights` are those of `Sampler`.

    Attributes:
        apart: Draws from the pictures that are not held out.
        joined: Draws from all pictures, after the held-out ones have joined.

    Raises:
        DataError: There is nothing to draw from.
        UsageError: The processes cannot share a batch evenly.
    """

    def __init__(
        self, split: Split, recipe: Recipe, world: World, thumbnail_px: int, weights: Weights = ((), ())
    ) -> None:
        self.recipe, self.device = recipe, world.device
        share = world.share_of(recipe.data.batch)
        self.places = range(world.rank * share, (world.rank + 1) * share)
        self.apart, self.joined = (
            Sampler(*examples, recipe.data, thumbnail_px=thumbnail_px, seed=recipe.seed, weights=weights)
            for examples in ((split.train_pairs, split.train_photos), (split.all_pairs, split.all_photos))
        )
        self.resident: list[ResidentSampler] = []

    def keep_resident(self) -> None:
        """Keep the pictures in the device's memory, and cut the crops there.

        Raises:
            DataError: They do not fit.
        """
        self.resident = [ResidentSampler(self.apart, self.device)]
        if self.recipe.joining < self.recipe.optimizer.iterations:
            self.resident.append(ResidentSampler(self.joined, self.device, beside=self.resident[0]))

    def ahead(self, first: int, workers: int) -> Generator[TrainingBatch]:
        """Yield the batches from an iteration to the end, prepared by worker processes, or by a thread for 0."""
        coming = range(first, self.recipe.optimizer.iterations)
        if workers:
            pin = self.device.type == "cuda"
            yield from DataLoader(self, batch_size=None, sampler=coming, num_workers=workers, pin_memory=pin)
            return
        with ThreadPoolExecutor(1) as prefetch:
            upcoming = prefetch.submit(self.draw, first)
            for iteration in coming:
                batch, upcoming = upcoming.result(), prefetch.submit(self.draw, iteration + 1)
                yield batch

    def __getitem__(self, iteration: int) -> TrainingBatch:
        return self.draw(iteration)

    def draw(self, iteration: int) -> TrainingBatch:
        """Return low, high [n, 3, c, c], thumbnails [n, 3, t, t], brightness [n] and boxes [n, 4], float32."""
        joined = iteration >= self.recipe.joining
        if self.resident:
            return self.resident[joined].batch(iteration, self.places)
        sampler = self.joined if joined else self.apart
        samples = [sampler.draw(iteration, place) for place in self.places]

        def stack(name: str) -> Tensor:
            return torch.stack([torch.from_numpy(getattr(s, name)) for s in samples]).permute(0, 3, 1, 2)

        brightness = torch.tensor([s.brightness for s in samples])
        boxes = torch.stack([torch.from_numpy(s.box) for s in samples])
        return stack("low"), stack("high"), stack("thumbnail"), brightness, boxes
