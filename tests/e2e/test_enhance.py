"""`lumen enhance` as users run it: in its own process, on files, with a real (tiny) ONNX model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from lumen.codecs.codec import read_picture
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.pipeline import enhance_picture
from lumen.files.lock import lock_folder
from lumen.runtime.open import ModelSet
from tests.support.commands import ENVIRONMENT, command, run, run_here, save, tree
from tests.support.fakes import write_fake_onnx

pytestmark = pytest.mark.usefixtures("photos")


def test_pictures_are_enhanced_and_told_in_plain_lines(photos: Path, models: Path) -> None:
    code, out, err = run(command("enhance", "in", "-o", "out", model=models / "fast.onnx"))
    assert (code, out) == (0, "")
    assert tree() == [".lumen/lock", "a.jpg", "a.png", "b.png"]
    assert np.array_equal(read_picture(Path("out/a.png")).pixels, read_picture(photos / "a.png").pixels * 2)
    last = err.splitlines()[-1]
    assert last.startswith("3 done in ")
    assert "megapixels/s" in last
    assert "->" not in err
    assert "\x1b" not in err


def test_nothing_is_kept_about_the_machine_or_sent(models: Path, tmp_path: Path) -> None:
    """ONNX Runtime reports to its maker, with an identifier that it keeps in the home folder, unless told not to."""
    (tmp_path / "home").mkdir()
    inherited = {name: value for name, value in ENVIRONMENT.items() if not name.startswith(("ORT_", "XDG_"))}
    for line in (command("enhance", "in", "-o", "out", model=models / "fast.onnx"), command("doctor")):
        subprocess.run(line, env=inherited | {"HOME": str(tmp_path / "home")}, capture_output=True, check=True)
    assert list((tmp_path / "home").rglob("*")) == []


def test_verbose_names_every_file_and_quiet_none(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", "--existing", "overwrite", model=models / "fast.onnx")
    assert re.search(r"\[[123]/3\] in/a\.jpg -> out/a\.jpg \(0\.00 MP, ", run_here([*line, "-v"])[2])
    assert run_here([*line, "--quiet"]) == (0, "", "")


def test_one_corrupt_file_does_not_stop_the_others(photos: Path, models: Path) -> None:
    whole = (photos / "a.jpg").read_bytes()
    (photos / "a_half.jpg").write_bytes(whole[: len(whole) // 2])
    code, out, err = run_here(command("enhance", "in", "-o", "out", "--json", model=models / "fast.onnx"))
    assert code == 3
    assert tree() == [".lumen/lock", "a.jpg", "a.png", "b.png"]
    outcomes = {Path(each["source"]).name: each for each in map(json.loads, out.splitlines())}
    assert {name: each["status"] for name, each in outcomes.items()} == {
        "a.jpg": "done",
        "a.png": "done",
        "b.png": "done",
        "a_half.jpg": "failed",
    }
    assert "ends too early" in outcomes["a_half.jpg"]["reason"]
    assert outcomes["a.jpg"]["target"] == "out/a.jpg"
    assert outcomes["a.jpg"]["megapixels"] == pytest.approx(0.0024, abs=1e-3)
    assert "failed: in/a_half.jpg: " in err
    assert "3 done, 1 failed" in err


def test_only_bad_files_are_exit_4(photos: Path, models: Path) -> None:
    (photos / "a.jpg").write_bytes(b"")
    code, _, err = run_here(command("enhance", "in/a.jpg", "-o", "out", model=models / "fast.onnx"))
    assert code == 4
    assert "the file is empty" in err


def test_fail_fast_leaves_the_rest(photos: Path, models: Path) -> None:
    (photos / "a.jpg").write_bytes(b"")
    code, _, err = run_here(command("enhance", "in", "-o", "out", "--fail-fast", model=models / "fast.onnx"))
    assert (code, tree()) == (3, [".lumen/lock"])
    assert "1 failed (see above), 2 left" in err


def test_16_bit_pictures_use_the_16_bit_model_and_stay_16_bit(photos: Path, models: Path) -> None:
    save(photos / "deep.tif", "uint16")
    save(photos / "deep.png", "uint16")
    assert run_here(command("enhance", "in", "-o", "out", model=models / "fast.onnx"))[0] == 0
    for name in ("deep.png", "deep.tif"):
        assert np.array_equal(read_picture(Path("out", name)).pixels, read_picture(photos / name).pixels * 2)


def test_a_missing_16_bit_model_fails_the_16_bit_pictures_only(photos: Path) -> None:
    save(photos / "deep.png", "uint16")
    lone = write_fake_onnx(Path("lone.onnx"))
    code, _, err = run_here(command("enhance", "in", "-o", "out", model=lone))
    assert (code, tree()) == (3, [".lumen/lock", "a.jpg", "a.png", "b.png"])
    assert "failed: in/deep.png: 16-bit pictures need lone.u16.onnx" in err


def test_sub_folders_are_mirrored(photos: Path, models: Path) -> None:
    save(photos / "one" / "two" / "a.png")
    assert run_here(command("enhance", "in", "-r", "-o", "out", model=models / "fast.onnx"))[0] == 0
    assert "one/two/a.png" in tree()


def test_output_options_reach_the_result(photos: Path, models: Path) -> None:
    line = command("enhance", "in/b.png", "in/a.jpg", "-o", "out", "--ev", "-2.2", "--tile", "64", "--suffix", "-lit")
    assert run_here([*line, "--model", str(models / "fast.onnx"), "--quality", "100"])[0] == 0
    assert tree() == [".lumen/lock", "a-lit.jpg", "b-lit.png"]
    # -2.2 stops halve the level in the fake, which doubles it.
    assert np.array_equal(read_picture(Path("out/b-lit.png")).pixels, read_picture(photos / "b.png").pixels)
    best = Path("out/a-lit.jpg").stat().st_size
    run_here(command("enhance", "in/a.jpg", "-o", "out", "--quality", "30", model=models / "fast.onnx"))
    assert Path("out/a.jpg").stat().st_size < best


def test_strength_and_passes_reach_the_result(photos: Path, models: Path) -> None:
    line = command("enhance", "in/b.png", "-o", "half", "--strength", "0.5", model=models / "fast.onnx")
    assert run_here(line)[0] == 0
    source = read_picture(photos / "b.png")
    assert np.array_equal(read_picture(Path("half/b.png")).pixels, np.rint(source.pixels * 1.5))
    # The tiny model knows no direction; the bundled one does.
    assert run_here(command("enhance", "in/b.png", "-o", "mean", "--quality-passes", "8", "--device", "cpu"))[0] == 0
    bundled, found = ModelSet(RuntimeOptions(device="cpu")), read_picture(Path("mean/b.png")).pixels
    asked = enhance_picture(source, bundled, EnhanceOptions(quality_passes=8)).pixels
    assert np.abs(found.astype(int) - asked).max() <= 1
    assert np.any(enhance_picture(source, bundled).pixels != asked)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--strength", "1.5", "expected --strength from 0 to 1, got 1.5"),
        ("--strength", "-0.1", "expected --strength from 0 to 1, got -0.1"),
        ("--strength", "nan", "expected --strength from 0 to 1, got nan"),
        ("--strength", "much", "expected a number such as 0.5, 1/3, 1 1/3 or 50%, got 'much'"),
        ("--quality-passes", "3", "'3' is not one of '1', '4', '8'"),
    ],
)
def test_wrong_strength_and_passes_are_exit_2(option: str, value: str, message: str) -> None:
    code, out, err = run_here(command("enhance", "in", "-o", "out", option, value))
    assert (code, out, Path("out").exists()) == (2, "", False)
    assert message in err
    assert "Traceback" not in err


def test_limits_are_told(models: Path) -> None:
    fast = models / "fast.onnx"
    code, _, err = run_here(command("enhance", "in", "-o", "out", "--max-pixels", "2k", model=fast))
    assert code == 4
    assert "--max-pixels" in err
    code, _, err = run_here(command("enhance", "in", "-o", "out", "--max-memory", "1k", model=fast))
    assert code == 2
    assert "--max-memory of at least" in err
    assert run_here(command("enhance", "in", "-o", "out", "--max-memory", "64M", model=fast))[0] == 0


def test_dry_run_writes_nothing_and_needs_no_model() -> None:
    code, out, err = run_here(command("enhance", "in", "-o", "out", "--dry-run", "-m", "nowhere.onnx"))
    assert (code, out, Path("out").exists()) == (0, "", False)
    assert err.splitlines() == [
        "in/a.jpg -> out/a.jpg",
        "in/a.png -> out/a.png",
        "in/b.png -> out/b.png",
        "3 to do; the results would be in out",
    ]
    _, out, _ = run_here(command("enhance", "in", "-o", "out", "--dry-run", "--json"))
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["planned"] * 3


@pytest.mark.parametrize(
    ("existing", "counts"), [("skip", "3 skipped"), ("update", "1 done, 2 skipped"), ("overwrite", "3 done")]
)
def test_existing_results(photos: Path, models: Path, existing: str, counts: str) -> None:
    line = command("enhance", "in", "-o", "out", model=models / "fast.onnx")
    assert run_here(line)[0] == 0
    future = time.time() + 100
    os.utime(photos / "b.png", (future, future))
    code, _, err = run_here([*line, "--existing", existing])
    assert code == 0
    assert err.splitlines()[-1].startswith(counts)


def test_existing_results_can_be_an_error(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", model=models / "fast.onnx")
    run_here(line)
    code, _, err = run_here([*line, "--existing", "error"])
    assert code == 2
    assert "3 exist, such as out/a.jpg" in err


def test_output_equal_to_the_input_is_refused(photos: Path, models: Path) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    for out in ("in", "./in/"):
        code, _, err = run_here(command("enhance", "in", "-o", out, model=models / "fast.onnx"))
        assert code == 2
        assert "is the input folder" in err
    assert run_here(command("enhance", "in/a.png", "-o", "in", model=models / "fast.onnx"))[0] == 2
    assert {path: path.read_bytes() for path in photos.iterdir()} == before


def test_output_inside_the_input_is_not_fed_back(models: Path) -> None:
    line = command("enhance", "in", "-r", "-o", "in/out", model=models / "fast.onnx")
    assert run_here(line)[0] == 0
    code, _, err = run_here(line)
    assert (code, err.splitlines()) == (
        0,
        ["3 skipped: the result exists, made with the same settings", "3 skipped; the results are in in/out"],
    )
    assert tree("in/out") == [".lumen/lock", "a.jpg", "a.png", "b.png"]


def test_two_inputs_for_one_result_are_refused_before_any_work(models: Path) -> None:
    save(Path("other/a.jpg"))
    code, _, err = run_here(command("enhance", "in", "other", "-o", "out", model=models / "fast.onnx"))
    assert code == 2
    assert "in/a.jpg and other/a.jpg would both become out/a.jpg" in err
    assert not Path("out").exists()


def test_nothing_to_do_is_exit_4() -> None:
    Path("empty").mkdir()
    code, _, err = run_here(command("enhance", "empty", "-o", "out"))
    assert code == 4
    assert err.startswith("lumen: no pictures (")


def test_cuda_without_a_device_is_exit_5_with_the_cause(models: Path) -> None:
    from lumen.runtime.devices import cuda_device_count

    if cuda_device_count():
        pytest.skip("there is an NVIDIA device here")
    code, _, err = run_here(command("enhance", "in", "-o", "out", "--device", "cuda", model=models / "fast.onnx"))
    assert code == 5
    (line,) = err.splitlines()
    assert line.startswith("lumen: cuda cannot be used: ")
    assert "--device cpu" in line or "onnxruntime-gpu" in line


def test_a_missing_model_is_exit_5() -> None:
    code, _, err = run_here(command("enhance", "in", "-o", "out", "-m", "nowhere.onnx"))
    assert code == 5
    assert "there is no model 'nowhere.onnx'" in err
    assert not Path("out").exists(), "it is known before anything is done"


def test_an_output_that_cannot_be_written_is_exit_6(models: Path) -> None:
    Path("file").touch()
    assert run_here(command("enhance", "in", "-o", "file/out", model=models / "fast.onnx"))[0] == 6
    with lock_folder(Path("out")):
        code, _, err = run_here(command("enhance", "in", "-o", "out", model=models / "fast.onnx"))
    assert code == 6
    assert "another lumen run works on out" in err


def test_names_with_newlines_brackets_no_utf8_and_255_bytes(photos: Path, models: Path) -> None:
    longest = b"x" * 251 + b".png"
    names = [os.fsdecode(name) for name in (b"new\nline.png", b"[red]x.png", b"\xff\xfe.png", longest)]
    for name in names:
        save(photos / "odd" / name)
    code, out, err = run_here(command("enhance", "in/odd", "-o", "out", "--json", model=models / "fast.onnx"))
    assert code == 0, err
    assert set(tree()) == {".lumen/lock", *names}
    assert {Path(json.loads(line)["source"]).name for line in out.splitlines()} == set(names)
    (photos / "odd" / names[2]).write_bytes(b"")
    code, _, err = run_here(command("enhance", "in/odd", "-o", "out2", model=models / "fast.onnx"))
    assert code == 3
    assert r"failed: in/odd/\udcff\udcfe.png: the file is empty" in err
    code, _, err = run_here(command("enhance", "in/odd", "-o", "out3", "--suffix", "-lit", model=models / "fast.onnx"))
    assert code == 3
    assert "the result's name would have 259 bytes" in err


def test_links_that_lead_round_in_circles_end(photos: Path, models: Path) -> None:
    (photos / "sub").mkdir()
    (photos / "sub" / "up").symlink_to("..")
    (photos / "self.png").symlink_to("self.png")
    code, _, err = run_here(command("enhance", "in", "-r", "-o", "out", model=models / "fast.onnx"))
    assert (code, tree()) == (3, [".lumen/lock", "a.jpg", "a.png", "b.png"])
    assert "failed: in/self.png: cannot read the file: " in err


def test_shadows_need_a_model_with_local_light(models: Path) -> None:
    code, _, err = run_here(command("enhance", "in/b.png", "-o", "out", "--shadows", "0.5", model=models / "fast.onnx"))
    assert code == 2
    assert "has no tone stage" in err
    assert tree() == [".lumen/lock"]
