from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lumen import doctor
from lumen.cli.main import main
from lumen.doctor import Check
from lumen.errors import Exit


def checks(status: str) -> Iterator[Check]:
    yield Check(name="cuda", status="no", detail="no NVIDIA device")
    yield Check(name="tiff", status=status, detail="a\nb")  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "code"), [("ok", Exit.OK), ("warning", Exit.OK), ("broken", Exit.UNAVAILABLE)])
def test_lines_and_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], status: str, code: Exit
) -> None:
    monkeypatch.setattr(doctor, "diagnose", lambda: checks(status))
    assert main(["doctor"]) == code
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["no", "cuda", "no", "NVIDIA", "device"]
    assert second.split() == [status, "tiff", "a\\nb"]
    assert main(["doctor", "--json"]) == code
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == ["cuda", "tiff"]
