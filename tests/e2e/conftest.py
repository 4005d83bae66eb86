"""What the tests of `lumen enhance` share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import save
from tests.support.fakes import write_fake_onnx
from tests.support.stores import Bucket, s3_server


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a fast model (twice as bright) and a slow one."""
    folder = tmp_path_factory.mktemp("models")
    write_fake_onnx(folder / "fast.onnx", radius=0)
    write_fake_onnx(folder / "fast.u16.onnx", "uint16", radius=0)
    write_fake_onnx(folder / "slow.onnx", burn=12)
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is empty but for `in` with a.jpg, a.png and b.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "a.png", "b.png"):
        save(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory holds `in` with eight pictures that take the slow model a while."""
    monkeypatch.chdir(tmp_path)
    for index in range(8):
        save(tmp_path / "in" / f"{index}.png", size=(200, 250))
    return tmp_path / "in"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an S3 server."""
    with s3_server(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="module")
def bucket(server: str, pictures: Path) -> Bucket:
    """A bucket with the pictures of a module in `in`."""
    found = Bucket(server, "pictures")
    found.upload(pictures, "in")
    return found
