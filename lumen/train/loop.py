"""The training loop, in the order things happen: set up, take steps, validate, finish, save."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from lumen.errors import TrainingError
from lumen.train.brightness import brightness_head, fit_brightness
from lumen.train.capacity import fit_batch
from lumen.train.checkpoint import load_checkpoint, save_checkpoint
from lumen.train.data.batches import Batches
from lumen.train.data.load import name_some
from lumen.train.data.sampler import Sampler
from lumen.train.data.split import Split
from lumen.train.distributed import World
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import Recipe
from lumen.train.records.run_records import RunRecords
from lumen.train.state import TrainState
from lumen.train.stopping import stop_requests
from lumen.train.validate import overall_score, score_words, validate

log = logging.getLogger(__name__)

SAID_EVERY_S = 10.0  # how far the fit of the brightness has come
RETURNS = 3  # how often a training that broke down goes back to its last checkpoint, each time at half the rate


class StoppedError(Exception):
    """A signal came while the brightness head was fitted at the end."""


class Trainer:
    """One training run.

    The folder of the run must exist; other folders and the device in the options are not used here. `on_event` is
    called in the leading process with `{"kind": "begin" | "step" | "validation" | "stage" | "end", ...}`.

    Attributes:
        recipe: With epochs turned into iterations.
    """

    def __init__(
        self,
        recipe: Recipe,
        split: Split,
        options: TrainOptions,
        *,
        world: World,
        on_event: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.split, self.options, self.world, self.on_event = split, options, world, on_event
        self.recipe = recipe = recipe.resolved(split.epoch)
        self.state = state = TrainState(recipe, world)
        state.facts = {
            "data": split.facts(),
            "validation": {},
            "held_out_joined": False,
            "torch": str(torch.__version__),
        }
        self.batches = Batches(split, recipe, world, state.thumbnail_px, options.weights)
        self.records = RunRecords(
            options.run, network=state.ema, examples=split.val_pairs, tensorboard=options.tensorboard
        )
        self._stopped = 0
        self._begun_from = ""  # where the first weights are from, if they are trained ones

    def resume(self, path: Path) -> None:
        """Resume from a checkpoint; raises what `TrainState.resume` raises."""
        held_out = self.state.resume(path).get("val_pairs")
        if self.world.leads:
            known = held_out if isinstance(held_out, list | tuple) else [pair.name for pair in self.split.val_pairs]
            if others := [pair.name for pair in self.split.val_pairs if pair.name not in known]:
                log.warning("%s held out other pairs: %s may have been trained on", path, name_some(others))
            self.records.truncate(self.state.iteration)

    def begin_from(self, source: str | Path) -> None:
        """Start a new training from trained weights: fine-tuning, or a wider network.

        The source is as in `read_start`; raises what `TrainState.begin_from` raises.
        """
        start = self.state.begin_from(source)
        self._begun_from = start.name
        if seen := start.trained_on(self.split.val_pairs):
            log.warning(
                "%s was trained on held-out pictures, whose scores will be too high: %s", source, name_some(seen)
            )

    def fit(self) -> int:
        """Train to the end of the recipe, or until a signal.

        Returns:
            0, or the number of the signal that ended the training; the last state is saved in either case.

        Raises:
            TrainingError: The gradients are NaN or infinite, or the loss explodes, even at lower rates.
        """
        self._report_begin()
        self._prepare()
        with closing(self.records), stop_requests() as stop:
            if self._begun_from and self.split.val_pairs:
                self._validate()  # what the weights are worth as they are: only what is better is best
            while not self._take_steps(stop):
                self._go_back()
            if not self._stopped:
                try:
                    self._finish(stop)
                except StoppedError:  # last.pt holds the last step, from which a later run finishes
                    self._stopped = stop()
            self._report_end()
            return stop() or self._stopped

    def _report_begin(self) -> None:
        """Report what there is to train on, how long, and how often it is validated."""
        if self.world.leads:
            split, recipe = self.split, self.recipe
            counts = {
                "train_pairs": len(split.train_pairs),
                "val_pairs": len(split.val_pairs),
                "train_photos": len(split.train_photos),
                "val_photos": len(split.val_photos),
            }
            steps = {"iteration": self.state.iteration, "of": recipe.optimizer.iterations}
            self.on_event({"kind": "begin", "every": recipe.validation.every, **steps, **counts})

    def _report_end(self) -> None:
        """Report where the training ended, and which of its checkpoints is to be exported."""
        if self.world.leads:
            iteration, of = self.state.iteration, self.recipe.optimizer.iterations
            best = (self.options.run / "best.pt").exists()
            self.on_event(
                {"kind": "end", "iteration": iteration, "of": of, "stopped": bool(self._stopped), "best": best}
            )

    def _prepare(self) -> None:
        """Set up what does not change the result: memory, compilation, and where the pictures are kept."""
        self.state.network.checkpoint_activations(self.options.recompute)
        if self.options.resident:
            self.batches.keep_resident()
        if self.options.fit_memory:  # in the memory that the pictures leave free
            fit_batch(self.state.stepper, len(self.batches.places), self.state.thumbnail_px)
        if self.options.compile:
            self.state.network.compile()

    def _take_steps(self, stop: Callable[[], int]) -> bool:
        """Take the remaining steps, or those until a signal; return False if the training broke down."""
        state, every, last = self.state, self.recipe.validation.every, self.recipe.optimizer.iterations
        with closing(self.batches.ahead(state.iteration, self.options.workers)) as batches:
            start = time.perf_counter()
            for batch in batches:
                step = state.step(batch, bool(stop()))
                self._report_step(step.loss, time.perf_counter() - start)
                if not step.taken and self.world.leads and not state.stepper.scaler.is_enabled():
                    log.warning("iteration %d: NaN or infinite gradients, the step is skipped", state.iteration)
                if state.stepper.broken or state.trend.exploded:
                    return False
                if self._is_scored(state.iteration):
                    self._validate()
                elif state.iteration % every == 0 or state.iteration == last:
                    self._keep()
                if step.stopping:
                    self.save("last.pt", with_optimizer=True)
                    self._stopped = stop() or signal.SIGTERM
                    return True
                start = time.perf_counter()
        return True

    def _report_step(self, loss: float, seconds: float) -> None:
        """Report a step, and record it."""
        if self.world.leads:
            state, speed = self.state, self.recipe.data.batch / seconds
            rate = float(state.stepper.optimizer.param_groups[0]["lr"])
            step = {"iteration": state.iteration, "loss": loss, "crops_per_s": speed, "rate": rate}
            epoch = state.iteration / self.recipe.epoch_length(self.split.epoch)
            self.on_event({"kind": "step", "of": self.recipe.optimizer.iterations, "epoch": epoch, **step})
            self.records.step(step)

    def _go_back(self) -> None:
        """Go back to the last checkpoint, at half the rate.

        Raises:
            TrainingError: There is none, or going back did not help.
        """
        state, last = self.state, self.options.run / "last.pt"
        returns, factor = state.returns + 1, state.rate.factor / 2
        fault = "NaN or infinite gradients" if state.stepper.broken else str(state.trend)
        if returns > RETURNS or not last.exists():
            raise TrainingError(
                f"{fault} at iteration {state.iteration}; the last good state is in "
                f"{last if last.exists() else 'no checkpoint yet'}; lower optimizer.rate, or use --amp off"
            )
        self.resume(last)
        state.returns, state.rate.factor, state.stepper.skipped = returns, factor, 0
        self.save("last.pt", with_optimizer=True)
        if self.world.leads:
            log.warning("%s: resuming from iteration %d at %g times the learning rate", fault, state.iteration, factor)

    def _is_scored(self, iteration: int) -> bool:
        """Return whether to validate now: every so often and at the end, until the held-out pictures join."""
        if iteration > self.recipe.joining:
            return False
        return iteration % self.recipe.validation.every == 0 or iteration == self.recipe.joining

    def _validate(self) -> None:
        """Score the averaged weights; write `last.pt`, and `best.pt` if the score is the best so far."""
        state = self.state
        metrics = validate(state.ema, self.split.val_pairs, self.split.val_photos, self.world)
        score = overall_score(metrics)
        lowered = state.rate.observe(score, self.recipe.optimizer)
        if not self.world.leads:
            return
        if lowered:
            log.info("the score has stopped rising: the learning rate is now %g times the recipe's", state.rate.factor)
        self._record(metrics, best=score > state.best)
        if score > state.best:
            state.best = score
            self.save("best.pt", with_optimizer=False)
        if state.iteration == self.recipe.joining < self.recipe.optimizer.iterations:
            self._fit_brightness(self.batches.apart)
            self._score_alone()
            self.save("validated.pt", with_optimizer=False)
        self._keep()

    def _keep(self) -> None:
        """Write `last.pt`, unless the loss may be about to explode: then it is better to go back further."""
        if not self.state.trend.doubtful or self.state.iteration == self.recipe.optimizer.iterations:
            self.save("last.pt", with_optimizer=True)

    def _record(self, metrics: Mapping[str, float], *, best: bool) -> None:
        """Store the scores of a validation, and report them."""
        self.state.facts["validation"] = dict(metrics)
        self.records.validation(self.state.iteration, metrics)
        score = {"score": overall_score(metrics), "score_of": score_words(metrics)}
        self.on_event({"kind": "validation", "iteration": self.state.iteration, "best": best, **score, **metrics})

    def _score_alone(self) -> None:
        """Score the averaged weights in this process alone, and store the scores."""
        alone = World(device=self.world.device)
        self._record(validate(self.state.ema, self.split.val_pairs, self.split.val_photos, alone), best=True)

    def _finish(self, stop: Callable[[], int]) -> None:
        """Write the final `best.pt`, with a fitted brightness head; raises `StoppedError` after a signal.

        If the held-out pictures joined, it holds the last weights, and the scores from just before they joined; the
        weights of that time are in `validated.pt`. A run that resumed from another folder's checkpoint and found
        nothing better takes its current weights.
        """
        if not self.world.leads:
            return
        best, iteration = self.options.run / "best.pt", None
        if self.recipe.joining < self.recipe.optimizer.iterations:
            self._fit_brightness(self.batches.joined, stop)
            self.state.facts["held_out_joined"] = True
            self.save("best.pt", with_optimizer=False)
        elif brightness_head(self.state.ema) is None:
            if not best.exists():
                self.save("best.pt", with_optimizer=False)
        elif self.recipe.brightness.iterations:
            if best.exists():
                checkpoint = load_checkpoint(best)
                self.state.ema.load_state_dict(dict(checkpoint.ema))
                iteration = checkpoint.iteration
            self._fit_brightness(self.batches.apart, stop)
            self._score_alone()
            self.save("best.pt", with_optimizer=False, iteration=iteration)

    def _fit_brightness(self, sampler: Sampler, stop: Callable[[], int] = lambda: 0) -> None:
        """Fit the brightness head of the averaged network, if it has one; in the leading process alone."""
        head, config = brightness_head(self.state.ema), self.recipe.brightness
        if not config.iterations or head is None:
            return
        done, said = 0, 0.0
        facts = {"of": config.samples + config.iterations, "joined": sampler is self.batches.joined}

        def step() -> None:
            nonlocal done, said
            if stop():
                raise StoppedError
            if time.monotonic() - said >= SAID_EVERY_S:
                said = time.monotonic()
                self.on_event({"kind": "stage", "stage": "brightness", "done": done, **facts})
            done += 1

        fit_brightness(head, sampler, config, self.recipe.seed, step)
        self.on_event({"kind": "stage", "stage": "brightness", "done": facts["of"], **facts})

    def save(self, name: str, *, with_optimizer: bool, iteration: int | None = None) -> None:
        """Write a checkpoint into the run's folder (leading process only)."""
        if self.world.leads:
            checkpoint = self.state.checkpoint(with_optimizer=with_optimizer, iteration=iteration)
            save_checkpoint(checkpoint, self.options.run / name)
