"""docs/scaling.md is true: its files can be read by what they are for, start commands that exist, and agree."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from itertools import chain
from typing import Any

import click
import pytest
import yaml

from lumen.cluster.blocks import BLOCK_JOBS, MAX_RETRIES
from lumen.errors import Exit
from tests.conftest import ROOT
from tests.support.docs import PAGES

PAGE = PAGES["docs/scaling.md"]
FILES: list[Any] = [yaml.safe_load(block.text) for block in PAGE.blocks if block.language == "yaml"]
SCRIPTS = [block.text for block in PAGE.blocks if block.text.startswith("#!/bin/bash\n")]
LINES = re.findall(r"lumen (?:enhance|eval) [^\n'`]*", "\n".join(block.text for block in PAGE.blocks))


def kind(name: str) -> Any:
    (found,) = (file for file in FILES if file.get("kind") == name)
    return found


def containers() -> list[Any]:
    """Return all containers of the files for Kubernetes."""
    job, ray = kind("Job")["spec"], kind("RayJob")["spec"]["rayClusterSpec"]
    pods = [job["template"], ray["headGroupSpec"]["template"], *(each["template"] for each in ray["workerGroupSpecs"])]
    return list(chain.from_iterable(pod["spec"]["containers"] for pod in pods))


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_one_that_lumen_takes(line: str) -> None:
    line = line.replace('"$((JOB_COMPLETION_INDEX + 1))/20"', "1/20").replace('"$SLURM_ARRAY_TASK_ID/$shares"', "1/20")
    name, *words = shlex.split(line.removeprefix("lumen "))
    command: click.Command = import_module(f"lumen.cli.commands.{name}").command
    # The folders are not there, which is all that may be wrong.
    parsed, _, _ = command.make_parser(click.Context(command)).parse_args(words)
    assert parsed.get("shard", "1/20") == "1/20"
    assert parsed.get("engine", "ray") == "ray"


def test_all_lines_were_found() -> None:
    assert len(LINES) >= 5
    assert len(FILES) == 3 and len(SCRIPTS) == 1


@pytest.mark.parametrize("text", SCRIPTS)
def test_scripts_are_shell(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_index_of_the_job_has_its_share() -> None:
    job = kind("Job")["spec"]
    (container,) = job["template"]["spec"]["containers"]
    (line,) = container["args"]
    for index in ("0", str(job["completions"] - 1)):
        script = line.replace("exec lumen", "printf '%s '")
        done = subprocess.run(
            ["bash", "-c", script], env={"JOB_COMPLETION_INDEX": index}, capture_output=True, text=True, check=True
        )
        assert done.stdout.split()[-2:] == ["--shard", f"{int(index) + 1}/{job['completions']}"]
    assert container["command"] == ["bash", "-c"]
    never_again = job["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"]
    assert set(never_again) == {Exit.USAGE, Exit.SOME_FAILED, Exit.ALL_FAILED, Exit.UNAVAILABLE}


def test_the_shares_of_slurm_are_those_of_its_array() -> None:
    (script,) = SCRIPTS
    assert re.findall(r"--array=1-(\d+)", script) == re.findall(r"^shares=(\d+)", script, re.MULTILINE)


def test_all_containers_are_alike_where_they_must() -> None:
    images = {each["image"] for each in containers()}
    assert images == {kind_of_cloud()["docker"]["image"]} == set(re.findall(r"image `(\S+)`", PAGE.sentences))
    assert {mount["mountPath"] for each in containers() for mount in each["volumeMounts"]} == {"/shared"}
    version = kind("RayJob")["spec"]["rayClusterSpec"]["rayVersion"]
    assert re.findall(r"rayproject/ray:(\S+)-py", PAGE.text) == [version]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def kind_of_cloud() -> Any:
    (found,) = (file for file in FILES if "provider" in file)
    return found


def test_the_cluster_of_the_cloud_has_the_types_that_it_names() -> None:
    cloud = kind_of_cloud()
    assert cloud["head_node_type"] in cloud["available_node_types"]
    assert all(each["max_workers"] <= cloud["max_workers"] for each in list(cloud["available_node_types"].values())[1:])


def test_the_table_of_costs_is_what_the_script_prints() -> None:
    script = [sys.executable, "-P", str(ROOT / "benchmarks" / "cost.py")]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 11
    assert done.stdout in PAGE.text


def test_the_numbers_are_those_of_the_code() -> None:
    words = {4: "four"}
    assert f"A worker gets {BLOCK_JOBS} files at a time" in PAGE.sentences
    assert f"a file that loses {words[MAX_RETRIES + 1]} workers fails" in PAGE.sentences
