"""The protocol names everything that a number depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lumen.evaluation import EvalOptions
from lumen.evaluation.protocol import ModelFacts, protocol
from lumen.metrics.natural import bundled_model
from tests.support.fakes import FakeModels

PLAIN = protocol({}, EvalOptions())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"border_px": 7}, "7 pixels"),
        ({"channel": "y"}, "0.299 R"),
        ({"data_range": 65535}, "65535"),
        ({"gt_mean": True}, "gt_mean:"),
        ({"match_brightness": True}, "match_brightness:"),
        ({"aim": 0.43}, "aim 0.43:"),
        ({"baselines": ("gamma:3",)}, "gamma:3:"),
        ({"lpips": (Path("x/alex.pth"), Path("heads.pth"))}, "alex.pth, heads.pth"),
    ],
)
def test_what_was_asked_for_is_said(options: dict[str, Any], says: str) -> None:
    assert says in protocol({}, EvalOptions(**options))
    assert says not in PLAIN


def test_each_model_is_named_with_its_device() -> None:
    found = protocol({"one": ModelFacts.of(FakeModels()), "two": ModelFacts.of(FakeModels())}, EvalOptions())
    assert "one by model fake on cpu; two by model fake on cpu" in found
    assert "fake" not in PLAIN


def test_a_shorter_precision_is_named() -> None:
    models = FakeModels()
    assert "fp32" not in protocol({"one": ModelFacts.of(models)}, EvalOptions())
    models.for_sample("uint8").precision = "bf16"
    assert "model fake on cpu in bf16" in protocol({"one": ModelFacts.of(models)}, EvalOptions())


def test_the_model_of_niqe_is_named() -> None:
    natural = bundled_model()
    assert natural.name in protocol({}, EvalOptions(niqe=True), natural=natural)
    assert natural.name not in PLAIN


def test_without_references_nothing_is_said_to_be_compared() -> None:
    found = protocol({}, EvalOptions(niqe=True), paired=None)
    assert "PSNR" in PLAIN and "PSNR" not in found


def test_the_rule_of_pairs_and_what_becomes_of_transparency_are_said() -> None:
    assert "references are paired by name;" in PLAIN
    assert "paired by hand, or not;" in protocol({}, EvalOptions(), paired="by hand; or not")
    assert "transparency is ignored" in PLAIN
