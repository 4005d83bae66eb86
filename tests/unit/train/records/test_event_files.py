"""Files for TensorBoard."""

from __future__ import annotations

from pathlib import Path

import pytest

from lumen.errors import MissingExtraError
from lumen.models import build_network
from lumen.train.records.event_files import EventFiles
from lumen.train.records.run_records import RunRecords
from tests.support.training import make_pairs, step_values


def test_tensorboard_holds_steps_and_validations(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    network = build_network("residual", groups=1, blocks=1, width=8).eval()
    log = RunRecords(tmp_path, network=network, examples=make_pairs(1), tensorboard=True)
    log.truncate(10)
    for iteration in range(11, 101):
        log.step(step_values(iteration))
    assert log.event_files is not None
    log.event_files.add(100, {"validation/psnr": 21.25})
    log.close()
    (events,) = (tmp_path / "tensorboard").iterdir()
    found = scalars(events)
    assert found["train/loss"] == [(50, 0.5), (100, 0.5)]
    assert found["validation/psnr"] == [(100, 21.25)]


def scalars(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read an event file: records of a length, its checksum, a message, and that one's checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data = path.read_bytes()
    found: dict[str, list[tuple[int, float]]] = {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[16 + length :]
    return found


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(MissingExtraError, match=r"lumen-enhance\[tensorboard\]"):
        EventFiles(tmp_path)
