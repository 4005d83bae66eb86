"""The table of tone, in short: every figure has a row, and known faults have their size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import tone, tone_frames
from benchmarks.tone import Column, aims, backlit, interval, main
from lumen.config import RuntimeOptions
from lumen.runtime.open import ModelSet
from tests.support.fakes import write_fake_onnx
from tests.support.scores import noise, save

SIZE = (48, 64)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tone_frames, "FRAME", (*SIZE, 3))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A validation scene with two frames, one of training, a pair of LOL and a photograph."""
    scenes = []
    for scene, split in (("s1", "val"), ("s2", "train")):
        frames = [{"file": f"dark_{n}.png", "ref": "ref.png"} for n in range(2)]
        scenes.append({"id": scene, "split": split, "ref_kind": "mertens3", "dark": frames})
        for n, top in enumerate((40, 80)):
            save(tmp_path / "brackets" / scene / f"dark_{n}.png", noise(1, size=SIZE, high=top))
        save(tmp_path / "brackets" / scene / "ref.png", noise(1, size=SIZE, high=160))
    (tmp_path / "brackets" / "index.json").write_text(json.dumps(scenes))
    for name in ("1", "2"):
        save(tmp_path / "lol" / "low" / f"{name}.png", noise(2, size=SIZE, high=60))
        save(tmp_path / "lol" / "high" / f"{name}.png", noise(2, size=SIZE, high=120))
    save(tmp_path / "photos" / "a.png", np.full((*SIZE, 3), 120, np.uint8))
    return tmp_path


def test_every_figure_has_a_row_and_every_model_a_column(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [write_fake_onnx(data / f"{name}.onnx", gain=gain) for name, gain in (("old", 1.0), ("new", 2.0))]
    (data / "names").write_text("2\n")
    places = (f"--{name}={data / name}" for name in ("brackets", "lol", "photos"))
    main([*places, f"--lol-names={data / 'names'}", *(f"--model={m}" for m in models), "--aim=0.4", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["columns"] == ["old", "old, aim 0.4", "new"]
    rows = told["rows"]
    assert {len(values) for values in rows.values()} == {3}
    nothing = [what for what, values in rows.items() if values == [None] * 3]
    assert all(what.startswith(("back-lit", "grey, 16 bit")) for what in nothing)
    assert len(rows) == 11 + 4 + 3 + 3 + 4 + 3 + 3 + 5 + 3
    assert rows["LOL, error of the aim, rms, stops"][2] == pytest.approx(0, abs=0.05), "twice as bright is right"
    assert rows["LOL, error of the aim, rms, stops"][0] == pytest.approx(1, abs=0.05)
    assert rows["brackets, largest less smallest aim of a scene, stops"] == [
        pytest.approx(1, abs=0.05), 0, pytest.approx(1, abs=0.05)
    ]  # fmt: skip
    assert rows["brackets, brighter frame aimed darker, most, stops"] == [0, 0, 0]
    assert rows["flat grey 10, mean level"][2] == pytest.approx(20, abs=1), "the model averages over its edges"
    assert rows["black, largest sample"] == [0, 0, 0]
    assert rows["grey, 8 bit, largest difference of channels, of 255"] == [0, 0, 0]


def test_aims_and_backlit_scenes_alone_are_fast(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"--model={write_fake_onnx(data / 'x.onnx')}", f"--brackets={data / 'brackets'}", "--fast", "--json"])
    rows = [what for what in json.loads(capsys.readouterr().out)["rows"] if what.startswith(("brackets", "back-lit"))]
    assert len(rows) == 3 + 4


def test_what_is_missing_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"--model={write_fake_onnx(tmp_path / 'old.onnx')}"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("skipped")] == [
        "skipped without --brackets", "skipped without --lol", "skipped without --photos"
    ]  # fmt: skip
    assert len(lines) == 1 + 3 + 5 + 3


def test_a_brighter_frame_that_is_aimed_darker_is_seen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Column, "level", lambda _, pixels: 0.2 if pixels.max() > 60 else 0.4)
    column = Column(title="x", models=ModelSet(RuntimeOptions(model=str(write_fake_onnx(data / "x.onnx")))))
    found = {row.what: row.values for row in aims([column], data / "brackets", None)}
    (most,) = found["brackets, brighter frame aimed darker, most, stops"]
    assert most == pytest.approx(1)


def test_the_gain_of_local_light_is_that_of_scenes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With half of the error the PSNR is 6.02 dB higher."""

    def given(_: Column, _pixels: object, reference: tone.Pixels, shadows: float = 1.0) -> tone.Pixels:
        return reference + np.uint8(2 if shadows else 4)

    monkeypatch.setattr(Column, "given", given)
    monkeypatch.setattr(Column, "has_local_light", True)
    column = Column(title="x", models=ModelSet(RuntimeOptions(model="x.onnx")))
    rows = [row.values for row in backlit([column], data / "brackets", None)]
    assert rows == [[pytest.approx(6.02, abs=0.01)]] * 3 + [[1]]


def test_the_interval_holds_the_mean_and_narrows() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 400).tolist()
    mean, low, high, count = interval(values)
    assert low < mean < high and count == 400
    assert high - low == pytest.approx(2 * 1.96 * np.std(values) / 20, rel=0.1)


def test_frames_are_what_they_are_called() -> None:
    frames = tone_frames.blank_frames()
    assert frames["lens cap"].mean() < 3 and frames["lens cap"].std() < 2
    assert frames["starry sky"].max() > 100
    lit = np.full((*SIZE, 3), 20, np.uint8)
    assert not tone_frames.is_backlit(lit)
    lit[:, :8] = 250
    assert tone_frames.is_backlit(lit)
    assert all(np.ptp(each.astype(int), axis=2).max() <= 1 for each in tone_frames.grey_frames().values())
    flat = np.full((20, 20, 3), 90, np.uint8)
    flat[:8, :8] = noise(1, size=(8, 8))
    blocks = tone_frames.flat_blocks(flat)
    assert blocks.tolist() == [[False, True], [True, True]]
    assert tone_frames.chroma_error(flat, flat, blocks) == 0
