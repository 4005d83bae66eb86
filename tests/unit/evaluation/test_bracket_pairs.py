"""Frames of bracketed exposures as pairs: those of the validation scenes, by the same name, as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.bracket_pairs import main
from lumen.codecs.codec import read_picture
from tests.support.scores import noise, save


def test_the_validation_frames_become_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes = []
    for scene, split in (("s1", "val"), ("s2", "train"), ("s3", "val")):
        frames = [{"file": f"dark_{n}.jpg", "ref": f"ref_{n}.png"} for n in range(2)]
        scenes.append({"id": scene, "split": split, "dark": frames})
        for n in range(2):
            save(tmp_path / "in" / scene / f"dark_{n}.jpg", noise(n, high=40))
            save(tmp_path / "in" / scene / f"ref_{n}.png", noise(n, high=200))
    (tmp_path / "in" / "index.json").write_text(json.dumps(scenes))
    main([str(tmp_path / "in"), str(tmp_path / "out")])
    assert capsys.readouterr().out.startswith("4 pairs")
    wanted = ["s1_dark_0.png", "s1_dark_1.png", "s3_dark_0.png", "s3_dark_1.png"]
    for side in ("low", "high"):
        assert sorted(path.name for path in (tmp_path / "out" / side).iterdir()) == wanted
    for side, file in (("low", "dark_1.jpg"), ("high", "ref_1.png")):
        written = read_picture(tmp_path / "out" / side / "s3_dark_1.png").pixels
        assert np.array_equal(written, read_picture(tmp_path / "in" / "s3" / file).pixels), side
