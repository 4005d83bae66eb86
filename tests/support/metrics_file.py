"""Reads metrics with the parser of Prometheus' own client for Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


def parsed(text: str) -> dict[str, Any]:
    """Return the metrics of a file by their names, those of counters without `_total`; each name stands there once."""
    parser = pytest.importorskip("prometheus_client.parser")
    families = list(parser.text_string_to_metric_families(text))
    found = {family.name: family for family in families}
    assert len(found) == len(families)
    samples = [(sample.name, tuple(sorted(sample.labels.items()))) for family in families for sample in family.samples]
    assert len(set(samples)) == len(samples)  # a series that is there twice is refused by the node exporter
    return found


def value_of(found: Mapping[str, Any], name: str, label: str = "") -> float:
    """Return the value of the one sample that has a name, and a label besides `output` if one is given."""
    samples = [sample for family in found.values() for sample in family.samples if sample.name == name]
    (value,) = [
        each.value for each in samples if not label or label in {v for k, v in each.labels.items() if k != "output"}
    ]
    return float(value)
