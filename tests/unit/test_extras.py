"""How a missing extra is to be installed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen.extras import install_line


@pytest.mark.parametrize("kind", ["dir_info", "archive_info"])
def test_an_extra_comes_from_where_lumen_came_from(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder := tmp_path / "my lumen").mkdir()
    record = json.dumps({"url": folder.as_uri(), kind: {}})
    monkeypatch.setattr(metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: record))
    source = folder if kind == "dir_info" else "lumen-enhance"
    assert install_line("heif") == f"pip install '{source}[heif]'"


@pytest.mark.parametrize("record", [None, "{", json.dumps({"url": "file:///gone/away", "dir_info": {}})])
def test_without_a_record_of_a_folder_it_is_the_name(record: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: record))
    assert install_line("heif") == "pip install 'lumen-enhance[heif]'"
