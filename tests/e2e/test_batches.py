"""Many files through `lumen enhance`: lists, patterns, shares, in place, and one picture through a pipe."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lumen.codecs.codec import read_picture
from tests.support.commands import ENVIRONMENT, command, run, run_here, save, start, tree


def enhance(*arguments: object, model: Path, **pipes: Any) -> tuple[int, str, str]:
    line = command("enhance", *arguments, model=model / "fast.onnx")
    return run(line, **pipes) if pipes else run_here(line)


def pixels(path: Path | str) -> Any:
    return read_picture(Path(path)).pixels


def test_patterns_choose_files_and_folders(photos: Path, models: Path) -> None:
    save(photos / "thumbs" / "c.png")
    assert enhance("in", "-r", "-o", "out", "--include", "*.PNG", "--exclude", "thumbs", model=models)[0] == 0
    assert tree() == [".lumen/lock", "a.png", "b.png"]
    code, _, err = enhance("in", "-o", "out", "--include", "*.webp", model=models)
    assert code == 4
    assert "that --include and --exclude let through" in err


def test_lists_come_from_files_and_from_stdin(photos: Path, models: Path) -> None:
    Path("list.txt").write_text("in/a.png\nin/lost.png\n")
    code, _, err = enhance("--files-from", "list.txt", "-o", "out", model=models)
    assert (code, tree()) == (3, [".lumen/lock", "in/a.png"])
    assert "failed: in/lost.png: there is no such file" in err
    save(photos / "new\nline.png")
    with Path("list.txt").open("w") as file:
        file.write("in/new\nline.png\0in/b.png\0")
    with Path("list.txt").open() as file:
        assert enhance("--files-from", "-", "-0", "-o", "two", model=models, stdin=file)[0] == 0
    assert tree("two") == [".lumen/lock", "in/b.png", "in/new\nline.png"]


@pytest.mark.usefixtures("photos")
def test_lists_of_the_wrong_kind_are_exit_2(models: Path) -> None:
    Path("list.txt").write_bytes(b"in/a.png\0")
    for arguments, message in (
        (["--files-from", "list.txt"], "add --null"),
        (["--files-from", "lost.txt"], "cannot read the list lost.txt: No such file"),
        (["-0", "in"], "--null together with --files-from"),
        ([], "expected files or folders, - for stdin, or --files-from"),
    ):
        code, _, err = enhance(*arguments, "-o", "out", model=models)
        assert (code, Path("out").exists()) == (2, False)
        assert message in err
    Path("list.txt").write_bytes(b"")
    assert enhance("--files-from", "list.txt", "-o", "out", model=models)[0] == 4


def test_shards_work_side_by_side_and_do_every_file_once(many: Path, models: Path) -> None:
    save(many / "sub" / "a.png")
    line = command("enhance", "in", "-r", "-o", "out", "--json", model=models / "fast.onnx")
    shares = [start([*line, "--shard", f"{index}/3"]) for index in (1, 2, 3)]
    done = []
    for process in shares:
        with process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        done += [Path(each["source"]).name for each in map(json.loads, out.splitlines()) if each["status"] == "done"]
    assert sorted(done) == [*(f"{index}.png" for index in range(8)), "a.png"]
    assert tree() == [
        ".lumen/lock",
        *(f".lumen/lock-{index}of3" for index in (1, 2, 3)),
        *(f"{index}.png" for index in range(8)),
        "sub/a.png",
    ]
    assert run_here([*line, "--shard", "4/3"])[0] == run_here([*line, "--shard", "some"])[0] == 2


def test_pictures_are_replaced_in_place_and_only_once(photos: Path, models: Path) -> None:
    before = pixels("in/a.png")
    (photos / "a.png").chmod(0o600)
    assert enhance("in", "--in-place", model=models)[0] == 0
    assert np.array_equal(pixels("in/a.png"), before * 2)
    assert (photos / "a.png").stat().st_mode & 0o777 == 0o600
    code, _, err = enhance("in/a.png", "in", "--in-place", model=models)
    assert (code, err.splitlines()[-1]) == (0, "3 skipped")
    assert np.array_equal(pixels("in/a.png"), before * 2)
    assert tree("in") == [".lumen/in-place.jsonl", ".lumen/lock", "a.jpg", "a.png", "b.png"]
    assert enhance("in", "--in-place", "--existing", "error", model=models)[0] == 2


def test_in_place_a_dry_run_changes_nothing(photos: Path, models: Path) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    code, _, err = enhance("in", "--in-place", "--dry-run", model=models)
    assert (code, err.splitlines()) == (0, ["in/a.jpg", "in/a.png", "in/b.png", "3 to do"])
    assert {path: path.read_bytes() for path in photos.iterdir()} == before


def test_in_place_what_fails_stays_as_it_is(photos: Path, models: Path) -> None:
    torn = (photos / "a.png").read_bytes()[:60]
    (photos / "a.png").write_bytes(torn)
    assert enhance("in", "--in-place", model=models)[0] == 3
    assert (photos / "a.png").read_bytes() == torn
    Image.new("RGB", (20, 10), (9, 9, 9)).save("in/c.gif")
    code, _, err = enhance("in/c.gif", "--in-place", model=models)
    assert code == 4
    assert "does not write this format; use --out" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in"], "expected --out DIR for the results, or --in-place"),
        (["in", "-o", "out", "--in-place"], "expected --out or --in-place, got both"),
        (["in", "--in-place", "--suffix", "x"], "combined with --suffix or --format"),
        (["in", "--in-place", "--frames", "first"], "the other pictures of a file would be lost"),
        (["in", "-o", "in"], "or replace the pictures themselves with --in-place"),
    ],
)
def test_where_results_go_is_one_place(photos: Path, models: Path, arguments: list[str], message: str) -> None:
    before = {path: path.read_bytes() for path in photos.iterdir()}
    code, out, err = enhance(*arguments, model=models)
    assert (code, out) == (2, "")
    assert message in err
    assert {path: path.read_bytes() for path in photos.iterdir()} == before


def piped(*arguments: object, model: Path, data: bytes | None = None) -> tuple[int, bytes, str]:
    """Run `lumen enhance` with bytes on stdin and stdout."""
    line = command("enhance", *arguments, model=model / "fast.onnx")
    done = subprocess.run(line, input=data, capture_output=True, env=ENVIRONMENT, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("arguments", [["-"], ["-", "-o", "-"]])
def test_a_picture_goes_through_a_pipe_in_its_own_format(photos: Path, models: Path, arguments: list[str]) -> None:
    for name, kind in (("a.png", "PNG"), ("a.jpg", "JPEG")):
        code, out, err = piped(*arguments, model=models, data=(photos / name).read_bytes())
        assert (code, err) == (0, "")
        with Image.open(io.BytesIO(out)) as image:
            assert image.format == kind
            if kind == "PNG":
                assert np.array_equal(np.asarray(image), pixels("in/a.png") * 2)
    assert tree(".") == ["in/a.jpg", "in/a.png", "in/b.png"]


def test_a_pipe_can_ask_for_a_format_and_a_file_can_go_into_one(photos: Path, models: Path) -> None:
    code, out, err = piped("in/a.png", "-o", "-", "--format", "webp", "-v", model=models)
    assert (code, out[:4], out[8:12]) == (0, b"RIFF", b"WEBP")
    assert "on cpu" in err
    save(photos / "deep.png", "uint16")
    data = (photos / "deep.png").read_bytes()
    assert piped("-", "--format", "tiff", model=models, data=data)[1][:2] in (b"II", b"MM")
    code, out, err = piped("-", "--format", "jpg", model=models, data=data)
    assert (code, out) == (4, b"")
    assert err.startswith("failed: stdin: ")


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x89PNG\r\n\x1a\n half"])
def test_what_is_no_picture_gives_no_output(models: Path, data: bytes) -> None:
    code, out, err = piped("-", model=models, data=data)
    assert (code, out) == (4, b"")
    assert err.startswith("failed: stdin: ")


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "in"], "expected one picture for stdout, got 2"),
        (["-", "-o", "out"], "expected --out - with a picture from stdin"),
        (["-", "--in-place"], "expected no --in-place with a picture for stdout"),
        (["-", "--json"], "expected no --json with a picture for stdout"),
        (["-", "--existing", "skip"], "expected no --existing with a picture for stdout"),
    ],
)
def test_a_pipe_takes_one_picture(models: Path, arguments: list[str], message: str) -> None:
    code, out, err = piped(*arguments, model=models, data=b"")
    assert (code, out, message in err) == (2, b"", True)


def test_terminals_get_no_picture_and_give_none(photos: Path, models: Path) -> None:
    _, terminal = pty.openpty()
    line = command("enhance", "-", model=models / "fast.onnx")
    with (photos / "a.png").open("rb") as picture:
        code, _, err = run(line, stdin=picture, stdout=terminal)
    assert (code, "expected stdout to go to a file or a program" in err) == (2, True)
    code, out, err = run(line, stdin=terminal)
    assert (code, out, "expected a picture on stdin" in err) == (2, "", True)
    os.close(terminal)


@pytest.mark.usefixtures("photos")
def test_a_full_disk_behind_a_pipe_is_exit_6(models: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        code, _, err = run(command("enhance", "in/a.png", "-o", "-", model=models / "fast.onnx"), stdout=full)
    assert code == 6
    assert "no space left" in err


def redirected(redirection: str, *arguments: object, model: Path) -> tuple[int, str]:
    """Run `lumen enhance` with what a shell does to its streams; return the exit code and stderr."""
    line = ["sh", "-c", f'exec "$@" {redirection}', "sh", *command("enhance", *arguments, model=model / "fast.onnx")]
    done = subprocess.run(line, capture_output=True, env=ENVIRONMENT, timeout=120, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("redirection", "arguments", "code", "message"),
    [
        ("<&- >&- 2>&-", ["in", "-o", "out"], 0, ""),
        (">&-", ["in", "-o", "out", "--json"], 6, "the output cannot be written: Bad file descriptor"),
        (">&-", ["in/a.png", "-o", "-"], 6, "cannot write 'stdout': Bad file descriptor"),
        ("<&-", ["-"], 4, "failed: stdin: the file is empty"),
        ("<&-", ["--files-from", "-", "-o", "out"], 4, "no pictures"),
        (">/dev/full", ["in", "-o", "out", "--json"], 6, "the output cannot be written: No space left on device"),
    ],
)
def test_closed_and_full_streams_are_no_internal_errors(
    models: Path, redirection: str, arguments: list[str], code: int, message: str
) -> None:
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    found, err = redirected(redirection, *arguments, model=models)
    assert (found, message in err, "Exception ignored" in err) == (code, True, False)
    assert all(read_picture(path).pixels.any() for path in Path().glob("out/*.png"))


@pytest.mark.usefixtures("photos")
def test_a_picture_that_memory_cannot_hold_fails_by_name(models: Path) -> None:
    resource = pytest.importorskip("resource")
    Image.new("L", (20000, 20000), 3).save("large.png", compress_level=1)
    limit = 1600 << 20
    line = command("enhance", "large.png", "-o", "-", model=models / "fast.onnx")
    done = subprocess.run(
        line,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=120,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert (done.returncode, done.stdout) == (4, b"")
    assert done.stderr.decode() == "failed: large.png: not enough memory for this picture\n"


def test_the_run_is_recorded_beside_the_results(photos: Path, models: Path) -> None:
    (photos / "b.png").write_bytes(b"")
    enhance("in", "-o", "out", "--ev", "0.5", model=models)
    (path,) = Path("out/.lumen/runs").iterdir()
    first, model, *files, last = map(json.loads, path.read_text().splitlines())
    assert (first["run"]["inputs"], first["run"]["enhance"]["ev"]) == (["in"], 0.5)
    assert first["versions"]["lumen"]
    assert model["model"]["devices"] == ["cpu"]
    assert sorted((each["source"], each["status"]) for each in files) == [
        ("in/a.jpg", "done"),
        ("in/a.png", "done"),
        ("in/b.png", "failed"),
    ]
    assert last["counts"] == {"done": 2, "failed": 1, "planned": 0, "skipped": 0}


@pytest.mark.usefixtures("many")
def test_whoever_reads_the_json_may_leave(models: Path) -> None:
    line = command("enhance", "in", "-o", "out", "--json", model=models / "fast.onnx")
    with start(line) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=60)
    assert process.returncode in (0, 6)
    assert "Traceback" not in err
    assert "Exception ignored" not in err
