"""docs/models.md is true: its table, its architectures, its options."""

from __future__ import annotations

import re

import pytest
import torch

from lumen.models import build_network
from lumen.models.cost import count_macs, count_parameters
from lumen.registry import ARCHITECTURES
from tests.conftest import ROOT
from tests.support.docs import all_options

PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.partition("GMACs at 256x256 |")[2].partition("\n\n")[0].splitlines()[2:]
]


def test_every_architecture_has_a_row() -> None:
    assert {re.findall(r"`([\w-]+)`", row[0])[0] for row in ROWS} == {each.name for each in ARCHITECTURES}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_costs_are_those_of_the_networks(row: list[str]) -> None:
    changes = {"wiring": "published"} if "published" in row[0] else {}
    with torch.device("meta"):
        network = build_network(re.findall(r"`([\w-]+)`", row[0])[0], **changes)
    assert f"{count_parameters(network):,}" == row[2]
    assert f"{count_macs(network) / 1e9:.2f}" == row[3]
    seen = "nothing" if row[4] == "nothing" else f"{network.thumbnail_px} px"
    assert row[4].endswith(seen)
    assert (row[5] == "no") != network.predicts_brightness


def test_named_options_exist() -> None:
    known = all_options()
    lines = [text.split() for text in re.findall(r"`([^`\n]+)`", PAGE) if not text.startswith("python ")]
    named = {word for words in lines for word in words if re.match(r"--?[a-z]", word)}
    of_benchmarks = {"--rows", "--iterations", "--eval"}
    assert named - of_benchmarks
    assert {name.replace("--no-", "--") for name in named - of_benchmarks} <= known


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"`python (benchmarks/[\w.]+)", PAGE):
        assert (ROOT / target).is_file()
