"""Steady folders, and the tone of one picture for all, through a whole batch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs, shard_of
from lumen.batch.previews import PreviewStore
from lumen.batch.run import Batch
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.picture_rules import PictureRule
from lumen.errors import UsageError
from tests.support.batches import Quiet
from tests.support.fakes import FakeModels

DEFAULTS: dict[str, Any] = {"output": Path("out"), "recursive": True, "sidecars": "ignore"}


def frames(folder: str, levels: list[int]) -> list[str]:
    """Write flat grey frames of these levels, and return their names."""
    Path(folder).mkdir(parents=True)
    names = [f"img{number}.png" for number in range(len(levels))]
    for name, level in zip(names, levels, strict=True):
        Image.new("RGB", (32, 32), (level,) * 3).save(Path(folder, name))
    return names


def run(
    *inputs: str, models: FakeModels | None = None, rules: tuple[PictureRule, ...] = (), **options: Any
) -> dict[str, str]:
    """Run a batch, and return the statuses by the names of the pictures, in the order in which they ended."""
    batching = BatchOptions(**(DEFAULTS | options))
    listener = Quiet()
    engine = LocalEngine(models or FakeModels(contract=2, tone_size=2))
    plan = plan_jobs([Path(each) for each in inputs], batching)
    Batch(plan, engine, EnhanceOptions(unchanged="encode"), batching, listener, rules).run()
    return listener.statuses()


def level(path: str) -> int:
    with Image.open(path) as picture:
        return int(np.asarray(picture).mean())


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


UNSTEADY = [20, 22, 19, 21, 20, 18, 22, 20, 21, 19, 20, 22]


def test_the_pictures_of_a_folder_share_one_light() -> None:
    names = frames("in", UNSTEADY)
    run("in", steady="name")
    factors = [level(f"out/{name}") / before for name, before in zip(names, UNSTEADY, strict=True)]
    assert factors == pytest.approx([factors[0]] * len(names), rel=0.05)
    run("in", output=Path("alone"))
    assert [level(f"alone/{name}") for name in names] == pytest.approx([102] * len(names), abs=1)


def test_results_come_in_the_order_of_the_sequence() -> None:
    names = frames("in", UNSTEADY)
    assert list(run("in", steady="name")) == names


def test_a_run_that_goes_on_makes_what_the_first_one_would_have_made() -> None:
    names = frames("in", UNSTEADY + [200] * 5 + UNSTEADY)
    run("in", steady="name")
    whole = {name: Path("out", name).read_bytes() for name in names}
    for name in ("img0.png", "img7.png", "img15.png", "img25.png"):
        Path("out", name).unlink()
    statuses = run("in", steady="name")
    assert sum(status == "done" for status in statuses.values()) == 4
    assert {name: Path("out", name).read_bytes() for name in names} == whole


def test_where_all_is_done_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    frames("in", UNSTEADY)
    run("in", steady="name")
    monkeypatch.setattr("lumen.batch.work.PictureWork.look", lambda *_: pytest.fail("looked at"))
    assert set(run("in", steady="name").values()) == {"skipped"}


@pytest.mark.parametrize("bad", [0, 5, 11])
def test_a_bad_picture_fails_alone(bad: int) -> None:
    names = frames("in", UNSTEADY)
    Path("in", names[bad]).write_bytes(b"text")
    statuses = run("in", steady="name")
    assert statuses.pop(names[bad]) == "failed"
    assert set(statuses.values()) == {"done"}


def test_a_folder_of_bad_pictures_fails() -> None:
    Path("in").mkdir()
    for name in ("a.png", "b.png"):
        Path("in", name).write_bytes(b"text")
    assert run("in", steady="name") == {"a.png": "failed", "b.png": "failed"}


def test_folders_are_sequences_of_their_own() -> None:
    frames("in/a", [20] * 5)
    frames("in/b", [25] * 5)
    run("in", steady="name")
    assert {level(f"out/{folder}/img{each}.png") for folder in "ab" for each in range(5)} <= {101, 102, 103}


def test_a_rule_for_some_pictures_holds_for_these_alone() -> None:
    names = frames("in", [20] * 6)
    run("in", steady="name", rules=(PictureRule(match="img3.png", changes={"ev": 1.0}),))
    assert [level(f"out/{name}") for name in names] == pytest.approx([102] * 3 + [140] + [102] * 2, abs=2)


@pytest.mark.parametrize("shared", [{"steady": "name"}, {"exposure_from": Path("in/img1.png")}])
def test_variants_are_what_a_rule_for_the_picture_makes(shared: dict[str, Any]) -> None:
    names = frames("in", UNSTEADY)
    run("in", previews=True, variants=True, **shared)
    rule = PictureRule(match="img5.png", changes={"ev": 1.0})
    run("in", output=Path("again"), rules=(rule,), **shared)
    with Image.open(io.BytesIO(PreviewStore(Path("out")).read(names[5], "brighter"))) as shown:
        assert np.asarray(shown).mean() == pytest.approx(level(f"again/{names[5]}"), abs=1)
    run("in", output=Path("alone"), rules=(rule,))
    assert abs(level(f"again/{names[5]}") - level(f"alone/{names[5]}")) > 5  # 18 amid brighter ones


def test_one_picture_decides_for_all() -> None:
    names = frames("in", [20, 22, 40])
    run("in", exposure_from=Path("in/img1.png"))
    factor = 0.4 * 255 / 22
    assert [level(f"out/{name}") for name in names] == pytest.approx([20 * factor, 22 * factor, 40 * factor], abs=1)


def test_a_picture_that_cannot_be_read_decides_nothing() -> None:
    frames("in", [20])
    Path("text.png").write_bytes(b"text")
    with pytest.raises(UsageError, match=r"--exposure-from text\.png: "):
        run("in", exposure_from=Path("text.png"))


def test_a_model_without_tones_is_refused_before_anything_is_written() -> None:
    frames("in", [20])
    with pytest.raises(UsageError, match="'fake' has no tone stage"):
        run("in", steady="name", models=FakeModels())
    assert not list(Path("out").glob("*.png"))


def test_a_steady_folder_is_one_unit_of_a_shard() -> None:
    for each in range(8):
        frames(f"in/{each}", [20] * 3)
    for index in (1, 2):
        run("in", steady="name", shard=(index, 2), output=Path(f"out{index}"))
        found = {path.parent.name for path in Path(f"out{index}").glob("*/*.png")}
        assert found == {str(each) for each in range(8) if shard_of(Path(str(each)), 2) == index}
        assert all(len(list(Path(f"out{index}", each).glob("*.png"))) == 3 for each in found)


def test_in_place_it_goes_on_from_the_originals() -> None:
    names = frames("in", UNSTEADY)
    run("in", steady="name")
    options: dict[str, Any] = {"output": None, "in_place": True, "backup": Path("kept"), "steady": "name"}
    run("in", **options)
    expected = [level(f"out/{name}") for name in names]
    assert [level(f"in/{name}") for name in names] == expected
    for name in names[6:]:  # as if the run had ended before them
        Path("in", name).write_bytes(Path("kept", name).read_bytes())
    statuses = run("in", **options)
    assert [statuses[name] for name in names] == ["skipped"] * 6 + ["done"] * 6
    assert [level(f"in/{name}") for name in names] == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steady": "name", "in_place": True, "output": None}, "needs --backup DIR"),
        ({"steady": "name", "exposure_from": Path("a.png")}, "expected --steady or --exposure-from, got both"),
        ({"steady": "often"}, "expected --steady off, name or time, got 'often'"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        BatchOptions(**{"output": Path("out"), **options})
