"""`lumen enhance` and `lumen eval` over a real S3 server on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import write_clip
from tests.support.commands import ENVIRONMENT, command, run, save, start, tree
from tests.support.stores import KEYS, MOTO, Bucket, faulty_proxy

pytestmark = pytest.mark.skipif(
    MOTO is None or find_spec("s3fs") is None, reason="needs s3fs, and moto_server in LUMEN_MOTO_SERVER or on PATH"
)

NAMES = ("a b.png", "c+d.png", "e%20f.png", "ü é/ñ.png", "x#1?.png", "sub/deep/z.png", "A.png", "'q'&=.png")
MANY = 60


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, name in enumerate(NAMES):
        save(folder / name, size=(20 + number, 30))
    (folder / "a b.xmp").write_bytes(b"<x/>")
    return folder


@pytest.fixture(scope="module")
def expected(pictures: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run on a disk makes of the pictures."""
    out = tmp_path_factory.mktemp("local") / "out"
    code, _, err = run(command("enhance", pictures, "-r", "-o", out, "--device", "cpu", model=models / "fast.onnx"))
    assert code == 0, err
    return {name: (out / name).read_bytes() for name in tree(out) if not name.startswith(".lumen")}


class Lumen:
    """Runs the command with the credentials of the server."""

    def __init__(self, url: str, model: Path) -> None:
        self.environment = {**ENVIRONMENT, **KEYS, "AWS_ENDPOINT_URL": url}
        self._model = model

    def line(self, *arguments: object) -> list[str]:
        return command("enhance", *arguments, "--device", "cpu", model=self._model)

    def __call__(self, *arguments: object, **options: object) -> tuple[int, str, str]:
        return run(self.line(*arguments), env=self.environment, **options)


@pytest.fixture
def lumen(server: str, models: Path) -> Lumen:
    return Lumen(server, models / "fast.onnx")


def test_results_are_the_same_bytes_as_on_a_disk(
    bucket: Bucket, lumen: Lumen, expected: dict[str, bytes], pictures: Path, tmp_path: Path
) -> None:
    code, out, err = lumen(f"{bucket.url}/in", "-r", "-o", f"{bucket.url}/same", "--json")
    assert code == 0, err
    assert bucket.objects("same") == expected
    sources = {json.loads(line)["source"] for line in out.splitlines()}
    assert sources == {f"{bucket.url}/in/{name}" for name in NAMES}
    code, _, err = lumen(pictures, "-r", "-o", f"{bucket.url}/from disk")
    assert code == 0, err
    assert bucket.objects("from disk") == expected
    code, _, err = lumen(f"{bucket.url}/in", "-r", "-o", tmp_path / "out")
    assert code == 0, err
    assert {name: (tmp_path / "out" / name).read_bytes() for name in expected} == expected


def test_a_second_run_has_nothing_to_do_and_knows_why(bucket: Bucket, lumen: Lumen) -> None:
    line = (f"{bucket.url}/in", "-r", "-o", f"{bucket.url}/twice")
    assert lumen(*line)[0] == 0
    code, _, err = lumen(*line)
    assert code == 0 and f"{len(NAMES)} skipped: the result exists, made with the same settings" in err
    code, _, err = lumen(*line, "--existing", "error")
    assert code == 2 and "expected no results before the run" in err
    code, _, err = lumen(*line, "--strength", "0.5")
    assert code == 0 and "made with other settings" in err


def test_an_input_that_is_newer_is_made_again(bucket: Bucket, lumen: Lumen, tmp_path: Path) -> None:
    save(tmp_path / "a.png", size=(16, 16))
    bucket.put("renewed/a.png", (tmp_path / "a.png").read_bytes())
    line = (f"{bucket.url}/renewed", "-o", f"{bucket.url}/renewed out", "--existing", "update")
    assert lumen(*line)[0] == 0
    before = bucket.objects("renewed out")
    time.sleep(1.1)  # stores tell seconds
    save(tmp_path / "a.png", size=(18, 16))
    bucket.put("renewed/a.png", (tmp_path / "a.png").read_bytes())
    assert "1 done" in lumen(*line)[2]
    assert bucket.objects("renewed out") != before


def test_a_large_picture_goes_there_and_back(bucket: Bucket, lumen: Lumen, tmp_path: Path) -> None:
    from lumen.codecs.codec import write_picture
    from lumen.imaging.picture import Picture

    noise = np.random.default_rng(1).integers(0, 60, (2000, 2000, 3), np.uint8)
    write_picture(Picture(pixels=noise, format="bmp"), tmp_path / "large.bmp")
    bucket.put("large/large.bmp", (tmp_path / "large.bmp").read_bytes())
    assert lumen(f"{bucket.url}/large", "-o", f"{bucket.url}/large out")[0] == 0
    assert lumen(tmp_path / "large.bmp", "-o", tmp_path / "out")[0] == 0
    assert bucket.objects("large out") == {"large.bmp": (tmp_path / "out/large.bmp").read_bytes()}


def test_lists_and_references_may_be_in_stores(bucket: Bucket, lumen: Lumen, tmp_path: Path) -> None:
    bucket.put("list.txt", f"{bucket.url}/in/a b.png\n{bucket.url}/in/none.png\n".encode())
    code, _, err = lumen("--files-from", f"{bucket.url}/list.txt", "-o", tmp_path / "out")
    assert code == 3 and f"failed: {bucket.url}/in/none.png: cannot read the file: there is no such object" in err
    assert "pictures/in/a b.png" in tree(tmp_path / "out")
    code, out, err = lumen(f"{bucket.url}/in", "-o", tmp_path / "scored", "--gt", f"{bucket.url}/in")
    assert code == 0 and "mean of 6" in out, err
    line = command("eval", f"{bucket.url}/in", "--gt", f"{bucket.url}/in", "--as-is")
    code, out, err = run(line, env=lumen.environment)
    assert code == 0 and "mean of 8" in out, err


def test_clips_go_there_and_back(bucket: Bucket, lumen: Lumen, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a b.mp4")
    bucket.put("clips/a b.mp4", clip.read_bytes())
    assert lumen(clip, "-o", tmp_path / "out")[0] == 0
    code, _, err = lumen(f"{bucket.url}/clips", "--clips", "-o", f"{bucket.url}/clips out")
    assert code == 0, err
    assert bucket.objects("clips out") == {"a b.mp4": (tmp_path / "out/a b.mp4").read_bytes()}


def test_one_picture_may_be_named_or_go_to_stdout(bucket: Bucket, lumen: Lumen, expected: dict[str, bytes]) -> None:
    assert lumen(f"{bucket.url}/in/x#1?.png", "-o", f"{bucket.url}/one/better.png")[0] == 0
    assert bucket.objects("one") == {"better.png": expected["x#1?.png"]}
    line = lumen.line(f"{bucket.url}/in/a b.png", "-o", "-")
    done = subprocess.run(line, env=lumen.environment, capture_output=True, check=True, timeout=60)
    assert done.stdout == expected["a b.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("s3://pictures/none", "-o", "out"), 5, "there is nothing to read at s3://pictures/none"),
        (("s3://no-such-bucket/in", "-o", "out"), 5, "there is nothing to read at s3://no-such-bucket/in"),
        (("--files-from", "s3://pictures/none", "-o", "out"), 5, "cannot read s3://pictures/none"),
        (("s3://pictures/in", "-o", "s3://no-such-bucket/out"), 6, "cannot write to s3://no-such-bucket/out"),
        (
            ("s3://pictures/in", "-o", "out", "--exposure-from", "s3://pictures/none"),
            5,
            "nothing to read at s3://pictures",
        ),
        (
            ("s3://pictures/in", "-o", "s3://pictures/out", "--report", "x.html"),
            2,
            "--report cannot be combined with --out",
        ),
        (("s3://pictures/in", "--in-place"), 2, "--in-place cannot be combined with s3://pictures/in"),
        (("s3://me:word@pictures/in", "-o", "out"), 2, "no user or password in a URL, got s3://***@pictures/in"),
    ],
)
@pytest.mark.usefixtures("bucket")
def test_what_cannot_be_done_is_one_clear_line(
    lumen: Lumen, tmp_path: Path, arguments: tuple[str, ...], code: int, reason: str
) -> None:
    found, _, err = lumen(*arguments, cwd=tmp_path)
    assert (found, err.count("\n")) == (code, 1), err
    assert reason in err and "word@" not in err


def test_without_credentials_the_way_to_give_them_is_named(bucket: Bucket, lumen: Lumen, tmp_path: Path) -> None:
    for name in KEYS:
        del lumen.environment[name]
    lumen.environment |= {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    code, _, err = lumen(f"{bucket.url}/in", "-o", tmp_path / "out")
    assert code == 5 and "access is refused" in err and "as the AWS tools ask it" in err


def test_credentials_are_in_nothing_that_is_written(bucket: Bucket, lumen: Lumen) -> None:
    code, out, err = lumen(f"{bucket.url}/in", "-r", "-o", f"{bucket.url}/secret", "--json", "-vv")
    assert code == 0
    records = [data for name, data in bucket.objects("secret/.lumen").items()]
    assert records
    for text in (out, err, *(data.decode() for data in records)):
        assert not any(secret in text for secret in (KEYS["AWS_SECRET_ACCESS_KEY"], "Signature"))


def many(bucket: Bucket, folder: Path, prefix: str, count: int) -> None:
    for number in range(count):
        save(folder / f"{number:04}.png", size=(8 + number % 40, 8 + number // 40))
    bucket.upload(folder, prefix)


def test_faults_of_the_network_cost_no_picture(
    server: str, bucket: Bucket, models: Path, tmp_path: Path, lumen: Lumen
) -> None:
    many(bucket, tmp_path / "in", "many", MANY)
    assert lumen(tmp_path / "in", "-o", tmp_path / "out")[0] == 0
    with faulty_proxy(server) as (url, done):
        code, _, err = Lumen(url, models / "fast.onnx")(f"{bucket.url}/many", "-o", f"{bucket.url}/many out")
    assert code == 0, err
    assert done["unavailable"] and done["reset"] and done["cut"]
    assert bucket.objects("many out") == {
        f"{n:04}.png": (tmp_path / f"out/{n:04}.png").read_bytes() for n in range(MANY)
    }


def test_a_run_that_was_killed_is_continued(bucket: Bucket, models: Path, server: str, tmp_path: Path) -> None:
    many(bucket, tmp_path / "in", "killed", MANY)
    slow = Lumen(server, models / "slow.onnx")
    line = (f"{bucket.url}/killed", "-o", f"{bucket.url}/killed out")
    with start(slow.line(*line), env=slow.environment) as process:
        deadline = time.monotonic() + 60
        while len(bucket.objects("killed out")) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    there = bucket.objects("killed out")
    assert 5 <= len(there) < MANY
    code, _, err = slow(*line)
    assert code == 0, err
    assert f"{MANY - len(there)} done, {len(there)} skipped" in err
    after = bucket.objects("killed out")
    assert len(after) == MANY and there.items() <= after.items()
