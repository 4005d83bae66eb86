"""`--engine ray` on pictures in a real S3 server on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.clusters import TwoNodes, two_nodes
from tests.support.commands import ENVIRONMENT, command, run, save, tree
from tests.support.stores import KEYS, MOTO, Bucket, faulty_proxy

pytestmark = pytest.mark.skipif(
    MOTO is None or find_spec("s3fs") is None or find_spec("ray") is None,
    reason="needs ray, s3fs, and moto_server in LUMEN_MOTO_SERVER or on PATH",
)

NAMES = ("a b", "c+d", "e%20f", "sub/ü é/ñ")
FILES = 25


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    """Two nodes that have the credentials, and were not told where the server is."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        with two_nodes() as nodes:
            yield nodes


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, FILES):
        save(folder / f"{NAMES[number % len(NAMES)]} {number:02}.png", size=(20 + number, 30))
    (folder / "a b 04.xmp").write_bytes(b"<x/>")
    (folder / "bad.png").write_bytes((folder / "c+d 01.png").read_bytes()[:60])
    return folder


def test_results_are_the_same_bytes_as_on_a_disk_though_requests_fail(
    server: str, cluster: TwoNodes, bucket: Bucket, pictures: Path, fake_model: Path, tmp_path: Path
) -> None:
    code, _, err = run(command("enhance", pictures, "-r", "-o", tmp_path / "out", "--device", "cpu", model=fake_model))
    assert code == 3, err
    line = ("enhance", f"{bucket.url}/in", "-r", "-o", f"{bucket.url}/out", "--device", "cpu", "--engine", "ray")
    with faulty_proxy(server) as (url, done):
        environment = {**ENVIRONMENT, **cluster.environment(), **KEYS, "AWS_ENDPOINT_URL": url}
        code, out, err = run(command(*line, "--json", model=fake_model), env=environment)
    assert code == 3, err
    assert done["unavailable"] + done["reset"] + done["cut"] > 3
    # Two to read a picture and one to write it; listings, locks, records, marks, and what failed.
    assert done["requests"] < 6 * FILES
    told = [json.loads(each) for each in out.splitlines()]
    assert sorted(each["status"] for each in told) == ["done"] * (FILES - 1) + ["failed"]
    expected = {name: (tmp_path / "out" / name).read_bytes() for name in tree(tmp_path / "out") if ".lumen" not in name}
    assert bucket.objects("out") == expected
    assert len(expected) == FILES  # with the sidecar


def test_scores_are_those_of_the_local_engine(
    server: str, cluster: TwoNodes, bucket: Bucket, pictures: Path, fake_model: Path
) -> None:
    environment = {**ENVIRONMENT, **cluster.environment(), **KEYS, "AWS_ENDPOINT_URL": server}
    line = ("--gt", pictures, "--model", fake_model, "--device", "cpu", "--json")
    code, out, err = run(command("eval", f"{bucket.url}/in", *line, "--engine", "ray"), env=environment)
    local = run(command("eval", f"{bucket.url}/in", *line), env=environment)
    assert (code, out) == local[:2], err
    assert code == 3
