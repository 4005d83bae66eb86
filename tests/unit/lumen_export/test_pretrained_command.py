"""A public release from its weights to enhanced pictures, by the commands alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from lumen.codecs.codec import read_picture
from lumen.errors import Exit
from lumen.train.validate import enhance_whole
from lumen_export.pretrained import read_release
from tests.support.commands import ENVIRONMENT, command, save
from tests.support.releases import release_weights

# What a release of two streams does not have: it is exported in half the time.
COARSEST = re.compile(r"blocks\.2|kernel\.2|fcs\.2|down\.8_4|down\.16_|up\.32_|last_up\.2")


def run(line: list[str]) -> tuple[int, str]:
    done = subprocess.run(line, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def release(tmp_path: Path) -> Path:
    path = tmp_path / "release.pth"
    weights = {f"module.{name}": value for name, value in release_weights().items() if not COARSEST.search(name)}
    torch.save({"epoch": 3, "state_dict": weights}, path)
    return path


def test_a_release_is_exported_and_enhances_pictures_of_odd_sizes(release: Path, tmp_path: Path) -> None:
    model = tmp_path / "mirnet.onnx"
    code, said = run(command("export-onnx", release, "-o", model, "--architecture", "mirnet", "--no-check"))
    assert code == Exit.OK, said
    assert "mirnet: " in said and model.with_suffix(".u16.onnx").is_file()
    for name, size in (("a", (37, 53)), ("b", (64, 41))):
        save(tmp_path / "in" / f"{name}.png", size=size)
    code, said = run(command("enhance", tmp_path / "in", "-o", tmp_path / "out", "--device", "cpu", model=model))
    assert code == Exit.OK, said
    network = read_release(release, "mirnet")
    for name in ("a", "b"):
        before = read_picture(tmp_path / "in" / f"{name}.png").pixels
        after = read_picture(tmp_path / "out" / f"{name}.png").pixels
        whole = enhance_whole(network, np.asarray(before, np.uint8), None)
        assert after.shape == before.shape
        assert np.abs(after.astype(int) - whole).max() <= 1


def test_what_is_no_release_is_refused_in_one_line(release: Path, tmp_path: Path) -> None:
    weights = torch.load(release, weights_only=True)["state_dict"]
    weights.pop("module.conv_out.weight")
    torch.save(weights, release)
    code, said = run(command("export-onnx", release, "-o", tmp_path / "m.onnx", "--architecture", "mirnet"))
    assert code == Exit.UNAVAILABLE and said.count("\n") == 1 and "lacks conv_out.weight" in said
    code, said = run(command("export-onnx", release, "-o", tmp_path / "m.onnx", "--architecture", "mirnet-keras"))
    assert code == Exit.USAGE and "expected --architecture out of mirnet, got 'mirnet-keras'" in said
    assert not (tmp_path / "m.onnx").exists()
