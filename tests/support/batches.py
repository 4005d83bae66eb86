"""Plans of pictures by name only, as text."""

from __future__ import annotations

from pathlib import Path

from lumen.batch.plan import Plan, plan_jobs
from lumen.config import BatchOptions


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def plan(*inputs: str, out: str = "out", recursive: bool = False, suffix: str = "") -> Plan:
    options = BatchOptions(output=Path(out), recursive=recursive, suffix=suffix)
    return plan_jobs([Path(name) for name in inputs], options)


def pairs(found: Plan) -> list[tuple[str, str]]:
    return [(str(job.source), str(job.target)) for job in found.jobs]
