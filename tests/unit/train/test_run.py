"""From folders to checkpoints, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lumen.errors import DataError, DeviceError, LockedError, ModelError, OutputError, UsageError
from lumen.files.lock import lock_folder
from lumen.train.checkpoint import load_checkpoint
from lumen.train.options import TrainOptions
from lumen.train.recipe.recipe import load_recipe
from lumen.train.run import train_run
from tests.support.scores import save
from tests.support.training import tiny_recipe, write_pairs

pytestmark = pytest.mark.usefixtures("no_drawings")


def start(tmp_path: Path, **changes: Any) -> int:
    arguments: dict[str, Any] = {
        "data": (tmp_path / "data",),
        "photos": (tmp_path / "data" / "our485" / "high",),
        "run": tmp_path / "run",
        "device": "cpu",
        "threads": 1,
    }
    return train_run(tiny_recipe(), TrainOptions(**{**arguments, **changes}), lambda _: None)


def test_a_run_keeps_its_recipe_and_is_not_begun_twice(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    assert start(tmp_path) == 0
    assert json.loads((tmp_path / "run" / "recipe.json").read_text()) == tiny_recipe().to_dict()
    assert load_recipe(str(tmp_path / "run" / "recipe.toml")) == tiny_recipe()
    with pytest.raises(UsageError, match="--resume auto"):
        start(tmp_path)
    assert start(tmp_path, resume="auto") == 0
    assert load_checkpoint(tmp_path / "run" / "last.pt").iteration == 6


def test_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".0123456789abcdef.lumen-tmp").write_bytes(b"half")
    start(tmp_path, photos=())
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == [".lumen"]


def test_bad_pairs_of_all_folders_are_named_at_once_and_can_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder, count in (("data", 5), ("other", 3), ("photos", 4)):
        high = write_pairs(tmp_path / folder, count) / "our485" / "high"
        (high / "1.png").write_bytes(b"no picture")
    folders = {"val": tmp_path / "other", "photos": (tmp_path / "photos" / "our485" / "high",)}
    with pytest.raises(DataError, match=r"^pair 1: .*data.*; .*photos.*; pair 1: .*other.* \(3 bad in all"):
        start(tmp_path, **folders)
    assert start(tmp_path, **folders, skip_bad=True) == 0
    (told,) = [record.getMessage() for record in caplog.records if "they are bad (3): pair 1: " in record.getMessage()]
    assert told.count("1.png") == 3
    write_pairs(tmp_path / "all", 1)
    (tmp_path / "all" / "our485" / "high" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match="got only bad ones: pair 0: "):
        start(tmp_path, data=(tmp_path / "all",), photos=(), skip_bad=True, run=tmp_path / "second")


def test_what_is_wrong_in_a_folder_that_is_named_twice_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pairs(tmp_path / "data", 5)
    (folder / "our485" / "high" / "1.png").write_bytes(b"no picture")
    low = folder / "our485" / "low" / "2.png"
    save(low, np.roll(np.asarray(Image.open(low)), 6, axis=1))
    (tmp_path / "again").symlink_to(folder)
    monkeypatch.chdir(folder)
    folders = {"data": (folder, tmp_path / "again"), "val": Path(), "photos": ()}
    with pytest.raises(DataError, match=r"\(1 bad in all"):
        start(tmp_path, **folders)
    assert start(tmp_path, **folders, skip_bad=True) == 0
    assert any("they are bad (1): pair 1: " in record.getMessage() for record in caplog.records)
    assert any(record.getMessage().startswith("1 pair(s) look misaligned: 2 ") for record in caplog.records)
    facts = load_checkpoint(tmp_path / "run" / "best.pt").facts["data"]
    assert (facts["train_pairs"], len(facts["val_pairs"])) == (8, 4), "whose sources have weights of their own"


def test_a_folder_of_its_own_is_validated_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pairs(tmp_path / "data", 4)
    write_pairs(tmp_path / "other", 5, lol=False)  # scenes 0 to 3 are those of data
    start(tmp_path, val=tmp_path / "other", photos=())
    facts = load_checkpoint(tmp_path / "run" / "best.pt").facts["data"]
    assert facts["train_pairs"] == 4 and facts["val_pairs"] == ["0", "1", "2", "3", "4"]
    assert "4 held-out picture(s) show a scene that is trained on" in caplog.text
    assert "0 (as 0), 1 (as 1), 2 (as 2), 3 (as 3)" in caplog.text


def test_auto_begins_where_there_is_nothing_to_resume(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    assert start(tmp_path, resume="auto", photos=()) == 0


def test_a_run_that_brings_no_data_along_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no training in .*run to go on with"):
        start(tmp_path, data=(), photos=(), resume="auto")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").touch()
    with pytest.raises(UsageError, match="does not say what it was trained on"):
        start(tmp_path, data=(), photos=(), resume="auto")


def test_what_cannot_work_is_refused_at_once(tmp_path: Path) -> None:
    for device in ("tpu", "openvino:CPU", "cuda:0,1"):
        with pytest.raises(UsageError, match=f"auto, cpu, cuda or cuda:N for training, got '{device}'"):
            start(tmp_path, device=device)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="--device cpu"):
            start(tmp_path, device="cuda")
    with pytest.raises(DataError, match="--data"):
        start(tmp_path)
    write_pairs(tmp_path / "data", 5)
    with pytest.raises(ModelError, match="found none"):
        start(tmp_path, resume=str(tmp_path / "missing.pt"))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        start(tmp_path, run=tmp_path / "file" / "run")


def test_two_trainings_in_one_folder_are_refused(tmp_path: Path) -> None:
    write_pairs(tmp_path / "data", 5)
    with lock_folder(tmp_path / "run"), pytest.raises(LockedError, match="another lumen run works on"):
        start(tmp_path)
    assert not (tmp_path / "run" / "recipe.toml").exists()
    assert start(tmp_path) == 0
