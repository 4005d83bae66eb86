"""What is shown of a training, on a terminal and elsewhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lumen.cli.state import State
from lumen.cli.views.console import start_logging
from lumen.cli.views.training import TrainingProgress, TrainingView, training_view

RUN, AGAIN = Path("runs/a b"), "lumen train --resume auto"


def validation(iteration: int, psnr: float, *, best: bool) -> dict[str, Any]:
    chosen = {"best": best, "score": psnr + 4, "score_of": "psnr + photo_psnr / 10"}
    return {"kind": "validation", "iteration": iteration, **chosen, "psnr": psnr}


def step(iteration: int, *, loss: float = 0.5, speed: float = 8.0) -> dict[str, Any]:
    values = {"iteration": iteration, "loss": loss, "crops_per_s": speed, "rate": 2e-4, "epoch": iteration / 10}
    return {"kind": "step", "of": 100, **values}


def test_off_a_terminal_there_is_a_line_a_minute_and_one_for_every_validation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_logging(State())
    with training_view(RUN, AGAIN) as show:
        for iteration in range(1, 100):
            show(step(iteration))
        show(validation(99, 21.5, best=True))
        show({"kind": "stage", "stage": "brightness", "done": 0, "of": 10, "joined": True})
    assert capsys.readouterr().err.splitlines() == [
        "      1/100  epoch 0.1  loss 0.5000  8.0 images/s  rate 0.0002",
        "     99  psnr 21.500  best by psnr + photo_psnr / 10: 25.500",
        "learning how bright results should be, with the held-out pictures: 0/10",
    ]


def test_a_minute_later_comes_another_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State())
    now = [0.0]
    view = TrainingView(Console(file=io.StringIO()), RUN, AGAIN, live=False, clock=lambda: now[0])
    for iteration in range(1, 20):
        now[0] = 10.0 * (iteration - 1)
        view.show(step(iteration))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("/")[0].strip() for line in lines] == ["1", "7", "13", "19"]
    assert lines[-1].endswith("14 min left")  # 81 steps of ten seconds


def test_loss_and_speed_are_those_of_the_last_steps() -> None:
    progress = TrainingProgress(clock=lambda: 0.0)
    for iteration in range(1, 101):
        progress.step(step(iteration, loss=1.0 if iteration <= 50 else 0.2, speed=4.0 if iteration % 2 else 12.0))
    assert progress.loss() == pytest.approx(0.2)
    assert progress.speed() == pytest.approx(6.0)  # seconds count, not the mean of the speeds


def test_the_live_view_has_loss_psnr_speed_and_time_left() -> None:
    now = [0.0]
    console = Console(file=io.StringIO(), width=120, force_terminal=True, color_system=None)
    view = TrainingView(console, RUN, AGAIN, live=True, clock=lambda: now[0])

    def shown() -> str:
        with console.capture() as capture:
            console.print(view.render())
        return capture.get()

    assert "reading the data" in shown()
    view.show(step(1))
    now[0] = 60.0
    view.show(step(11))
    assert "PSNR not known yet" in shown()
    view.show(validation(11, 20.25, best=True))
    view.show(validation(12, 19.5, best=False))
    text = shown()
    for part in ("11/100", "epoch 1.1", "loss 0.5000", "8.0 images/s", "9 min left", "PSNR 19.50 dB"):
        assert part in text
    assert "best by psnr + photo_psnr / 10: 24.25, at step 11" in text
    view.show({"kind": "stage", "stage": "brightness", "done": 0, "of": 600, "joined": False})
    assert "learning how bright results should be: 0/600" in shown()


def test_quiet_trainings_say_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State(verbosity=-1))
    with training_view(RUN, AGAIN) as show:
        show(step(1))
        show(validation(1, 21.5, best=True))
    start_logging(State())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("begun", "line"),
    [
        ({"iteration": 0}, "19 pairs to train on, 5 held out; 60 steps, validated every 20 and at the end"),
        (
            {"iteration": 40, "train_pairs": 0, "val_pairs": 0, "train_photos": 8, "val_photos": 2},
            "8 photographs to train on, 2 held out; going on at step 40 of 60 steps, validated every 20 and at the end",
        ),
    ],
)
def test_the_begin_tells_what_is_held_out(begun: dict[str, int], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging(State())
    counts = {"train_pairs": 19, "val_pairs": 5, "train_photos": 0, "val_photos": 0}
    with training_view(RUN, AGAIN) as show:
        show({"kind": "begin", "of": 60, "every": 20, **counts, **begun})
    assert capsys.readouterr().err == f"{line}\n"


EXPORT = "lumen export-onnx 'runs/a b' -o 'a b.onnx'"


@pytest.mark.parametrize(
    ("stopped", "best", "lines"),
    [
        (
            True,
            False,
            [f"saved at step 3 of 9; go on with: {AGAIN}", f"no best.pt yet, but last.pt exports too: {EXPORT}"],
        ),
        (True, True, [f"saved at step 3 of 9; go on with: {AGAIN}", f"the best state so far exports too: {EXPORT}"]),
        (False, True, [f"trained 9 steps: runs/a b/best.pt; make a model file of it: {EXPORT}"]),
    ],
)
def test_the_end_says_what_to_type_next(
    stopped: bool, best: bool, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    start_logging(State())
    with training_view(RUN, AGAIN) as show:
        show({"kind": "end", "iteration": 3, "of": 9, "stopped": stopped, "best": best})
    assert capsys.readouterr().err.splitlines() == lines
