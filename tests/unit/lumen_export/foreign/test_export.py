"""From an ONNX file of anybody to a model that enhances pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from lumen.cli.main import main
from lumen.codecs.codec import read_picture
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.errors import Exit, ModelError, UsageError
from lumen.extras import install_line
from lumen.imaging.picture import Picture
from lumen.runtime.open import ModelSet, read_spec
from lumen_export.foreign import export as exporting
from lumen_export.foreign.export import export_network
from tests.support import foreign_networks as nets
from tests.support.commands import ENVIRONMENT, save


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not measured."""
    monkeypatch.setattr(exporting, "bytes_per_pixel", lambda *_, **__: 100)


def enhanced(model: Path, pixels: np.ndarray[Any, Any], **options: Any) -> np.ndarray[Any, Any]:
    models = ModelSet(RuntimeOptions(model=str(model), device="cpu"))
    picture = Picture(pixels=pixels, format="png")
    return np.asarray(enhance_picture(picture, models, EnhanceOptions(**options)).pixels)


def noise(*size: int, sample: str = "uint8") -> np.ndarray[Any, Any]:
    return (np.random.default_rng(0).random((*size, 3)) * 0.5 * np.iinfo(sample).max).astype(sample)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("sample", ["uint8", "uint16"])
def test_the_model_enhances_by_tiles_and_to_another_brightness(tmp_path: Path, sample: str) -> None:
    exported = export_network(
        nets.planes(tmp_path / "net.onnx"), tmp_path / "mine.onnx", scores={"set": {"psnr_db": 9.0}}
    )
    assert [path.name for path in exported.files] == ["mine.onnx", "mine.u16.onnx"]
    assert [each.worst_levels for each in exported.agreements] == [0, 0]
    spec = read_spec(tmp_path / "mine.onnx")
    assert spec == exported.spec
    assert (spec.name, spec.architecture, spec.precision) == ("mine", "onnx", "fp32")
    assert spec.training == {"network": "net.onnx", "scores": {"set": {"psnr_db": 9.0}}}
    assert (spec.parameters, spec.gmacs_per_mp) == (81, 0.081)
    pixels = noise(143, 211, sample=sample)
    whole = enhanced(tmp_path / "mine.onnx", pixels)
    assert np.array_equal(enhanced(tmp_path / "mine.onnx", pixels, tile_px=96), whole)
    assert whole.mean() == pytest.approx(1.5 * pixels.mean(), rel=0.02)
    brighter = enhanced(tmp_path / "mine.onnx", pixels, ev=1.0)
    assert brighter.mean() > 1.2 * whole.mean()
    with pytest.raises(UsageError, match="--shadows"):
        enhanced(tmp_path / "mine.onnx", pixels, shadows=0.5)


@pytest.mark.usefixtures("quick")
def test_half_precision_is_kept_and_named(tmp_path: Path) -> None:
    exported = export_network(nets.half(tmp_path / "net.onnx"), tmp_path / "mine.onnx")
    assert exported.spec.precision == "fp16"
    assert onnx.load(tmp_path / "mine.onnx").graph.initializer[0].data_type == onnx.TensorProto.FLOAT16
    pixels = noise(40, 50, sample="uint16")
    assert enhanced(tmp_path / "mine.onnx", pixels).mean() == pytest.approx(1.5 * pixels.mean(), rel=0.05)


@pytest.mark.usefixtures("quick")
def test_a_network_of_one_picture_takes_batches(tmp_path: Path) -> None:
    export_network(nets.one_by_one(tmp_path / "net.onnx"), tmp_path / "mine.onnx")
    model = ModelSet(RuntimeOptions(model=str(tmp_path / "mine.onnx"), device="cpu")).for_sample("uint8")
    tiles = noise(3 * 16, 20).reshape(3, 16, 20, 3)
    thumbnails, ev = np.full((1, 128, 128, 3), 0.1, np.float32), np.zeros(1, np.float32)
    alone = [model.run(tile[np.newaxis], thumbnails, ev)[0] for tile in tiles]
    assert np.array_equal(model.run(tiles, thumbnails, ev), np.stack(alone))


@pytest.mark.usefixtures("quick")
def test_whole_pictures_are_not_cut(tmp_path: Path) -> None:
    """A bright half, far from the dark one, lifts it: by half of the mean of both."""
    export_network(nets.mean_of_all(tmp_path / "net.onnx"), tmp_path / "mine.onnx", whole=True)
    pixels = np.zeros((1100, 1100, 3), np.uint8)  # more than one tile of 1024 pixels
    pixels[:, 550:] = 100
    assert set(enhanced(tmp_path / "mine.onnx", pixels)[:, 0].ravel()) == {25}
    with pytest.raises(UsageError, match="leave --tile out"):
        enhanced(tmp_path / "mine.onnx", pixels, tile_px=512)


@pytest.mark.usefixtures("quick")
def test_nothing_is_left_of_an_export_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def differ(*_: object) -> None:
        assert len(list(tmp_path.rglob("mine.u16.onnx"))) == 1
        raise ModelError("differ")

    path = nets.planes(tmp_path / "net.onnx")
    monkeypatch.setattr(exporting, "compare_with_network", differ)
    with pytest.raises(ModelError, match="differ"):
        export_network(path, tmp_path / "mine.onnx")
    assert list(tmp_path.iterdir()) == [path]
    export_network(path, tmp_path / "mine.onnx", check=False)


@pytest.mark.parametrize(
    ("source", "out"), [("m.onnx", "m.onnx"), ("m.u16.onnx", "m.onnx"), ("m.fp16.onnx", "m.onnx"), ("m.onnx", "m.bin")]
)
def test_the_network_is_never_replaced(tmp_path: Path, source: str, out: str) -> None:
    before = nets.planes(tmp_path / source).read_bytes()
    with pytest.raises(UsageError, match=r"expected -o"):
        export_network(tmp_path / source, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == [source]
    assert (tmp_path / source).read_bytes() == before


def test_the_command_wraps_without_torch(tmp_path: Path) -> None:
    nets.planes(tmp_path / "net.onnx")
    code = "import sys; sys.modules['torch'] = None; from lumen.cli.main import main; sys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", code, "export-onnx", "net.onnx", "-o", "mine.onnx"]
    done = subprocess.run(line, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    steps, (first, *rest) = done.stderr.splitlines()[:5], done.stderr.splitlines()[5:]
    assert [line.split()[0] for line in steps] == ["measuring", "writing", "writing", "comparing", "comparing"]
    assert first.startswith("mine: 81 parameters, 0.1 GMACs per megapixel, halo 32 px, ")
    assert "ONNX Runtime against the network, uint8, fp32: at most 0 level(s)" in rest[0]
    assert rest[-1].startswith("wrote mine.u16.onnx")
    save(tmp_path / "in" / "a.png", size=(40, 60))
    line = ["enhance", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*line, "--model", str(tmp_path / "mine.onnx")]) == 0
    before, after = (read_picture(tmp_path / name / "a.png").pixels for name in ("in", "out"))
    assert after.mean() > 1.3 * before.mean()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("net.onnx -o m.onnx --precision fp16", "--precision is for checkpoints"),
        ("net.onnx -o m.onnx --architecture mirnet", "--architecture is for checkpoints"),
        ("best.pt -o m.onnx --halo 8", "--halo is for networks in ONNX files"),
        ("best.pt -o m.onnx --whole", "--whole is for networks in ONNX files"),
        ("net.onnx -o m.onnx --whole --halo 8", "expected --halo or --whole, got both"),
        ("net.onnx -o m.onnx --halo 2000", "expected --halo from 0 to 1024, got 2000"),
        ("net.onnx -o m.onnx --align 0", "expected --align from 1 to 256, got 0"),
    ],
)
def test_options_of_the_other_kind_are_refused(line: str, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export-onnx", *line.split()]) == Exit.USAGE
    assert says in capfd.readouterr().err


def test_a_missing_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    nets.planes(tmp_path / "net.onnx")
    for name in [name for name in sys.modules if name.startswith("lumen_export.foreign")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main(["export-onnx", str(tmp_path / "net.onnx"), "-o", str(tmp_path / "m.onnx")]) == Exit.UNAVAILABLE
    assert f"needs onnx; install it with: {install_line('onnx')}" in capfd.readouterr().err
