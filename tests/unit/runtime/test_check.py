"""Graphs that are not what their spec says are refused when they are opened, or when it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lumen.errors import ContractError, ModelError
from lumen.runtime import check
from lumen.runtime.check import check_results, tiny_inputs
from lumen.runtime.open import open_model
from tests.support import wrong_models as wrong
from tests.support.fakes import fake_spec, write_fake_onnx
from tests.support.runtime import EV, THUMBNAIL, cpu


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([wrong.grey], r"expected the output enhanced as uint8 \[N, H, W, 3\], got uint8 \[\?, \?, \?, 1\]"),
        ([wrong.grey, wrong.unknown_shape], r"got uint8 \[\?, \?, \?, 1\]"),
        ([wrong.lower], r"expected enhanced as uint8 \[1, 8, 16, 3\], got uint8 \[1, 1, 16, 3\]"),
        ([wrong.floats], r"expected the output enhanced as uint8 \[N, H, W, 3\], got float32"),
        ([wrong.text], "expected the output brightness as float32 .*, got string"),
        ([wrong.nan], "expected a brightness from 0 to 1, got nan"),
        ([wrong.renamed], "expected the outputs enhanced, brightness, finite, got brightness"),
        ([wrong.another_input], "expected the inputs tiles, thumbnails, ev, got ev, noise, thumbnails, tiles"),
        ([wrong.fixed_size], r"expected the input tiles as uint8 \[N, H, W, 3\], got uint8 \[n, 64, w, 3\]"),
        ([wrong.fixed_thumbnail], r"thumbnails as float32 \[M, 32, 32, 3\], got float32 \[m, 33, 33, 3\]"),
        ([wrong.failing], "the model fails for a tiny tile"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[-1].__name__,
)
def test_a_wrong_graph_is_refused_in_one_line(tmp_path: Path, changes: list[wrong.Change], said: str) -> None:
    path = wrong.write_wrong_onnx(tmp_path / "m.onnx", *changes)
    with pytest.raises(ModelError, match=rf"m\.onnx.*{said}") as caught:
        open_model(cpu(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["square", "fit"])
def test_sound_graphs_are_opened(tmp_path: Path, kind: str) -> None:
    path = write_fake_onnx(tmp_path / "m.onnx", swell=1.0, align=4)
    assert open_model(cpu(path)).spec.align == 4
    assert open_model(cpu(wrong.write_wrong_onnx(path, wrong.unknown_shape))).spec.name == "fake"
    assert tiny_inputs(fake_spec(thumbnail=kind))["thumbnails"].shape == (
        1,
        *((32, 32) if kind == "square" else (8, 16)),
        3,
    )


def test_a_graph_that_does_not_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TRIAL_S", 0.2)
    with pytest.raises(ModelError, match=r"a tile of \[1, 8, 16, 3\] took more than 0\.2 s"):
        open_model(cpu(wrong.write_wrong_onnx(tmp_path / "m.onnx", wrong.endless)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong.later_lower, r"expected enhanced as uint8 \[1, 56, 16, 3\], got uint8 \[1, 1, 16, 3\]"),
        (wrong.later_grey, r"got uint8 \[1, 56, 16, 1\]"),
        (wrong.later_nan, "expected a brightness from 0 to 1, got nan"),
    ],
)
def test_what_shows_later_is_the_fault_of_the_model(tmp_path: Path, change: wrong.Change, said: str) -> None:
    model = open_model(cpu(wrong.write_wrong_onnx(tmp_path / "m.onnx", change)))
    assert model.run(np.ones((1, 48, 16, 3), np.uint8), THUMBNAIL, EV).shape == (1, 48, 16, 3)
    with pytest.raises(ContractError, match=said):
        model.run(np.ones((1, 56, 16, 3), np.uint8), THUMBNAIL, EV)


def test_contract_2_has_a_table_of_its_own() -> None:
    spec = fake_spec(contract=2, tone_size=5)
    feeds = tiny_inputs(spec)
    shapes = {name: value.shape for name, value in feeds.items()}
    assert shapes["tones"] == (1, 5) and shapes["boxes"] == (1, 4) and shapes["shadows"] == (1,)
    sound = {"enhanced": feeds["tiles"], "finite": np.ones(1, bool), "tone": feeds["tones"], "brightness": feeds["ev"]}
    check_results(spec, feeds, sound)
    for name, value in (("tone", np.zeros((1, 6), np.float32)), ("finite", np.ones(2, bool)), ("brightness", "0.5")):
        with pytest.raises(ContractError, match=f"expected {name} as"):
            check_results(spec, feeds, {**sound, name: value})
    two = {name: value if name in ("tiles", "boxes") else np.repeat(value, 2, axis=0) for name, value in feeds.items()}
    pair = {**sound, "tone": np.zeros((2, 5), np.float32), "brightness": np.array([0.5, np.inf], np.float32)}
    with pytest.raises(ContractError, match="from 0 to 1, got inf"):  # the wrong one is named
        check_results(spec, two, pair)
