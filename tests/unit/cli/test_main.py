from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from lumen.cli import main as module
from lumen.cli.commands import COMMANDS
from lumen.cli.main import cli, main
from lumen.cli.state import State, pass_state
from lumen.errors import DeviceError, Exit, LumenError
from lumen.version import __version__

HEAVY = ("numpy", "PIL", "onnxruntime", "torch", "rich", "tifffile", "imagecodecs")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from lumen.cli.main import main; code = main(sys.argv[1:]); "
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("3", "3")])
def test_numpy_gets_one_thread_unless_told_otherwise(
    given: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    assert main(["--version"]) == Exit.OK
    assert os.environ["OPENBLAS_NUM_THREADS"] == expected


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == Exit.OK
    shown = " ".join(capsys.readouterr().out.split())
    for name, short in COMMANDS.items():
        assert f"{name} {short}" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == Exit.OK
    assert capsys.readouterr().out.strip() == f"lumen, version {__version__}"


@pytest.mark.parametrize("arguments", [["enhanse"], ["-v", "-q", "models"], ["models", "--nonsense"], ["eval", "a"]])
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == Exit.USAGE
    assert "Error: " in capsys.readouterr().err


def test_an_output_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enhance", "a"]) == Exit.USAGE
    assert capsys.readouterr().err == "lumen: expected --out DIR for the results, or --in-place to replace the inputs\n"


@pytest.mark.parametrize("arguments", [["-q", "models"], ["models", "-q"]])
def test_global_options_stand_before_or_after_the_command(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    heard: list[State] = []

    @click.command()
    @pass_state
    def command(state: State) -> None:
        heard.append(state)

    monkeypatch.setitem(sys.modules, "lumen.cli.commands.models", SimpleNamespace(command=command))
    assert main([*arguments, "--no-color"]) == Exit.OK
    assert (heard[0].verbosity, heard[0].color) == (-1, False)
    assert main([*arguments, "-v"]) == Exit.USAGE


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(module.LazyGroup, "get_command", lambda *_: command)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DeviceError("no CUDA"), Exit.UNAVAILABLE, "lumen: no CUDA"),
        (LumenError("bad \udcff"), Exit.INTERNAL, "lumen: bad \\udcff"),
        (KeyError("x"), Exit.INTERNAL, "lumen: internal error, KeyError: 'x'; run `lumen -v ...` for the traceback"),
        (KeyboardInterrupt(), Exit.SIGINT, "lumen: interrupted"),
    ],
)
def test_errors_become_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: Exit, line: str
) -> None:
    raising(monkeypatch, error)
    assert main(["models"]) == code
    assert capsys.readouterr().err.strip() == line


def test_verbose_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    raising(monkeypatch, KeyError("x"))
    assert main(["-v", "models"]) == Exit.INTERNAL
    assert "Traceback" in capsys.readouterr().err


def test_commands_of_the_table_can_be_loaded() -> None:
    context = click.Context(cli)
    for name in ("enhance", "models", "doctor"):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_commands_and_options(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_LUMEN_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit):
        main([])
    assert f"_LUMEN_COMPLETE={shell}_complete" in capsys.readouterr().out
    monkeypatch.setenv("_LUMEN_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", "lumen enhance --sid")
    monkeypatch.setenv("COMP_CWORD", "--sid" if shell == "fish" else "2")
    with pytest.raises(SystemExit):
        main([])
    assert "--sidecars" in capsys.readouterr().out


def test_tracebacks_of_expected_errors_take_a_second_v(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, DeviceError("no CUDA"))
    assert main(["-v", "models"]) == Exit.UNAVAILABLE
    assert "Traceback" not in capsys.readouterr().err
    assert main(["-vv", "models"]) == Exit.UNAVAILABLE
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("enhence", "did you mean `lumen enhance`?"),
        ("my holiday", "did you mean `lumen enhance 'my holiday' -o OUT`?"),
        ("zzz", "the commands are enhance"),
    ],
)
def test_what_is_no_command_is_answered_with_what_may_be_meant(
    word: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my holiday").mkdir()
    assert main([word]) == Exit.USAGE
    assert meant in capsys.readouterr().err
