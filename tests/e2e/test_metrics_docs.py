"""docs/metrics.md is true: its table of inflated scores comes from code, its commands run, its names exist."""

from __future__ import annotations

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from lumen.evaluation.measures import MEASURES
from tests.conftest import ROOT
from tests.support.docs import options_of

DOCS = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+")


def benchmark(name: str) -> ModuleType:
    """Return a script of `benchmarks/` as a module."""
    spec = spec_from_file_location(f"benchmark_{name}", ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_inflated_scores_is_what_the_code_gives() -> None:
    """Numbers may differ in the last digit, as decoders of JPEG do."""
    module = benchmark("inflated")
    written, made = module.written(), module.table()
    assert len(written.splitlines()) > 5
    assert NUMBER.sub("#", written) == NUMBER.sub("#", made)
    for old, new in zip(NUMBER.findall(written), NUMBER.findall(made), strict=True):
        assert float(old) == pytest.approx(float(new), rel=2e-3, abs=0.02), "python benchmarks/inflated.py --write"


def test_the_wrong_ways_are_wrong_as_the_text_says() -> None:
    ways = {name: score for name, (score, _) in benchmark("inflated").ways().items()}
    (right, wrapped, unit, gray, studio, scaled, floats) = ways.values()
    assert unit[0] - right[0] == pytest.approx(48.13, abs=0.005)
    assert wrapped[2] > wrapped[3] ** 0.5, "MAE above the root of MSE"
    assert all(row[2] <= row[3] ** 0.5 for row in (right, unit, gray, studio, scaled, floats))
    assert studio[0] - gray[0] == pytest.approx(1.32, abs=0.01)
    assert gray[0] > right[0] and scaled[0] > right[0]
    assert floats[0] == pytest.approx(right[0], abs=0.2)


def test_every_measure_stands_in_the_table() -> None:
    section = DOCS.partition("| number |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([a-z]*) ?\| (.+) \|$", section, re.MULTILINE)
    assert rows == [(measure.title, measure.better, measure.definition) for measure in MEASURES]


def test_options_in_the_text_exist() -> None:
    inline = re.findall(r"`(--[a-z][a-z-]*)", DOCS)
    assert len(inline) > 8
    assert set(inline) <= options_of("eval")


def test_the_benchmark_runs_in_short(tmp_path: Path) -> None:
    module = benchmark("evaluation")
    module.make_pairs(tmp_path, 3)
    found = module.compare(tmp_path)
    assert max(found["difference"].values()) < 1e-6
    assert found["lumen eval"]["MiB"] > 0
