"""Pages of small runs: what they hold, where their previews are, and what stays if they cannot be written."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from lumen.batch.engines.local import LocalEngine
from lumen.batch.plan import plan_jobs
from lumen.batch.run import Batch
from lumen.config import BatchOptions, EnhanceOptions
from lumen.errors import NothingToDoError, OutputError
from lumen.files import atomic
from lumen.review import page as module
from lumen.review.page import WrittenPage, write_page
from lumen.review.places import PagePlace
from tests.support.batches import Quiet
from tests.support.commands import save
from tests.support.fakes import FakeModels
from tests.support.pages import Elements

OUT = Path("out")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with three pictures in `in`, one of which is broken."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/<b>&.png"):
        save(tmp_path / name)
    Path("in/broken.png").write_text("<i>no picture")


def enhance(*inputs: str, ev: float = 0.0, **options: Any) -> None:
    batching = BatchOptions(output=OUT, **options)
    plan = plan_jobs([Path(name) for name in inputs or ("in",)], batching)
    Batch(plan, LocalEngine(FakeModels(gain=2.0)), EnhanceOptions(ev=ev), batching, Quiet(), model="m").run()


def write(asked: str = "page.html") -> WrittenPage:
    return write_page(OUT, PagePlace.of(Path(asked)))


def data_of(page: str | Path = "page.html") -> dict[str, Any]:
    text = Path(page).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(re.findall(r'id="data">(.*?)</script>', text)[0])
    return found


def test_a_page_is_one_file_with_its_previews() -> None:
    enhance(previews=True)
    written = write()
    assert (written.path, written.pictures) == (Path("page.html"), 2)
    assert written.nbytes == Path("page.html").stat().st_size
    elements = Elements(Path("page.html").read_text(encoding="utf-8"))
    assert elements.open == []
    assert next(each["id"] for each in elements.attributes("script") if "id" in each) == "data"
    data = data_of()
    assert data["beside"] is None and data["shadows"] is False
    first, second = data["pictures"]
    assert (first["name"], second["name"]) == ("<b>&.png", "a.png")
    assert (second["match"], second["before"], second["after"]) == ("/a.png", "./in/a.png", "./out/a.png")
    assert second["made"] == {"ev": 0.0, "shadows": 1.0} and second["variants"] == []
    assert (second["width"], second["height"]) == (60, 40)
    assert 1.9 < second["light"] / second["dark"] < 2.1
    shots = json.loads(re.findall(rf'id="shots-{second["id"]}">(.*?)</script>', Path("page.html").read_text())[0])
    assert {name: url.partition(",")[0] for name, url in shots.items()} == {
        "before": "data:image/jpeg;base64",
        "after": "data:image/jpeg;base64",
    }
    assert "in/broken.png</b>: it is not a picture" in Path("page.html").read_text()
    assert {path.name for path in Path().iterdir()} == {"in", "out", "page.html"}


def test_previews_that_are_missing_are_made_from_the_files() -> None:
    enhance(previews=True)
    write("with.html")
    shutil.rmtree("out/.lumen/previews")
    write("without.html")
    assert data_of("without.html")["pictures"] == data_of("with.html")["pictures"]


def test_a_result_that_was_made_again_is_shown_as_it_is_now() -> None:
    enhance(previews=True)
    write()
    before = data_of()["pictures"][1]["light"]
    enhance("in/a.png", ev=1.0, existing="overwrite")
    write()
    second = data_of()["pictures"][1]
    assert second["light"] > before * 1.2
    assert second["made"]["ev"] == 1.0
    assert len(data_of()["pictures"]) == 2, "of earlier runs too"


def test_what_is_gone_is_told() -> None:
    enhance()
    Path("out/a.png").unlink()
    write()
    assert [each["name"] for each in data_of()["pictures"]] == ["<b>&.png"]
    assert "a.png cannot be shown: its result is no longer there" in Path("page.html").read_text()


def test_a_clip_is_named_and_not_taken_for_a_picture() -> None:
    enhance()
    (record,) = Path("out/.lumen/runs").iterdir()
    record.write_text(record.read_text().replace("a.png", "a.mp4"))
    Path("out/a.png").rename("out/a.mp4")
    write()
    assert [each["name"] for each in data_of()["pictures"]] == ["<b>&.png"]
    assert "<li>a.mp4 cannot be shown: a clip needs a player</li>" in Path("page.html").read_text()


def test_a_failure_that_is_mended_is_none() -> None:
    enhance()
    save(Path("in/broken.png"))
    enhance()
    write()
    assert len(data_of()["pictures"]) == 3
    assert "failed</h2>" not in Path("page.html").read_text()


def test_a_folder_has_its_previews_beside_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """And several pages that lead to each other; what no page shows any more is removed."""
    monkeypatch.setattr(module, "PER_PAGE", 1)
    enhance(previews=True)
    stale = Path("review/previews/0.after.preview.jpg")
    write("review")
    stale.touch()
    Path("review/previews/mine.txt").touch()
    write("review")
    assert not stale.exists() and Path("review/previews/mine.txt").exists()
    for name in ("index.html", "page-2.html"):
        data = data_of(Path("review", name))
        (picture,) = data["pictures"]
        assert data["beside"] == "./previews/"
        for shot in picture["shots"]:
            assert Path("review/previews", f"{picture['id']}.{shot}.preview.jpg").is_file()
        assert 'id="shots-' not in Path("review", name).read_text()
    assert 'href="./page-2.html"' in Path("review/index.html").read_text()


def test_too_much_for_one_file_is_put_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    enhance(previews=True)
    limit = module.INSIDE_BYTES
    monkeypatch.setattr(module, "INSIDE_BYTES", 10)
    write()
    assert data_of()["beside"] == "./page.files/"
    assert len(list(Path("page.files").glob("*.preview.jpg"))) == 4
    monkeypatch.setattr(module, "INSIDE_BYTES", limit)
    write()
    assert list(Path("page.files").iterdir()) == [], "the page has them again"


@pytest.mark.parametrize("is_folder", [False, True])
def test_the_old_page_stays_if_the_new_one_cannot_be_written(is_folder: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = "review" if is_folder else "page.html"
    page = Path("review/index.html") if is_folder else Path("page.html")
    enhance(previews=True)
    write(asked)
    old = page.read_bytes()
    enhance(ev=1.0, existing="overwrite", previews=True)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "_complete", full)
    with pytest.raises(OutputError, match="No space left"):
        write(asked)
    assert page.read_bytes() == old


def test_records_of_others_do_not_say_what_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    enhance()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    write()
    assert data_of()["pictures"] == []
    assert "its record is another user&#39;s" in Path("page.html").read_text()


def test_results_outside_of_the_folder_are_not_shown() -> None:
    enhance()
    (record,) = Path("out/.lumen/runs").iterdir()
    record.write_text(record.read_text().replace('"target": "out/a.png"', '"target": "in/a.png"'))
    write()
    assert [each["name"] for each in data_of()["pictures"]] == ["<b>&.png"]


def test_a_folder_without_a_record_is_refused() -> None:
    OUT.mkdir()
    with pytest.raises(NothingToDoError, match="the record of a run"):
        write()


def test_the_command_names_the_inputs_and_the_result() -> None:
    enhance()
    write()
    line = "lumen enhance in -o {} --settings chosen.toml --existing update</pre>"
    assert line.format("out") in Path("page.html").read_text()
    enhance("in/a.png", result="better.png")
    write()
    assert line.replace(" in ", " in/a.png ").format("out/better.png") in Path("page.html").read_text()
