"""What is done with inputs and the output folder while nothing may be begun."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lumen.errors import OutputError
from lumen.watching.endings import Endings
from tests.support.watching import Stage, outcome


def test_inputs_stay_while_the_output_is_not_what_it_should_be(tmp_path: Path) -> None:
    stage = Stage(tmp_path, settle_s=1.0, on_success="delete")
    path = stage.write("a.jpg")
    (settled,) = stage.take()
    stage.watcher.finish(outcome(settled.key, "done", 0.0, is_to_retire=True))

    def mend() -> None:
        raise OutputError("it is still away")

    output: Any = SimpleNamespace(shortage=lambda: None, is_other=lambda: False, mend=mend)
    worker: Any = SimpleNamespace(advance=list, is_writing=False)
    endings = Endings(stage.context, stage.watcher, worker, output)
    stage.watcher.pause("output", "the output folder has gone")
    endings.turn()
    assert path.exists()
    stage.watcher.resume("output")
    endings.turn()
    assert not path.exists()
    stage.close()
