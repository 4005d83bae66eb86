from __future__ import annotations

from pathlib import Path

from lumen.batch.block import Block
from lumen.batch.job import Job, comparison_of
from lumen.batch.report import Outcome

BLOCK = Block(
    source=Path("in/x"),
    target=Path("out/x"),
    place=Path("x"),
    below=Path("in"),
    names=["a.gif", "b.jpg", "c.jpg"],
    results=["a.png", "b.jpg", "c.jpg"],
    failures=[Outcome(source=Path("in/x/d.jpg"), target=None, status="failed")],
)


def test_a_block_is_its_jobs() -> None:
    assert len(BLOCK) == 4
    first, *_ = BLOCK.jobs()
    assert first == Job(
        source=Path("in/x/a.gif"), target=Path("out/x/a.png"), below=Path("in"), relative=Path("x/a.gif")
    )
    assert list(BLOCK.comparisons().jobs()) == [comparison_of(job) for job in BLOCK.jobs()]


def test_its_parts_are_all_of_it() -> None:
    parts = [BLOCK.cut(start, start + 2) for start in (0, 2)]
    assert [job for part in parts for job in part.jobs()] == list(BLOCK.jobs())
    assert [len(part.failures) for part in parts] == [1, 0]
    assert list(BLOCK.part([False, True, False]).names) == ["b.jpg"]
