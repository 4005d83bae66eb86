"""Everything that may go wrong around `lumen watch`, in short; `benchmarks/watch_faults.py` makes it in full."""

from __future__ import annotations

import sys

import pytest

from benchmarks.watch_faults import FAULTS, check

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, limits and mounts of Linux")


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    found = check(name, full=False)
    if found["holds"] is None:
        pytest.skip(found["not here"])
    assert found["holds"], found["fault"]


def test_what_does_not_hold_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that forgets what was done fails the check that nothing is done again."""
    monkeypatch.setattr("benchmarks.watching.arrivals.statuses", lambda _out: {"d0/e/f.png": ["done", "done"]})
    found = check("folders", full=False)
    assert found["holds"] is False
    assert found["fault"] == "each once"
