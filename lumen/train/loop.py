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
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lumen.errors import TrainingError, UsageError
from lumen.models import Network, build_network
from lumen.models.context import BrightnessHead
from lumen.models.widen import widened
from lumen.train.brightness import fit_brightness
from lumen.train.capacity import fit_batch
from lumen.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from lumen.train.data.load import Example, name_some
from lumen.train.data.resident import ResidentSampler
from lumen.train.data.sampler import Sampler
from lumen.train.data.split import split_by_scene
from lumen.train.distributed import World
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe, from_dict
from lumen.train.records.metrics_log import RunLog
from lumen.train.schedule import Pace
from lumen.train.start import read_start
from lumen.train.stepper import Step, Stepper, require_divisible
from lumen.train.validate import validate

log = logging.getLogger(__name__)

Event = Mapping[str, Any]
Batch = tuple[Tensor, Tensor, Tensor, Tensor]

RETURNS = 3  # times a training that broke down begins again from its last checkpoint, each time at half the rate


def selection_score(metrics: Mapping[str, float]) -> float:
    """What `best` maximises: PSNR given the brightness, and a tenth of how well good photographs are left alone.

    Networks that predict no brightness are scored by plain PSNR.
    """
    given = metrics.get("psnr_given", metrics.get("psnr", 0.0))
    return given + 0.1 * min(45.0, metrics.get("photo_psnr_own", metrics.get("photo_psnr", 0.0)))


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Catch SIGINT and SIGTERM while training; the result tells the last one caught, or 0.

    A second one is not caught any more and ends the training at once, with its last checkpoint as it is.
    """
    caught = [0]
    if threading.current_thread() is not threading.main_thread():
        yield lambda: caught[0]
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: object) -> None:
        caught[0] = number
        for each, handler in previous.items():
            signal.signal(each, handler)

    for number in previous:
        signal.signal(number, note)
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
        run: Folder for checkpoints and metrics; it exists.
        world: This process among all.
        on_event: Called in the leading process with `{"kind": "step" | "validation" | "stage", ...}`.
        options: How the run is done; its folders and its device are not read here.
        val_pairs: Pairs to validate on instead of scenes of `pairs`.

    Attributes:
        recipe: With epochs turned into iterations.
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
        options: TrainOptions | None = None,
        val_pairs: Sequence[Example] | None = None,
    ) -> None:
        require_divisible(recipe.data.batch, world)
        self.run, self.world, self.on_event = run, world, on_event
        self.options = options or TrainOptions(run=run)
        self.split = split_by_scene(pairs, photos, recipe, val_pairs)
        self.recipe = recipe = recipe.resolved(self.split.epoch)
        torch.manual_seed(recipe.seed)
        network = build_network(recipe.network.architecture, **recipe.network.hyperparameters)
        self.network = network.to(world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema: Network = copy.deepcopy(self.network).requires_grad_(False)
        self.stepper = Stepper(self.network, recipe, world)
        self.pace = Pace()
        self.thumbnail_px = network.thumbnail_px if network.predicts_brightness else 0
        everything = (pairs, photos) if val_pairs is None else ([*pairs, *val_pairs], photos)
        self.sampler, self.joined = (
            Sampler(
                *examples,
                recipe.data,
                thumbnail_px=self.thumbnail_px,
                seed=recipe.seed,
                weights=self.options.weights,
            )
            for examples in ((self.split.train_pairs, self.split.train_photos), everything)
        )
        self.iteration, self.best, self.returns = 0, -math.inf, 0
        self._stopped = 0
        self.resident: list[ResidentSampler] = []
        self.facts: dict[str, Any] = {
            "data": self.split.facts(),
            "validation": {},
            "held_out_joined": False,
            "torch": str(torch.__version__),
        }
        self.log = RunLog(run, network=self.ema, examples=self.split.val_pairs, tensorboard=self.options.tensorboard)

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
        self.stepper.optimizer.load_state_dict(dict(checkpoint.optimizer))
        self.iteration, self.best = checkpoint.iteration, checkpoint.best
        self.facts["validation"] = dict(checkpoint.facts.get("validation", {}))
        if checkpoint.state:
            self.stepper.restore(checkpoint.state["stepper"])
            self.pace.restore(checkpoint.state["pace"])
            self.returns = int(checkpoint.state["returns"])
        if self.world.leads:
            self.log.truncate(self.iteration)

    def begin_from(self, source: str | Path) -> None:
        """Start a new training from trained weights: fine-tuning, or a wider network.

        Args:
            source: A checkpoint, of which the averaged weights are taken; an exported model's file; or the name of a
                bundled model.

        Raises:
            ModelError: There is no such model, or its file is damaged.
            UsageError: It holds a network of other blocks, or one whose widths do not divide this one's.
        """
        start = read_start(str(source))
        if start.held_out_joined and self.split.val_pairs:
            log.warning("%s has seen the held-out pictures: their scores will be too good; take validated.pt", source)
        if seen := start.trained_on(self.split.val_pairs):
            log.warning("%s was trained on held-out pictures: their scores are too good: %s", source, name_some(seen))
        try:
            weights = widened(start.filled(self.network), self.network, self.recipe.seed)
        except ValueError as error:
            raise UsageError(f"{source} holds another network than recipe {self.recipe.name!r}: {error}") from error
        self.network.load_state_dict(weights)
        self.ema.load_state_dict(weights)

    def fit(self) -> int:
        """Train to the end of the recipe, or until a signal.

        Returns:
            0, or the number of the signal that ended the training; the last state is saved in either case.

        Raises:
            TrainingError: The gradients are no numbers any more, even at lower rates.
        """
        self._prepare()
        with closing(self.log), stop_requests() as stop:
            while self._fit_on(stop):
                self._return()
            if not self._stopped:
                self._finish()
            return stop() or self._stopped

    def _prepare(self) -> None:
        """Set up what changes no result: memory, compilation, and where the pictures lie."""
        self.network.checkpoint_activations(self.options.recompute)
        if self.options.resident:
            first = ResidentSampler(self.sampler, self.world.device)
            self.resident = [first]
            if self.recipe.joining < self.recipe.optimizer.iterations:
                self.resident.append(ResidentSampler(self.joined, self.world.device, beside=first))
        if self.options.fit_memory:  # in what the pictures leave
            fit_batch(self.stepper, self.recipe.data.batch // self.world.size, self.thumbnail_px)
        if self.options.compile:
            self.network.compile()

    def _fit_on(self, stop: Callable[[], int]) -> bool:
        """Take the steps that are left, or those until a signal; tell whether the training broke down instead."""
        config = self.recipe.optimizer
        with closing(self._batches()) as batches:
            start = time.perf_counter()
            for batch in batches:
                step = self.step(batch, bool(stop()))
                self.iteration += 1
                self._report_step(step.loss, time.perf_counter() - start)
                if not step.taken and self._breaks_down():
                    return True
                if self._validates(self.iteration):
                    self._validate()
                elif self.iteration % self.recipe.validation.every == 0 or self.iteration == config.iterations:
                    self.save("last.pt", with_optimizer=True)
                if step.stopping:
                    self.save("last.pt", with_optimizer=True)
                    self._stopped = stop() or signal.SIGTERM
                    return False
                start = time.perf_counter()
        return False

    def _breaks_down(self) -> bool:
        """Tell of a step that was left out; whether there were too many in a row."""
        if self.world.leads and not self.stepper.scaler.is_enabled():
            log.warning("iteration %d: the gradient is no number; the step is left out", self.iteration)
        return self.stepper.broken

    def _return(self) -> None:
        """Begin again from the last checkpoint, more slowly.

        Raises:
            TrainingError: There is none, or it did not help before.
        """
        last, returns, factor = self.run / "last.pt", self.returns + 1, self.pace.factor / 2
        if returns > RETURNS or not last.exists():
            raise TrainingError(
                f"the gradients are no numbers any more at iteration {self.iteration}; the last sound state is in "
                f"{last if last.exists() else 'no checkpoint yet'}; lower optimizer.rate, or take --amp off"
            )
        self.resume(last)
        self.returns, self.pace.factor, self.stepper.harmful = returns, factor, 0
        self.save("last.pt", with_optimizer=True)
        if self.world.leads:
            log.warning("going on from iteration %d at %g of the rate", self.iteration, factor)

    def _validates(self, iteration: int) -> bool:
        """Whether the weights are scored: on the beat and at the end, as long as the held-out pictures are unseen."""
        if iteration > self.recipe.joining:
            return False
        return iteration % self.recipe.validation.every == 0 or iteration == self.recipe.joining

    def _batches(self) -> Generator[Batch]:
        """Yield the batches of the iterations still to come, drawn ahead."""
        coming = range(self.iteration, self.recipe.optimizer.iterations)
        if self.options.workers:
            pin = self.world.device.type == "cuda"
            yield from DataLoader(
                _Batches(self), batch_size=None, sampler=coming, num_workers=self.options.workers, pin_memory=pin
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
        places = range(self.world.rank * share, (self.world.rank + 1) * share)
        joined = iteration >= self.recipe.joining
        if self.resident:
            return self.resident[joined].batch(iteration, places)
        sampler = self.joined if joined else self.sampler
        samples = [sampler.draw(iteration, place) for place in places]

        def stack(name: str) -> Tensor:
            return torch.stack([torch.from_numpy(getattr(s, name)) for s in samples]).permute(0, 3, 1, 2)

        brightness = torch.tensor([s.brightness for s in samples])
        return stack("low"), stack("high"), stack("thumbnail"), brightness

    def step(self, batch: Sequence[Tensor], stop: bool) -> Step:
        """Take one optimiser step, and move the averaged weights."""
        step = self.stepper.step(batch, self.pace.rate(self.recipe.optimizer, self.iteration), stop)
        if step.taken:
            self._average()
        return step

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the present ones; faster at first, when they are still far off."""
        decay = min(self.recipe.optimizer.ema, (1 + self.iteration) / (10 + self.iteration))
        torch._foreach_lerp_(list(self.ema.parameters()), list(self.network.parameters()), 1 - decay)

    def _report_step(self, loss: float, seconds: float) -> None:
        if self.world.leads:
            speed = self.recipe.data.batch / seconds
            rate = float(self.stepper.optimizer.param_groups[0]["lr"])
            step = {"iteration": self.iteration, "loss": loss, "crops_per_s": speed, "rate": rate}
            epoch = self.iteration / self.recipe.epoch_length(self.split.epoch)
            self.on_event({"kind": "step", "of": self.recipe.optimizer.iterations, "epoch": epoch, **step})
            self.log.step(step)

    def _validate(self) -> None:
        """Score the averaged weights and write `last`, and `best` if they are."""
        metrics = validate(self.ema, self.split.val_pairs, self.split.val_photos, self.world)
        lowered = self.pace.observe(selection_score(metrics), self.recipe.optimizer)
        if not self.world.leads:
            return
        if lowered:
            log.info("no better score for a while: the rate is now %g of the recipe's", self.pace.factor)
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
        weights are in `validated.pt`. A run that went on from another folder's checkpoint and found nothing better
        takes its present weights.
        """
        if not self.world.leads:
            return
        iteration = self.iteration
        if self.recipe.joining < self.recipe.optimizer.iterations:
            self._fit_brightness(self.joined)
            self.facts["held_out_joined"] = True
            self.save("best.pt", with_optimizer=False)
        elif self._head() is None:
            if not (self.run / "best.pt").exists():
                self.save("best.pt", with_optimizer=False)
        elif self.recipe.brightness.iterations:
            if (self.run / "best.pt").exists():
                checkpoint = load_checkpoint(self.run / "best.pt")
                self.ema.load_state_dict(dict(checkpoint.ema))
                iteration = checkpoint.iteration
            self._fit_brightness(self.sampler)
            self._score_alone()
            self.save("best.pt", with_optimizer=False, iteration=iteration)

    def _fit_brightness(self, sampler: Sampler) -> None:
        """Fit the head of the averaged weights; a second stage, in the leading process alone."""
        head = self._head()
        if self.recipe.brightness.iterations and head is not None:
            self.on_event({"kind": "stage", "stage": "brightness", "of": self.recipe.brightness.iterations})
            fit_brightness(head, sampler, self.recipe.brightness, self.recipe.seed)

    def _head(self) -> BrightnessHead | None:
        """Return the averaged weights' head that predicts the brightness, if this kind of network has one."""
        head = getattr(self.ema, "exposure", None)
        return head if isinstance(head, BrightnessHead) else None

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
                optimizer=self.stepper.optimizer.state_dict() if with_optimizer else None,
                best=self.best,
                facts=self.facts,
                state=self._state() if with_optimizer else {},
            )
            save_checkpoint(checkpoint, self.run / name)

    def _state(self) -> dict[str, Any]:
        return {"stepper": self.stepper.state(), "pace": self.pace.state(), "returns": self.returns}


class _Batches(Dataset[Batch]):
    """What the worker processes of a trainer draw from, by iteration."""

    def __init__(self, trainer: Trainer) -> None:
        self.batch = trainer.batch

    def __getitem__(self, iteration: int) -> Batch:
        return self.batch(iteration)
