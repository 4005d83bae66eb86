"""lumen beside other tools: costs without start-up, scores by the same protocol, and peers that fail are named."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.side_by_side import Cost, main, markdown, row_of, spaced
from tests.support.fakes import write_fake_onnx
from tests.support.scores import noise, save

COPY = "import pathlib, shutil, sys; [shutil.copy(p, sys.argv[2]) for p in sorted(pathlib.Path(sys.argv[1]).iterdir())"
NAMES = ("a", "b", "c", "d")


def peer(name: str, ending: str) -> str:
    """Return the option for a peer that copies its input; `ending` ends the list of what is copied."""
    return f"--peer={name}={sys.executable} -I -S -c '{COPY}{ending}' {{input}} {{output}}"


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for seed, name in enumerate(NAMES):
        save(tmp_path / "low" / f"{name}.png", noise(seed, high=60))
        save(tmp_path / "high" / f"{name}.png", noise(seed, high=60) * 2)
    return tmp_path


def line(pairs: Path, *more: str) -> list[str]:
    model = write_fake_onnx(pairs / "model.onnx", radius=0)
    return [str(pairs / "low"), "--rounds=1", f"--lumen-options=--device cpu --model {model}", *more]


def test_all_are_measured_and_scored_alike(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = pairs / "kept"
    options = ["--frames=2", f"--gt={pairs / 'high'}", f"--keep={keep}", "--json"]
    peers = [peer("copy", "]"), peer("lazy", "[:1]]"), peer("broken", "]; sys.exit(9)")]
    assert main(line(pairs, *options, *peers, "--peer=absent=/nowhere {input} {output}")) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["pictures"], told["of"], told["cores"]) == (2, 4, 1)
    assert told["megapixels"] == pytest.approx(2 * 24 * 32 / 1e6)
    assert list(told["rows"]) == ["lumen", "copy"]
    assert told["rows"]["lumen"]["psnr"] > told["rows"]["copy"]["psnr"] + 10, "twice as bright is right"
    assert told["rows"]["copy"]["gt_mean_psnr"] > told["rows"]["copy"]["psnr"] + 10
    assert all(row["peak_mib"] > 1 for row in told["rows"].values())
    assert told["failed"] == {
        "lazy": "no result for c and 0 others: it said nothing",
        "broken": "exit code 9: it said nothing",
        "absent": "/nowhere cannot be started: No such file or directory",
    }
    assert sorted(path.name for path in (keep / "copy" / "all").iterdir()) == ["a.png", "c.png"]
    table = markdown(told).splitlines()
    assert len({row.count("|") for row in table if row.startswith("|")}) == 1
    assert [row.split("|")[1].strip() for row in table if row.startswith("|")][2:] == ["lumen", "copy"]
    assert {row.partition(":")[0] for row in table[-3:]} == set(told["failed"])


def test_a_result_that_cannot_be_scored_keeps_its_costs(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(pairs / "high" / "a.png", noise(1, size=(8, 8)))
    assert main(line(pairs, "--frames=2", f"--gt={pairs / 'high'}")) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[-2].startswith("| lumen |")
    assert out[-1].startswith("lumen: failed, not scored: ")


def test_start_up_is_told_apart() -> None:
    """Start-up of 3 s and 2 s per megapixel of work, over 1 and 5 megapixels, in three rounds of which one is slow."""
    one = [Cost(cpu_s=5 * slow, wall_s=6 * slow, peak_mib=10) for slow in (1, 4, 1)]
    all_ = [Cost(cpu_s=13 * slow, wall_s=18 * slow, peak_mib=20 + slow) for slow in (1, 4, 1)]
    row = row_of(one, all_, 1, 5)
    assert (row.cpu_s_per_mp, row.wall_s_per_mp, row.start_cpu_s, row.peak_mib) == (2, 3, 3, 24)


def test_frames_are_spaced_evenly() -> None:
    paths = [Path(str(number)) for number in range(10)]
    assert spaced(paths, None) == spaced(paths, 99) == paths
    assert [int(path.name) for path in spaced(paths, 3)] == [0, 3, 6]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--peer=x=run {input}"], "NAME='COMMAND {input} {output}'"),
        (["--peer=lumen=run {input} {output}"], "none called lumen"),
        (["--peer=x=a {input} {output}", "--peer=x=b {input} {output}"], "another name"),
        (["--frames=1"], "2 pictures or more"),
        (["--rounds=0"], "at least 1"),
        (["--gt=absent"], "folder with references"),
        (["--gt=few"], "none for a.png"),
        (["--keep=few"], "a new folder"),
    ],
)
def test_what_makes_no_sense_is_refused(
    pairs: Path,
    more: Sequence[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(pairs)
    (pairs / "few").mkdir()
    with pytest.raises(SystemExit, match="2"):
        main(["low", *more])
    assert said in capsys.readouterr().err
