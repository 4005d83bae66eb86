"""Why pictures are skipped, by whole runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.config import BatchOptions, EnhanceOptions
from lumen.enhance.picture_rules import PictureRule
from tests.support.batches import Quiet
from tests.support.commands import save
from tests.support.fakes import FakeModels

SAME = "the result exists, made with the same settings"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with pictures in `in`."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/Day 1/P.png"):
        save(tmp_path / name)
    return tmp_path


def reasons(*inputs: str, rules: tuple[PictureRule, ...] = (), model: str = "m", **options: Any) -> dict[str, str]:
    """Enhance into `out`, and return the reasons of what was skipped, by the path of the result."""
    enhance = EnhanceOptions(**{name: options.pop(name) for name in ("ev", "strength") if name in options})
    batching = BatchOptions(output=Path("out"), **options)
    quiet = Quiet()
    plan = plan_jobs([Path(name) for name in inputs or ("in",)], batching)
    Batch(plan, LocalEngine(FakeModels(gain=2.0)), enhance, batching, quiet, rules, model).run()
    return {str(each.target): each.reason for each in quiet.outcomes if each.status == "skipped"}


def test_a_skip_says_whether_the_settings_were_the_same() -> None:
    assert reasons() == {}
    assert reasons() == {"out/a.png": SAME}
    assert reasons(ev=1.0, strength=0.5) == {
        "out/a.png": "the result exists, made with other settings (--ev 0, now 1; --strength 1, now 0.5); "
        "add --existing overwrite to make it again"
    }
    assert "(--model m, now other)" in reasons(model="other")["out/a.png"]
    assert "(--ev 0, now 1)" in reasons(existing="update", ev=1.0)["out/a.png"]
    assert reasons(existing="overwrite", ev=1.0) == {}
    assert reasons(ev=1.0) == {"out/a.png": SAME}


def test_settings_of_single_pictures_are_compared_too() -> None:
    rule = PictureRule(match="a*", changes={"ev": 1.0})
    assert reasons(rules=(rule,)) == {}
    assert reasons(rules=(rule,)) == reasons(ev=1.0) == {"out/a.png": SAME}
    assert "(--ev 1, now 0)" in reasons()["out/a.png"]


def test_without_a_record_nothing_is_claimed() -> None:
    reasons()
    for record in Path("out/.lumen/runs").iterdir():
        record.unlink()
    assert reasons(ev=1.0) == {"out/a.png": "the result exists"}


def test_a_picture_that_has_changed_since_is_told() -> None:
    reasons()
    later = Path("in/a.png").stat().st_mtime + 60
    os.utime("in/a.png", (later, later))
    assert "add --existing update to make it again" in reasons()["out/a.png"]
    assert "made with other settings" in reasons(ev=1.0)["out/a.png"]


def test_a_result_of_another_picture_is_told() -> None:
    reasons("in/a.png")
    save(Path("other/a.png"))
    assert "a result of another picture" in reasons("other/a.png")["out/a.png"]
    Path("in/a.png").rename("in/b.png")
    assert reasons("other/a.png") == {"out/a.png": SAME}, "that picture is not there, so nobody can tell"


def test_one_picture_of_a_folder_is_made_again_in_its_place() -> None:
    reasons(recursive=True)
    assert list(reasons("in/Day 1/P.png", ev=1.0)) == ["out/Day 1/P.png"]
    before = Path("out/Day 1/P.png").read_bytes()
    assert reasons("in/Day 1/P.png", ev=1.0, existing="overwrite") == {}
    assert Path("out/Day 1/P.png").read_bytes() != before
    Path("out/Day 1/P.png").unlink()
    reasons("in/Day 1/P.png")
    assert Path("out/Day 1/P.png").read_bytes() == before
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["a.png"]


def test_update_makes_again_what_other_options_are_named_for() -> None:
    """And not what only the options of the run differ for."""
    assert reasons() == {}
    rule = PictureRule(match="/a.png", changes={"ev": 1.0})
    assert set(reasons(rules=(rule,), recursive=True)) == {"out/a.png"}, "without update it is skipped"
    assert reasons(rules=(rule,), existing="update") == {}
    assert "made with the same settings" in reasons(rules=(rule,), existing="update")["out/a.png"]
    assert set(reasons(existing="update")) == {"out/a.png"}
    other = PictureRule(match="b*", changes={"ev": 2.0})
    assert set(reasons(rules=(other,), existing="update", strength=0.5)) == {"out/a.png"}


def test_update_never_makes_the_result_of_another_picture_again() -> None:
    reasons("in/a.png")
    save(Path("other/a.png"))
    os.utime("other/a.png", (1, 1))
    rule = PictureRule(match="a.png", changes={"ev": 1.0})
    assert "a result of another picture" in reasons("other/a.png", rules=(rule,), existing="update")["out/a.png"]
