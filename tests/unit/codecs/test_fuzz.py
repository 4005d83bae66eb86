"""Damaged files: a short run of the fuzzing, and that it would see what it looks for."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lumen.codecs import codec
from lumen.errors import DecodeError
from tests.support.files import SOUND

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "fuzz_decode.py"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits on memory are those of Linux")


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_decode", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_no_damage_crashes_hangs_or_bursts() -> None:
    # 30 seconds: nothing here may take 5, but another test may hold the processor.
    line = [sys.executable, str(SCRIPT), "--mutants", "250", "--seed", "77", "--limit", "30", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["seeds"] >= 12
    assert found["mutants"] == 250
    assert found["findings"] == []
    assert found["refused"] > 100
    assert found["picture"] > 10
    assert found["largest_mib"][0] < 300


def test_mutants_are_the_same_every_time_and_differ(fuzz: ModuleType) -> None:
    sound = {name: make() for name, make in SOUND.items()}
    made = [fuzz.mutant(sound, 0, number) for number in range(60)]
    assert made == [fuzz.mutant(sound, 0, number) for number in range(60)]
    assert len({data for _, data in made}) == 60
    assert {name for name, _ in made} == set(sound)
    assert sum(data != sound[name] for name, data in made) > 50


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (DecodeError("damaged"), "refused"),
        (DecodeError("two\nlines"), "a bad reason: 'two\\nlines'"),
        (MemoryError(), "memory"),
        (KeyError("x"), "KeyError in decode: 'x'"),
    ],
)
def test_what_went_wrong_is_told(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, fault: Exception, outcome: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(codec, "decode_picture", fail)
    assert fuzz._outcome("a.png", b"", 1) == outcome


def test_a_crash_and_a_hang_are_seen_and_the_rest_goes_on(
    fuzz: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, sys, time\n"
        "first, count = int(sys.argv[5]), int(sys.argv[7])\n"
        "for number in range(first, first + count):\n"
        "    print(number, flush=True)\n"
        "    if number == 1: os.abort()\n"
        "    if number == 3: time.sleep(100)\n"
        "    row = {'number': number, 'name': 'a', 'outcome': 'refused', 'seconds': 0.0, 'mib': 0.0}\n"
        "    print(json.dumps(row), flush=True)\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(worker))
    args = argparse.Namespace(seed=0, first=0, mutants=6, memory=1 << 30, max_pixels=1000, limit=2.0, start_limit=60.0)
    found = {row["number"]: row["outcome"] for row in fuzz.rows(args)}
    assert found == {0: "refused", 1: "crash (-6)", 2: "refused", 3: "hang", 4: "refused", 5: "refused"}
