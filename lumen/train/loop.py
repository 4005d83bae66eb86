"""The training loop, in the order things happen."""

from __future__ import annotations

import copy
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lumen.errors import DataError, UsageError
from lumen.models import Network, build_network
from lumen.models.context import BrightnessHead
from lumen.models.widen import widened
from lumen.train.brightness import fit_brightness
from lumen.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lumen.train.data import Example, Sampler
from lumen.train.distributed import World
from lumen.train.log import MetricsLog
from lumen.train.losses import restoration_loss
from lumen.train.recipe import OptimizerConfig, Recipe, from_dict
from lumen.train.scenes import group_scenes, split_scenes
from lumen.train.validate import validate

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Examples on both sides of the validation split."""

    train_pairs: Sequence[Example]
    val_pairs: Sequence[Example]
    train_photos: Sequence[Example]
    val_photos: Sequence[Example]

    def facts(self) -> dict[str, Any]:
        """Counts, and the names held out."""
        return {
            "train_pairs": len(self.train_pairs),
            "train_photos": len(self.train_photos),
            "val_pairs": [example.name for example in self.val_pairs],
            "val_photos": [example.name for example in self.val_photos],
        }


def split_by_scene(pairs: Sequence[Example], photos: Sequence[Example], recipe: Recipe) -> Split:
    """Hold out whole scenes of pairs and of photographs.

    Raises:
        DataError: Nothing would be left to train on.
    """
    sides: list[list[Example]] = []
    for examples, held_out in ((pairs, recipe.validation.pairs), (photos, recipe.validation.photos)):
        groups = group_scenes(example.high for example in examples) if examples else []
        split = split_scenes(groups, held_out if examples else 0, recipe.seed)
        sides.extend([examples[index] for index in side] for side in split)
    if (pairs and not sides[0]) or (photos and not sides[2]):
        raise DataError("the validation split takes every scene; lower validation.pairs or validation.photos")
    return Split(train_pairs=sides[0], val_pairs=sides[1], train_photos=sides[2], val_photos=sides[3])


def learning_rate(config: OptimizerConfig, iteration: int) -> float:
    """Linear warm-up, constant, then half a cosine down to `final_rate` at the last iteration."""
    if iteration < config.warmup:
        return config.rate * (iteration + 1) / config.warmup
    start = max(config.warmup, int(config.hold * config.iterations))
    if iteration < start:
        return config.rate
    progress = min(1.0, (iteration - start) / max(1, config.iterations - 1 - start))
    return config.final_rate + (config.rate - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2


def selection_score(metrics: Mapping[str, float]) -> float:
    """What `best` maximises: PSNR given the brightness, and a tenth of how well good photographs are left alone."""
    return metrics.get("psnr_given", 0.0) + 0.1 * min(45.0, metrics.get("photo_psnr_own", 0.0))


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Catch SIGINT and SIGTERM while training; the result tells the last one caught, or 0."""
    caught = [0]

    def note(number: int, _: object) -> None:
        caught[0] = number

    if threading.current_thread() is not threading.main_thread():
        yield lambda: caught[0]
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: caught[0]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Trainer:
    """One training run.

    Args:
        recipe: All values.
        pairs: Real pairs, before the split.
        photos: Well-lit photographs, before the split.
        run: Folder for checkpoints and metrics; made when missing.
        world: This process among all.
        on_event: Called in the leading process with `{"kind": "step" | "validation" | "stage", ...}`.
        workers: Processes that draw batches ahead; 0 draws them in a thread. The batches are the same.
    """

    def __init__(
        self,
        recipe: Recipe,
        pairs: Sequence[Example],
        photos: Sequence[Example],
        run: Path,
        *,
        world: World,
        on_event: Callable[[Event], None],
        workers: int = 0,
    ) -> None:
        if recipe.data.batch % world.size:
            raise UsageError(f"expected data.batch={recipe.data.batch} to divide over {world.size} processes")
        self.recipe, self.run, self.world, self.on_event, self.workers = recipe, run, world, on_event, workers
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        self.network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: Network = copy.deepcopy(self.network).requires_grad_(False)
        self.trained = [p for name, p in self.network.named_parameters() if not name.startswith("exposure.")]
        self.optimizer = torch.optim.AdamW(parameter_groups(self.trained, recipe.optimizer.weight_decay))
        self.split = split_by_scene(pairs, photos, recipe)
        self.sampler, self.joined = (
            Sampler(*examples, recipe.data, thumbnail_px=network.thumbnail_px, seed=recipe.seed)
            for examples in ((self.split.train_pairs, self.split.train_photos), (pairs, photos))
        )
        self.iteration, self.best = 0, -math.inf
        self.facts: dict[str, Any] = {"data": self.split.facts(), "validation": {}, "torch": str(torch.__version__)}
        self.log = MetricsLog(run / "metrics.csv")

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            ModelError: The file is no checkpoint.
            UsageError: It holds another network, or no optimiser state.
        """
        checkpoint = load_checkpoint(path)
        if checkpoint.optimizer is None:
            raise UsageError(f"expected a checkpoint with optimiser state (last.pt), got {path}")
        if from_dict(checkpoint.recipe).network != self.recipe.network:
            raise UsageError(f"{path} holds another network than recipe {self.recipe.name!r}; use its own recipe")
        self.network.load_state_dict(dict(checkpoint.weights))
        self.ema.load_state_dict(dict(checkpoint.ema))
        self.optimizer.load_state_dict(dict(checkpoint.optimizer))
        self.iteration, self.best = checkpoint.iteration, checkpoint.best
        self.facts["validation"] = dict(checkpoint.facts.get("validation", {}))
        if self.world.leads:
            self.log.truncate(self.iteration)

    def begin_from(self, path: Path) -> None:
        """Start a new training from the averaged weights of a checkpoint: fine-tuning, or a wider network.

        Raises:
            ModelError: The file is no checkpoint.
            UsageError: It holds a network of other blocks, or one whose widths do not divide this one's.
        """
        checkpoint = load_checkpoint(path)
        if checkpoint.facts.get("held_out_joined") and self.split.val_pairs:
            log.warning("%s has seen the held-out pictures: their scores will be too good; take validated.pt", path)
        try:
            weights = widened(checkpoint.ema, self.network, self.recipe.seed)
        except ValueError as error:
            raise UsageError(f"{path} holds another network than recipe {self.recipe.name!r}: {error}") from error
        self.network.load_state_dict(weights)
        self.ema.load_state_dict(weights)

    def fit(self) -> int:
        """Train to the end of the recipe, or until a signal.

        Returns:
            0, or the number of the signal that ended the training; the last state is saved in either case.
        """
        config = self.recipe.optimizer
        with stop_requests() as stop, closing(self._batches()) as batches:
            start = time.perf_counter()
            for batch in batches:
                loss, stopping = self.step(batch, bool(stop()))
                self.iteration += 1
                self._report_step(loss, time.perf_counter() - start)
                if self._validates(self.iteration):
                    self._validate()
                elif self.iteration % self.recipe.validation.every == 0 or self.iteration == config.iterations:
                    self.save("last.pt", with_optimizer=True)
                if stopping:
                    self.save("last.pt", with_optimizer=True)
                    return stop() or signal.SIGTERM
                start = time.perf_counter()
            self._finish()
            return stop()

    def _validates(self, iteration: int) -> bool:
        """Whether the weights are scored: on the beat and at the end, as long as the held-out pictures are unseen."""
        if iteration > self.recipe.joining:
            return False
        return iteration % self.recipe.validation.every == 0 or iteration == self.recipe.joining

    def _batches(self) -> Generator[Batch]:
        """Yield the batches of the iterations still to come, drawn ahead."""
        coming = range(self.iteration, self.recipe.optimizer.iterations)
        if self.workers:
            pin = self.world.device.type == "cuda"
            yield from DataLoader(
                _Batches(self), batch_size=None, sampler=coming, num_workers=self.workers, pin_memory=pin
            )
            return
        with ThreadPoolExecutor(1) as prefetch:
            upcoming = prefetch.submit(self.batch, self.iteration)
            for iteration in coming:
                batch, upcoming = upcoming.result(), prefetch.submit(self.batch, iteration + 1)
                yield batch

    def batch(self, iteration: int) -> Batch:
        """Draw this process's share: low, high [n, 3, c, c], thumbnails [n, 3, t, t], brightness [n], all float32."""
        share = self.recipe.data.batch // self.world.size
        first = self.world.rank * share
        sampler = self.sampler if iteration < self.recipe.joining else self.joined
        samples = [sampler.draw(iteration, place) for place in range(first, first + share)]

        def stack(name: str) -> Tensor:
            return torch.stack([torch.from_numpy(getattr(s, name)) for s in samples]).permute(0, 3, 1, 2)

        brightness = torch.tensor([s.brightness for s in samples])
        return stack("low"), stack("high"), stack("thumbnail"), brightness

    def step(self, batch: Sequence[Tensor], stop: bool) -> tuple[float, bool]:
        """Take one optimiser step; return this process's loss, and whether any process wants to stop."""
        config = self.recipe.optimizer
        low, high, thumbnails, brightness = (t.to(self.world.device, non_blocking=True) for t in batch)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, self.iteration)
        self.network.train()
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=config.amp == "bf16"):
            output = self.network(low.contiguous(memory_format=torch.channels_last), thumbnails, brightness)
        loss = restoration_loss(output.float(), high, self.recipe.loss)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        stopping = self.world.mean_gradients(self.trained, stop)
        nn.utils.clip_grad_norm_(self.trained, config.clip_norm)
        self.optimizer.step()
        self._average()
        return float(loss.detach()), stopping

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first, when they are still far off."""
        decay = min(self.recipe.optimizer.ema, (1 + self.iteration) / (10 + self.iteration))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)

    def _report_step(self, loss: float, seconds: float) -> None:
        if self.world.leads:
            rate = self.recipe.data.batch / seconds
            step = {"iteration": self.iteration, "loss": loss, "crops_per_s": rate}
            self.on_event({"kind": "step", "of": self.recipe.optimizer.iterations, **step})
            self.log.step(step)

    def _validate(self) -> None:
        """Score the averaged weights and write `last`, and `best` if they are."""
        metrics = validate(self.ema, self.split.val_pairs, self.split.val_photos, self.world)
        if not self.world.leads:
            return
        score = selection_score(metrics)
        self._record(metrics, best=score > self.best)
        if score > self.best:
            self.best = score
            self.save("best.pt", with_optimizer=False)
        if self.iteration == self.recipe.joining < self.recipe.optimizer.iterations:
            self._fit_brightness(self.sampler)
            self._score_alone()
            self.save("validated.pt", with_optimizer=False)
        self.save("last.pt", with_optimizer=True)

    def _record(self, metrics: Mapping[str, float], *, best: bool) -> None:
        """Keep the scores of a validation, and tell them."""
        self.facts["validation"] = dict(metrics)
        self.log.validation(self.iteration, metrics)
        self.on_event({"kind": "validation", "iteration": self.iteration, "best": best, **metrics})

    def _finish(self) -> None:
        """Write `best.pt` as it is released: with a fitted brightness head.

        Where the held-out pictures joined, it holds the last weights, and the scores of the moment before, whose
        weights are in `validated.pt`. A run that
        went on from another folder's checkpoint and found nothing better takes its present weights.
        """
        if not self.world.leads:
            return
        iteration = self.iteration
        if self.recipe.joining < self.recipe.optimizer.iterations:
            self._fit_brightness(self.joined)
            self.facts["held_out_joined"] = True
            self.save("best.pt", with_optimizer=False)
        elif self.recipe.brightness.iterations and isinstance(self.ema.get_submodule("exposure"), BrightnessHead):
            if (self.run / "best.pt").exists():
                checkpoint = load_checkpoint(self.run / "best.pt")
                self.ema.load_state_dict(dict(checkpoint.ema))
                iteration = checkpoint.iteration
            self._fit_brightness(self.sampler)
            self._score_alone()
            self.save("best.pt", with_optimizer=False, iteration=iteration)

    def _fit_brightness(self, sampler: Sampler) -> None:
        """Fit the head of the averaged weights; a second stage, in the leading process alone."""
        head = self.ema.get_submodule("exposure")
        if self.recipe.brightness.iterations and isinstance(head, BrightnessHead):
            self.on_event({"kind": "stage", "stage": "brightness", "of": self.recipe.brightness.iterations})
            fit_brightness(head, sampler, self.recipe.brightness, self.recipe.seed)

    def _score_alone(self) -> None:
        """Score the averaged weights in this process, and keep the scores."""
        alone = World(device=self.world.device)
        self._record(validate(self.ema, self.split.val_pairs, self.split.val_photos, alone), best=True)

    def save(self, name: str, *, with_optimizer: bool, iteration: int | None = None) -> None:
        """Write a checkpoint into the run's folder (leading process only)."""
        if self.world.leads:
            checkpoint = Checkpoint(
                iteration=self.iteration if iteration is None else iteration,
                recipe=self.recipe.to_dict(),
                weights=self.network.state_dict(),
                ema=self.ema.state_dict(),
                optimizer=self.optimizer.state_dict() if with_optimizer else None,
                best=self.best,
                facts=self.facts,
            )
            save_checkpoint(checkpoint, self.run / name)


class _Batches(Dataset[Batch]):
    """What the worker processes of a trainer draw from, by iteration."""

    def __init__(self, trainer: Trainer) -> None:
        self.batch = trainer.batch

    def __getitem__(self, iteration: int) -> Batch:
        return self.batch(iteration)


def parameter_groups(parameters: Sequence[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Group parameters for AdamW: weights decay, biases do not."""
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
