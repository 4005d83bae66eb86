"""The watching service: enhances settled files, then keeps, moves or removes the inputs.

`Service.run` is one loop in one thread: it takes files from the watcher while the worker has room, and has the endings
write down what became of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import Any

from lumen.config import EnhanceOptions, WatchOptions
from lumen.enhance.model_choice import check_options
from lumen.enhance.names import result_name
from lumen.enhance.picture_rules import PictureOptions, PictureRule
from lumen.errors import Exit, OutputError, UnavailableError, UsageError
from lumen.imaging.clip_formats import require_package
from lumen.runtime.devices import Device, helper_threads
from lumen.runtime.protocols import Model, Models
from lumen.stages import LeftError
from lumen.watching.clock import SystemClock
from lumen.watching.context import WatchContext
from lumen.watching.endings import Endings
from lumen.watching.events import EventListener, Events
from lumen.watching.folder_lights import FolderLights
from lumen.watching.folders import check_folders, exposed_folders, outputs_around
from lumen.watching.ledger.binding import Binding
from lumen.watching.observing.tree import Tree
from lumen.watching.output import HeldOutput
from lumen.watching.settings_change import tell_changes
from lumen.watching.signs import SignsOfLife
from lumen.watching.watcher import SIGN_S, Watcher
from lumen.watching.work import Ending, Work
from lumen.watching.worker import Worker

DRAIN_S = 16.0  # for files in work when the service is stopped; after that they are aborted
ABORT_S = 6.0
READ_S = 2.0  # for files that are only being read: nothing of them is lost
MOST_HANGING = 3  # threads that were left behind with a file; their memory is theirs until the process ends
TICK_S = 0.2


class Service:
    """Watches one folder until it is stopped, or processes it once.

    Attributes:
        hangs: Whether threads are left that did not end; the process must not wait for them.
    """

    def __init__(
        self,
        folder: Path,
        models: Sequence[Models],
        enhance: EnhanceOptions,
        options: WatchOptions,
        listener: EventListener,
        rules: Sequence[PictureRule] = (),
        sign_s: float = SIGN_S,
    ) -> None:
        """Prepare; nothing is touched yet.

        Args:
            folder: The folder to watch.
            models: Sets of models that work side by side.
            enhance: How each picture is enhanced.
            options: How it is watched, and where results go.
            listener: Called with each event.
            rules: For which pictures `enhance` differs.
            sign_s: Time between two events `alive`, at most `SIGN_S`.

        Raises:
            MissingExtraError: Clips are wanted, and the package that reads them is not installed.
            UsageError: The folder does not exist, or the other folders lie so that files would be overwritten.
        """
        check_folders(folder, options)
        if options.clips:
            require_package()
        self.hangs = False
        self._models = models
        self._enhance = PictureOptions(enhance, rules)
        self._options = options
        self._events = Events(listener)
        self._clock = SystemClock()
        own = [each for each in (options.output, options.archive, options.failed_dir) if each is not None]
        self._tree = Tree(folder, without=own, ignore=options.ignore, clips=options.clips)
        self._output = HeldOutput(options.output, options.min_free_bytes)
        self._sign_s = sign_s
        self._is_stopped = False
        self._watcher: Watcher | None = None

    def run(self) -> Exit:
        """Watch.

        Returns:
            0 after `stop`; with `oneshot` 3 when some files failed, and 4 when all did.

        Raises:
            LockedError: Another run holds the output folder.
            OutputError: It cannot be written at the start, or with `oneshot` later; or the ledger is damaged.
            UnavailableError: The model or the device cannot be used, or stopped working.
            UsageError: The output folder holds the results of another folder; the requested window or memory is too
                small.
        """
        with self._output:
            self._refuse_another_input()
            self._output.clean()
            opened, lights = self._opened(), self._lights()
            devices = [model.device for model in opened]
            context = WatchContext(
                tree=self._tree,
                ledger=self._output.ledger,
                options=self._options,
                events=self._events,
                clock=self._clock,
            )
            self._watcher = watcher = Watcher(context, self._result_path)
            if self._is_stopped:  # before there was a watcher to stop
                watcher.stop()
            worker = self._worker(watcher, devices, lights)
            endings = Endings(context, watcher, worker, self._output)
            signs = SignsOfLife(context, watcher, worker, self._sign_s)
            self._tell_start(opened[0].spec.name, devices)
            tell_changes(self._output.ledger, self._events, opened[0].spec, self._enhance, self._options)
            self._warn_of_others()
            watcher.write_status()
            try:
                for settled in watcher.files(lambda: worker.room):
                    if settled is None:
                        endings.turn()
                        signs.turn()
                        if lights is not None:
                            lights.keep()
                        self._refuse_to_continue(watcher, worker)
                    else:
                        target = self._options.output / self._result_path(settled.relative)
                        worker.begin(Work(settled=settled, target=target))
            finally:
                self._drain(watcher, worker, endings, signs)
                if lights is not None:
                    lights.keep(at_once=True)
        if not self._options.oneshot or self._is_stopped:
            return Exit.OK
        failed = watcher.counts["failed"] + watcher.counts["unsupported"] + watcher.deferred
        if failed:
            return Exit.SOME_FAILED if watcher.counts["done"] else Exit.ALL_FAILED
        return Exit.OK

    def stop(self) -> None:
        """Let `run` finish the files in work and return; may be called from other threads and from signal handlers."""
        self._is_stopped = True
        if self._watcher is not None:
            self._watcher.stop()

    def _refuse_another_input(self) -> None:
        """Raise `UsageError` if the output folder holds the results of another folder."""
        try:
            self._tree.open()
        except OSError:
            return  # it has gone since: the watcher waits for it
        refusal = Binding(self._output.ledger, self._tree, self._events, self._options.moved_from).refusal()
        if refusal is not None:
            raise UsageError(refusal)

    def _warn_of_others(self) -> None:
        for place in exposed_folders(self._tree.root, self._options):
            self._events.emit(
                "exposed",
                "warning",
                path=str(place),
                message="others may write into the watched folder around it, and so replace it; put it elsewhere, or "
                "take from them the right to write there",
            )
        for place in outputs_around(self._options):
            self._events.emit(
                "nested",
                "warning",
                path=str(place),
                message="this folder around the output is the output of another watcher: if both watch the same files, "
                "each replaces the results of the other",
            )

    def _tell_start(self, model: str, devices: Sequence[Device]) -> None:
        """Tell what is in force: of the options of pictures, those that are not the defaults."""
        used, plain = asdict(self._enhance.options), asdict(EnhanceOptions())
        options = {name: value for name, value in used.items() if value != plain[name]}
        facts: dict[str, Any] = {"options": options, "pictures": self._enhance.as_list()}
        self._events.emit(
            "start",
            input=str(self._tree.root),
            output=str(self._options.output),
            model=model,
            device=",".join(device.name for device in devices),
            waiting=self._output.ledger.unfinished(),
            **{name: value for name, value in facts.items() if value},
        )

    def _opened(self) -> list[Model]:
        """Open the models, before the first file: a missing model must not count as a failed file."""
        opened = [models.for_sample("uint8") for models in self._models]
        for model in opened:
            for each in self._enhance.variants():
                check_options(model, each)
        return opened

    def _lights(self) -> FolderLights | None:
        """Return the steady light of the folders, if there is to be one; raises `UsageError` if it is not possible."""
        if not self._options.steady:
            return None
        lights = FolderLights(self._models[0], self._output.ledger)
        for each in self._enhance.variants():
            lights.refuse(each)
        return lights

    def _worker(self, watcher: Watcher, devices: Sequence[Device], lights: FolderLights | None) -> Worker:
        return Worker(
            self._models,
            self._enhance.options,
            self._tree,
            self._options.output,
            watcher.hints.wake,
            helpers=helper_threads(devices),
            timeout_s=self._options.timeout_s,
            results=self._options,
            rules=self._enhance.rules,
            lights=lights,
        )

    def _refuse_to_continue(self, watcher: Watcher, worker: Worker) -> None:
        """Raise when too many threads hang, and with `oneshot` instead of waiting for somebody to fix a problem."""
        if worker.hanging >= MOST_HANGING:
            raise UnavailableError(f"{worker.hanging} files hang in their decoders and hold threads; start lumen again")
        if self._options.oneshot and watcher.paused and not self._is_stopped:
            reason = "; ".join(watcher.paused.values())
            raise UnavailableError(reason) if "input" in watcher.paused else OutputError(reason)

    def _result_path(self, relative: str) -> str:
        """Return the path of a file's result below the output folder."""
        path, options = PurePath(relative), self._options
        name = result_name(path, options.suffix, options.format, options.video_codec, frames=options.frames)
        return str(path.with_name(name))

    def _drain(self, watcher: Watcher, worker: Worker, endings: Endings, signs: SignsOfLife) -> None:
        """Finish the files in work, within the time that systems give a service; the rest stays in the ledger."""
        _take(endings, [(work, LeftError()) for work in worker.leave()])
        if worker.inside:
            self._events.emit("stopping", files=worker.inside, message="finishing the files in work")
            watcher.write_status("stopping")
        started = self._clock.monotonic()
        while worker.inside:
            spent = self._clock.monotonic() - started
            if spent > (READ_S if worker.is_only_reading else DRAIN_S + ABORT_S):
                break
            if spent > DRAIN_S:
                worker.abort()
            watcher.hints.wait(TICK_S)
            watcher.hints.take()
            _take(endings, worker.advance())
            signs.turn("stopping")
        left = [*endings.held, *worker.close()]
        self.hangs = worker.inside > 0 or worker.hanging > 0
        with suppress(OutputError):
            watcher.give_back([work.settled for work in left])
        watcher.write_status("stopped")
        if not self._options.oneshot:
            signs.report()
        self._events.emit("stop", **watcher.ended, output=str(self._options.output))


def _take(endings: Endings, ended: Sequence[Ending]) -> None:
    """Record endings while the service shuts down, when lost models are no longer an error to raise."""
    while True:
        try:
            endings.take(ended)
        except UnavailableError:
            ended = ()
        else:
            return
