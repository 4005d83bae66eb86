"""`lumen train` as users run it: signals, kills, and what it says of wrong options."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from lumen.cli.main import main
from tests.conftest import ROOT
from tests.support.commands import ENVIRONMENT, command, start
from tests.support.training import write_pairs

TINY = [
    "--recipe=residual",
    "--device=cpu",
    "--threads=1",
    "--no-check",
    "--val-split=1",
    "--set=network.hyperparameters={groups=1, blocks=1, width=8}",
    "--set=data.crop_px=16",
    "--batch=2",
    "--set=optimizer.epochs=0",
    "--set=validation.epochs=0",
]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "data", 4)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends_with_its_code(number: signal.Signals, code: int) -> None:
    long = [*TINY, "--set=optimizer.iterations=1000000", "--set=validation.every=1000000"]
    with start(command("train", "--data", "data", "-o", "a run", *long)) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("3 pairs to train on, 1 held out; 1000000 steps")
        assert "1/1000000" in process.stderr.readline()
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == code
    assert Path("a run/last.pt").is_file()
    saved, last = told.splitlines()[-2:]
    assert last == "no best.pt yet, but last.pt exports too: lumen export-onnx 'a run' -o 'a run.onnx'"
    if number == signal.SIGTERM:
        from lumen.train.checkpoint import load_checkpoint

        before = load_checkpoint(Path("a run/last.pt"))
        told, _, pasted = saved.partition("; go on with: ")
        assert told == f"saved at step {before.iteration} of 1000000"
        short = f"{pasted} --iterations {before.iteration + 2}"
        done = subprocess.run(["bash", "-c", short], env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        after = load_checkpoint(Path("a run/last.pt"))
        assert after.iteration == before.iteration + 2
        assert after.facts["data"] == before.facts["data"]


def test_kill_9_in_the_midst_of_checkpoints() -> None:
    script = [sys.executable, str(ROOT / "benchmarks" / "train_faults.py"), "--kills", "2"]
    done = subprocess.run(script, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    facts = json.loads(done.stdout)
    assert facts["kills in a write"] == 2 and facts["equal to a run that nobody killed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val", "data", "--val-split", "20%"], "got both"),
        (["--val-split", "120%"], "expected a share such as 20%"),
        (["--val-split", "some"], "expected a share such as 20%"),
        (["--iterations", "5", "--epochs", "2"], "got both"),
        (["--epochs", "0"], "--epochs"),
        (["--batch", "big"], "expected auto or a number of crops"),
        (["--batch", "auto", "--accumulate", "2"], "got both"),
        (["--resident", "--workers", "2"], "got both"),
        (["--set", "optimizer.rat=1"], "did you mean 'optimizer.rate'"),
        (["--recipe", "mirnet-kera"], "mirnet-keras"),
        (["--device", "tpu"], "got 'tpu'"),
    ],
)
def test_wrong_options_are_told(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", "data", "-o", "run", *options]) == 2
    assert message in capsys.readouterr().err
    assert not Path("run").exists()


def test_options_reach_the_recipe_of_the_run() -> None:
    from lumen.train.recipe.recipe import load_recipe

    short = [*TINY, "--set=optimizer.iterations=2", "--set=validation.every=1"]
    more = ["--amp", "bf16", "--accumulate", "2", "--val-split", "50%", "--recompute", "--resident", "--tensorboard"]
    assert main(["train", "--data", "data", "-o", "run", *short, *more]) == 0
    recipe = load_recipe("run/recipe.toml")
    assert (recipe.optimizer.amp, recipe.optimizer.accumulate, recipe.data.batch) == ("bf16", 2, 2)
    assert recipe.validation.share == 0.5
    from lumen.train.checkpoint import load_checkpoint

    facts = load_checkpoint(Path("run/best.pt")).facts["data"]
    assert facts["train_pairs"] == 2 and len(facts["val_pairs"]) == 2
    made = {path.name for path in Path("run").iterdir()}
    assert made >= {"curves.png", "samples", "tensorboard", "metrics.csv", "recipe.toml", "recipe.json", "last.pt"}
    assert [path.name for path in sorted(Path("run/samples").iterdir())] == ["0000001.jpg", "0000002.jpg"]


@pytest.mark.parametrize(
    ("length", "epochs", "iterations"), [(["--iterations", "3"], 0.0, 3), (["--epochs", "1.5"], 1.5, 3)]
)
def test_the_length_is_a_plain_option(length: list[str], epochs: float, iterations: int) -> None:
    from lumen.train.recipe.recipe import load_recipe

    few = [*TINY, "--set=optimizer.epochs=9", "--set=validation.every=100"]
    assert main(["train", "--data", "data", "-o", "run", *few, *length]) == 0
    optimizer = load_recipe("run/recipe.toml").optimizer
    assert (optimizer.epochs, optimizer.iterations) == (epochs, iterations)


def test_a_run_is_resumed_from_anywhere_by_its_folder_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from lumen.train.checkpoint import load_checkpoint
    from lumen.train.recipe.recipe import load_recipe

    short = [*TINY, "--set=validation.every=100", "--no-check"]
    assert main(["train", "--data", "data=2", "-o", "run", *short, "--iterations", "2"]) == 0
    before = load_checkpoint(Path("run/last.pt")), load_recipe("run/recipe.toml")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert main(["train", "--resume", "auto", "-o", "../run", "--iterations", "3"]) == 0
    assert main(["train", "--resume", "../run", "-o", "other", "--iterations", "4"]) == 0
    for folder, reached in (("../run", 3), ("other", 4)):
        after, recipe = load_checkpoint(Path(folder, "last.pt")), load_recipe(f"{folder}/recipe.toml")
        assert (after.iteration, after.facts["data"]) == (reached, before[0].facts["data"])
        assert (recipe.network, recipe.data, recipe.validation) == (
            before[1].network,
            before[1].data,
            before[1].validation,
        )
    assert main(["train", "--resume", "auto", "-o", "nowhere"]) == 2


def test_the_network_is_compiled_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(type(self).__name__))
    short = [*TINY, "--set=optimizer.iterations=1", "--set=validation.every=1"]
    assert main(["train", "--data", "data", "-o", "run", *short, "--compile"]) == 0
    assert compiled == ["Residual"]
