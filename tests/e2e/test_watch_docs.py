"""docs/watch.md is true: its options, events, exit codes and the command of its unit exist."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from lumen.cli.commands.enhance import BATCH_ONLY
from lumen.cli.main import cli
from lumen.config import WatchOptions
from lumen.errors import Exit
from lumen.watching.ledger.folders import FolderNumbers
from lumen.watching.monitoring.metrics import metrics_text
from lumen.watching.service import ABORT_S, DRAIN_S
from tests.conftest import ROOT
from tests.support.commands import LINE, tree
from tests.support.metrics_file import parsed
from tests.support.monitoring import snapshot_of, status_of
from tests.support.watching import write_file

DOCS = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
UNIT, TEMPLATE = "lumen-watch.service", "lumen-watch@.service"
EMIT = ("self._emit", "self._events.emit", "events.emit")
EVERYWHERE = {parameter.name for parameter in cli.params}  # a command takes them too, once it has been called
BATCHES = {"inputs", "output", "strict", *BATCH_ONLY, *EVERYWHERE} - {"suffix"}


def command(name: str) -> click.Command:
    found: click.Command = import_module(f"lumen.cli.commands.{name}").command
    return found


def section(title: str) -> str:
    return DOCS.partition(f"## {title}")[2].partition("\n## ")[0]


def spellings(name: str) -> set[str]:
    return {spelling for parameter in command(name).params for spelling in parameter.opts if spelling[:2] == "--"}


def test_the_options_of_pictures_are_those_of_enhance() -> None:
    watch = {parameter.name: parameter.to_info_dict() for parameter in command("watch").params}
    pictures = [parameter for parameter in command("enhance").params if parameter.name not in BATCHES]
    assert len(pictures) > 10
    for parameter in pictures:
        assert parameter.name in watch, f"{parameter.opts} is missing: lumen/cli/options.py"
        assert watch[parameter.name] == parameter.to_info_dict()


def test_the_table_of_options_is_complete() -> None:
    named = set(re.findall(r"^\| `(--[a-z-]+)", section("Options"), re.MULTILINE))
    everywhere = {name for parameter in cli.params for name in parameter.opts} | {"--help"}
    assert named == spellings("watch") - spellings("enhance") - everywhere | {"--json", "--clips", "--steady"}


def test_options_in_the_text_exist() -> None:
    known = {name for parameter in (*command("watch").params, *cli.params) for name in parameter.opts}
    known |= {"--time", "--init"}  # of docker
    text = re.sub(r"```.*?```", "", DOCS, flags=re.DOTALL)
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", text))
    assert named
    assert named <= known


def test_defaults_are_those_of_the_command() -> None:
    rows = dict(re.findall(r"^\| `(--[a-z-]+) ([a-z0-9]+)`", section("Options"), re.MULTILINE))
    defaults = {parameter.opts[0]: parameter.default for parameter in command("watch").params}
    assert len(rows) > 5
    assert rows == {name: str(defaults[name]) for name in rows}


def emitted() -> Iterator[tuple[str, set[str]]]:
    """Yield the name of each event that is told without -v, and the keys that it has in any case."""
    for path in ROOT.glob("lumen/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in EMIT:
                name, *rest = (ast.unparse(argument).strip("'") for argument in (*node.args, ast.Constant("")))
                if name.isalpha() and name != "status" and "debug" not in rest:
                    yield name, {keyword.arg for keyword in node.keywords if keyword.arg}


def test_every_event_stands_in_the_table() -> None:
    told = {name for name, _ in emitted()}
    table = {
        name
        for cells in re.findall(r"^\| (`.*?`) \|", section("The log").partition("| key |")[0], re.MULTILINE)
        for name in re.findall(r"`([a-z]+)`", cells)
    }
    assert {"start", "done", "paused"} <= told
    assert told <= table
    assert table - told <= {"failed", "unsupported", "log", "paused"}


def test_every_key_is_explained() -> None:
    keys = set().union(*(keys for _, keys in emitted()))
    keys |= {"together", "seconds", "waited_s", "megapixels", *asdict(FolderNumbers(name="."))} - {"name"}
    explained = set(re.findall(r"`([a-z_]+)`", section("The log")))
    assert len(keys) > 15
    assert keys - explained <= {"input", "output", "model", "device", "kind", "to"}  # which say what they are


def test_every_state_and_code_of_the_status_is_explained() -> None:
    text = section("Is it well?")
    assert {"watching", "paused", "stopping", "stopped", "gone", "silent"} <= set(re.findall(r"`([a-z]+)`", text))
    assert set(map(int, re.findall(r"^\| (\d) \|", text, re.MULTILINE))) == {0, 3, 4, 6}


def test_the_exit_codes_are_those_of_lumen() -> None:
    cells = re.findall(r"^\| ([\d, ]+) \|", section("The log"), re.MULTILINE)
    assert {int(code) for cell in cells for code in cell.split(",")} == set(map(int, Exit)) - {Exit.INTERNAL}


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Return the values of each key in each section of a unit of systemd."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in (ROOT / "docs" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            values = found[line.strip("[]")] = {}
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize(("name", "instance"), [(UNIT, ""), (TEMPLATE, "/yard")])
def test_a_unit_starts_a_command_that_exists(name: str, instance: str) -> None:
    service = unit(name)["Service"]
    line = service["ExecStart"][0].replace("%i", "yard").replace("$LUMEN_OPTIONS", "--ev 0.5")
    words = shlex.split(line)
    assert words[0].endswith("/lumen") and words[1] == "watch"
    with command("watch").make_context("watch", words[2:]) as context:
        assert context.params["folder"] == Path(f"/srv/cameras{instance}")
        assert context.params["output"] == Path(f"/srv/enhanced{instance}")
        assert context.params["output"].is_relative_to(service["ReadWritePaths"][0])
    assert int(service["TimeoutStopSec"][0]) > DRAIN_S + ABORT_S
    assert int(service["WatchdogSec"][0].removesuffix("min")) * 60 > WatchOptions(output=Path("out")).timeout_s
    assert service["Type"] == ["notify"]
    assert service["RestartPreventExitStatus"] == [str(int(Exit.USAGE))]


def test_the_template_differs_in_its_folders_and_options_alone() -> None:
    one, many = unit(UNIT), unit(TEMPLATE)
    differing = [key for section in one for key, value in one[section].items() if many[section].get(key) != value]
    assert differing == ["Description", "RequiresMountsFor", "ExecStart"]
    assert set(many["Service"]) - set(one["Service"]) == {"EnvironmentFile"}
    assert many["Service"]["EnvironmentFile"] == ["-" + re.findall(r"> (/etc/\S+)", DOCS)[0].replace("yard", "%i")]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
@pytest.mark.parametrize("name", [UNIT, TEMPLATE])
def test_a_unit_is_hardened(name: str) -> None:
    line = ["systemd-analyze", "security", "--offline=true", "--threshold=30", str(ROOT / "docs" / name)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze reads no files")
    assert done.returncode == 0, done.stdout
    assert "Unknown key" not in done.stderr


LISTED = re.findall(r"`(lumen_[a-z_]+)", section("A page and metrics"))


def metrics() -> dict[str, Any]:
    """Return all metrics of a watcher with a camera, by the parser of Prometheus' client."""
    folders = (FolderNumbers(name="cam1"),)
    return parsed(metrics_text(snapshot_of(status_of(folders=folders))))


def series() -> set[str]:
    """Return the names of all samples."""
    return {sample.name for family in metrics().values() for sample in family.samples}


def test_every_metric_is_explained() -> None:
    families = {f"{name}_total" if each.type == "counter" else name for name, each in metrics().items()}
    assert len(families) > 15
    assert families == set(LISTED)


def queries(value: object) -> Iterator[str]:
    """Yield the queries of a dashboard or a file of rules."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        if key in ("expr", "query") and isinstance(inner, str):
            yield inner
        yield from queries(inner)


@pytest.mark.parametrize(("name", "count"), [("lumen-alerts.yml", 7), ("lumen-dashboard.json", 12)])
def test_alerts_and_dashboard_ask_for_metrics_and_labels_that_exist(name: str, count: int) -> None:
    yaml = pytest.importorskip("yaml")
    asked = list(queries(yaml.safe_load((ROOT / "docs" / name).read_text(encoding="utf-8"))))  # JSON is YAML
    assert len(asked) > count - 1
    known, labels = series(), {key for each in metrics().values() for sample in each.samples for key in sample.labels}
    named = set(re.findall(r"\blumen_\w+", " ".join(asked)))
    assert named and named <= known
    assert set(re.findall(r"[{,](\w+)=~?\"", " ".join(asked))) <= labels
    grouped = {label.strip() for inner in re.findall(r" by \(([^)]*)\)", " ".join(asked)) for label in inner.split(",")}
    assert grouped <= labels | {"instance"}  # which Prometheus adds


def test_old_results_are_removed_and_the_ledger_is_not(tmp_path: Path) -> None:
    (line,) = re.findall(r"^find .*$", DOCS, re.MULTILINE)
    for name in ("cam1/a.jpg", "b.jpg", ".lumen/watch.db", ".lumen/lock"):
        write_file(tmp_path / "out" / name)
    words = shlex.split(line.replace("/srv/enhanced", str(tmp_path / "out")))
    subprocess.run(words, check=True)
    assert len(tree(tmp_path / "out")) == 4  # they are new
    subprocess.run([word.replace("+30", "-1") for word in words], check=True)
    assert tree(tmp_path / "out") == [".lumen/lock", ".lumen/watch.db"]


@pytest.mark.parametrize("line", re.findall(r"^\d{4}-.*$", DOCS, re.MULTILINE))
def test_the_lines_are_as_they_are_written(line: str) -> None:
    assert LINE.fullmatch(line)
