"""What `lumen enhance` stores, and under which name: formats, quality, metadata, depth, first pictures, comparisons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.JpegImagePlugin import get_sampling

from lumen.cli.main import main
from lumen.codecs.codec import read_picture
from tests.support.commands import ENVIRONMENT, command
from tests.support.crafted import jpeg_segment, png_chunk
from tests.support.files import RGB, XMP, deep_png, exif, icc, needs_attributes, put, ramp, saved, tags

pytestmark = pytest.mark.usefixtures("photos")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory is empty but for `in`."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Enhance = Callable[..., Done]


@pytest.fixture
def enhance(fake_model: Path, capfd: pytest.CaptureFixture[str]) -> Enhance:
    """Run `lumen enhance in -o out ...` here, with the model that doubles every level."""

    def run(*args: str, line: tuple[str, ...] = ("enhance", "in", "-o", "out")) -> Done:
        code = main(["-q", *line, "--json", "--model", str(fake_model), *args])
        return Done(int(code), *capfd.readouterr())

    return run


def results() -> list[str]:
    return sorted(path.name for path in Path("out").iterdir() if path.is_file())


@pytest.mark.parametrize(
    ("asked", "name", "kind"),
    [
        ("png", "a.png", "PNG"),
        ("jpg", "a.jpeg", "JPEG"),
        ("webp", "a.webp", "WEBP"),
        ("tiff", "a.tiff", "TIFF"),
        ("avif", "a.avif", "AVIF"),
        ("same", "a.jpeg", "JPEG"),
    ],
)
def test_results_have_the_format_and_the_name_that_was_asked_for(
    photos: Path, enhance: Enhance, asked: str, name: str, kind: str
) -> None:
    block = b"Exif\0\0" + exif(6)
    put(photos, "a.jpeg", saved(RGB.point(lambda level: level // 2), "JPEG", exif=block, icc_profile=icc(), xmp=XMP))
    done = enhance("--format", asked)
    assert done.returncode == 0, done.stderr
    assert results() == [name]
    with Image.open(Path("out", name)) as image:
        assert image.format == kind
        assert image.info["icc_profile"] == icc()
        found = tags(image.getexif().tobytes())
    assert (found["maker"], found["orientation"]) == ("Maker", 6)
    before, after = (read_picture(path).pixels.astype(int) for path in (photos / "a.jpeg", Path("out", name)))
    assert np.abs(after - np.minimum(before * 2, 255)).mean() < 3


def test_two_files_that_would_become_one_are_refused_by_name(photos: Path, enhance: Enhance) -> None:
    for name, kind in (("a.jpg", "JPEG"), ("a.png", "PNG")):
        put(photos, name, saved(RGB, kind))
    done = enhance("--format", "png")
    assert done.returncode == 2
    assert "in/a.jpg and in/a.png would both become out/a.png" in done.stderr
    assert not Path("out").exists()
    assert enhance().returncode == 0
    assert results() == ["a.jpg", "a.png"]


def test_a_deep_picture_loses_its_depth_only_when_allowed(photos: Path, enhance: Enhance) -> None:
    put(photos, "deep.png", deep_png(ramp(dtype=np.uint16) // 3))
    done = enhance("--format", "jpg")
    assert done.returncode == 4
    assert "give up the depth with --allow-8bit" in json.loads(done.stdout)["reason"]
    assert results() == []
    done = enhance("--format", "jpg", "--allow-8bit")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["warnings"] == []
    found = read_picture(Path("out/deep.jpg"))
    assert np.abs(found.pixels.astype(int) - (ramp(dtype=np.uint16) // 3 * 2) / 257).mean() < 3


def test_animations_are_refused_unless_the_first_picture_is_asked_for(photos: Path, enhance: Enhance) -> None:
    frames = {"save_all": True, "append_images": [RGB.rotate(180)]}
    put(photos, "a.webp", saved(RGB, "WEBP", lossless=True, **frames))
    put(photos, "b.gif", saved(RGB.quantize(20), "GIF", **frames))
    put(photos, "c.tif", saved(RGB, "TIFF", **frames))
    done = enhance()
    assert done.returncode == 4
    assert done.stdout.count("take the first with --frames first") == 3
    done = enhance("--frames", "first")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("only the first picture of a") == 3
    assert results() == ["a.webp", "b.png", "c.tif"]
    doubled = np.minimum(ramp().astype(int) * 2, 255)
    for name in ("a.webp", "c.tif"):
        np.testing.assert_array_equal(read_picture(Path("out", name)).pixels, doubled)


def test_stripped_results_tell_nothing_and_look_the_same(photos: Path, enhance: Enhance) -> None:
    resources = jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03abc")
    everything = {"exif": b"Exif\0\0" + exif(6), "icc_profile": icc(), "xmp": XMP, "extra": resources}
    put(photos, "a.jpg", saved(RGB, "JPEG", dpi=(300, 300), comment="secret", **everything))
    plain = saved(RGB, "PNG")
    text, gamma = png_chunk(b"tEXt", b"Author\0secret"), png_chunk(b"gAMA", b"\0\0\xd9\x04")
    put(photos, "b.png", plain[:33] + gamma + text + plain[33:])
    assert enhance("--metadata", "strip").returncode == 0
    with Image.open("out/a.jpg") as image:
        assert image.size == RGB.size
        assert dict(image.getexif()) == {0x0112: 6}
        assert image.info["icc_profile"] == icc()
        assert image.info["dpi"] == (300, 300)
        assert not {"comment", "photoshop", "xmp"} & image.info.keys()
    data = Path("out/b.png").read_bytes()
    assert b"gAMA" in data
    assert b"secret" not in data
    assert enhance("--metadata", "keep", "--existing", "overwrite").returncode == 0
    assert b"secret" in Path("out/b.png").read_bytes()


def test_quality_and_colour_resolution_of_a_jpeg(photos: Path, enhance: Enhance) -> None:
    put(photos, "a.jpg", saved(RGB, "JPEG", subsampling="4:2:2"))
    sizes, layouts = [], []
    best = ("--quality", "95")
    for options in (best, (*best, "--subsampling", "420"), (*best, "--subsampling", "keep"), ("--quality", "40"), ()):
        assert enhance("--existing", "overwrite", *options).returncode == 0
        sizes.append(Path("out/a.jpg").stat().st_size)
        with Image.open("out/a.jpg") as image:
            layouts.append(get_sampling(image))
    assert layouts == [0, 2, 1, 2, 1]
    assert sizes[0] > sizes[2] > sizes[1] > sizes[4] > sizes[3]


def test_a_black_picture_that_nobody_sees_change_goes_through_as_it_is(photos: Path, enhance: Enhance) -> None:
    black = put(photos, "a.jpg", saved(Image.new("RGB", (60, 40), (2, 2, 2)), "JPEG", quality=50)).read_bytes()
    done = enhance()
    assert json.loads(done.stdout)["unchanged"] is True
    assert Path("out/a.jpg").read_bytes() == black
    skipped = enhance("--unchanged", "skip", "--gt", "in")
    assert skipped.returncode == 2
    assert "--unchanged skip" in skipped.stderr


@pytest.mark.parametrize(("options", "code", "is_same"), [((), 0, True), (("--unchanged", "skip"), 2, False)])
def test_what_is_fine_reaches_stdout_as_it_is(
    photos: Path, fake_model: Path, options: tuple[str, ...], code: int, is_same: bool
) -> None:
    black = put(photos, "a.jpg", saved(Image.new("RGB", (60, 40), (2, 2, 2)), "JPEG", quality=50)).read_bytes()
    line = command("enhance", "in/a.jpg", "-o", "-", *options, model=fake_model)
    done = subprocess.run(line, capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == code
    assert (done.stdout == black) is is_same


def test_comparisons_stand_beside_the_results(photos: Path, enhance: Enhance) -> None:
    dark = Image.fromarray(np.full((60, 80, 3), 50, np.uint8))
    put(photos, "a.jpg", saved(dark, "JPEG", exif=b"Exif\0\0" + exif(6), icc_profile=icc()))
    put(photos, "a.png", saved(dark.resize((4000, 10)), "PNG"))
    done = enhance("--compare")
    assert done.returncode == 0, done.stderr
    assert results() == ["a.jpg", "a.jpg.compare.jpg", "a.png", "a.png.compare.jpg"]
    with Image.open("out/a.jpg.compare.jpg") as image:
        assert image.size == (60 + 8 + 60, 80)  # upright, side by side
        assert image.info["icc_profile"] == icc()
        levels = np.asarray(image).astype(int)
    assert abs(levels[:, 5:50].mean() - 50) < 4
    assert abs(levels[:, 80:120].mean() - 100) < 4
    with Image.open("out/a.png.compare.jpg") as image:
        assert image.size == (1334, 4 + 8 + 4)  # reduced, one above the other
    assert "compare" not in done.stdout  # the results are what is reported
    skipped = enhance("--compare")
    assert skipped.stdout.count('"skipped"') == 2


def test_missing_comparisons_are_written_without_enhancing_again(photos: Path, enhance: Enhance) -> None:
    for name in ("a.jpg", "b.png"):
        put(photos, name, saved(RGB, "JPEG" if name.endswith("jpg") else "PNG"))
    assert enhance("--compare").returncode == 0
    made = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    for path in Path("out").glob("*.compare.jpg"):
        path.unlink()
    assert enhance("--compare", "--dry-run").returncode == 0
    assert results() == ["a.jpg", "b.png"]
    Path("damaged.onnx").touch()
    done = enhance("--compare", "--model", "damaged.onnx")  # which is not opened
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["status"], line["target"]) for line in told] == [
        ("done", "out/a.jpg.compare.jpg"),
        ("done", "out/b.png.compare.jpg"),
    ]
    assert all("only the comparison was made, because the result exists" in line["reason"] for line in told)
    now = {path.name: path.read_bytes() for path in Path("out").iterdir() if path.is_file()}
    assert now["b.png.compare.jpg"] == made["b.png.compare.jpg"], "from a lossless result, the same as in one run"
    assert {name: now[name] for name in results() if "compare" not in name} == {
        name: made[name] for name in ("a.jpg", "b.png")
    }
    again = enhance("--compare")
    assert again.stdout.count('"skipped"') == 2


def test_a_result_that_does_not_fit_has_no_comparison_and_is_told(photos: Path, enhance: Enhance) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        put(photos, name, saved(RGB, "JPEG"))
    assert enhance().returncode == 0
    put(Path("out"), "a.jpg", saved(RGB.crop((0, 0, 9, 9)), "JPEG"))
    put(Path("out"), "b.jpg", b"no picture")
    done = enhance("--compare")
    assert done.returncode == 0, done.stderr
    assert results() == ["a.jpg", "b.jpg", "c.jpg", "c.jpg.compare.jpg"]
    warnings = {line["source"]: line["warnings"] for line in map(json.loads, done.stdout.splitlines())}
    assert "there is no comparison: the result has another size" in warnings["in/a.jpg"][0]
    assert "there is no comparison: " in warnings["in/b.jpg"][0]


def test_a_comparison_that_is_there_is_made_again_with_its_result(photos: Path, enhance: Enhance) -> None:
    put(photos, "a.jpg", saved(Image.new("RGB", (40, 30), (30, 30, 30)), "JPEG"))
    assert enhance("--compare").returncode == 0
    before = Path("out/a.jpg.compare.jpg").read_bytes()
    assert enhance("--existing", "overwrite", "--ev", "1").returncode == 0
    after = Path("out/a.jpg.compare.jpg").read_bytes()
    assert before != after
    Path("out/a.jpg.compare.jpg").unlink()
    assert enhance("--existing", "overwrite").returncode == 0
    assert results() == ["a.jpg"]


def test_comparisons_in_folders_are_no_inputs(photos: Path, enhance: Enhance) -> None:
    for name in ("a.jpg", "a.jpg.compare.jpg", "B.JPG.COMPARE.JPG"):
        put(photos, name, saved(RGB, "JPEG"))
    assert enhance().returncode == 0
    assert results() == ["a.jpg"]
    assert enhance(line=("enhance", "in/a.jpg.compare.jpg", "-o", "named")).returncode == 0
    assert Path("named/a.jpg.compare.jpg").is_file()


def test_a_comparison_never_takes_the_place_of_a_result(photos: Path, enhance: Enhance) -> None:
    for name in ("a.jpg", "a.jpg.compare.jpg"):
        put(photos, name, saved(RGB, "JPEG"))
    done = enhance("in/a.jpg.compare.jpg", "--compare")  # named, it is taken as any other picture
    assert done.returncode == 2
    assert "would both become out/a.jpg.compare.jpg" in done.stderr


def test_a_name_too_long_for_a_comparison_costs_only_that(photos: Path, enhance: Enhance) -> None:
    name = "a" * 250 + ".jpg"
    put(photos, name, saved(RGB, "JPEG"))
    done = enhance("--compare")
    assert done.returncode == 0, done.stderr
    assert results() == [name]
    assert "there is no comparison: " in json.loads(done.stdout)["warnings"][0]


def test_in_place_no_comparison_is_left_among_the_pictures(photos: Path, enhance: Enhance) -> None:
    put(photos, "a.jpg", saved(RGB, "JPEG"))
    done = enhance("--compare", line=("enhance", "in", "--in-place"))
    assert done.returncode == 2
    assert "--compare cannot be combined with --in-place" in done.stderr


def test_results_show_the_time_of_their_picture_and_updates_still_work(photos: Path, enhance: Enhance) -> None:
    path = put(photos, "a.jpg", saved(RGB, "JPEG"))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert '"done"' in enhance("--existing", "update").stdout
    assert Path("out/a.jpg").stat().st_mtime == 1_000_000_000
    assert '"skipped"' in enhance("--existing", "update").stdout
    os.utime(path, (1_000_000_001, 1_000_000_001))
    assert '"done"' in enhance("--existing", "update").stdout
    assert '"skipped"' in enhance("--existing", "update").stdout


def test_a_raw_file_and_its_jpeg_have_results_of_their_own(photos: Path, enhance: Enhance) -> None:
    pytest.importorskip("rawpy")
    from tests.support.crafted import dng

    put(photos, "IMG_1.DNG", dng())
    put(photos, "IMG_1.JPG", saved(RGB, "JPEG"))
    done = enhance()
    assert done.returncode == 0, done.stderr
    assert results() == ["IMG_1.JPG", "IMG_1.tiff"]
    assert read_picture(Path("out/IMG_1.tiff")).sample == "uint16"
    assert enhance("--format", "png").returncode == 2  # both would be IMG_1.png


def test_a_picture_for_stdout_has_the_format_that_was_asked_for(photos: Path, fake_model: Path) -> None:
    put(photos, "a.png", saved(RGB, "PNG"))
    line = [sys.executable, "-m", "lumen", "enhance", "-", "--format", "webp", "--model", str(fake_model)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (photos / "a.png").open("rb") as stdin:
        done = subprocess.run(line, stdin=stdin, capture_output=True, check=True, timeout=120, env=environment)
    with Image.open(BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("WEBP", RGB.size)


def test_tags_that_people_gave_a_file_go_to_its_result(enhance: Enhance, photos: Path) -> None:
    needs_attributes(photos)
    os.setxattr(put(photos, "a.png", saved(RGB, "PNG")), "user.xdg.tags", b"night")
    assert enhance().returncode == 0
    assert os.getxattr("out/a.png", "user.xdg.tags") == b"night"
    assert enhance("--metadata", "strip", "--existing", "overwrite").returncode == 0
    assert os.listxattr("out/a.png") == []
    assert enhance(line=("enhance", "in", "--in-place")).returncode == 0
    assert os.getxattr(photos / "a.png", "user.xdg.tags") == b"night"


def test_sidecars_come_along_unless_they_are_not_wanted(enhance: Enhance, photos: Path) -> None:
    put(photos, "a.png", saved(RGB, "PNG"))
    os.utime(put(photos, "a.png.xmp", XMP), (1_000_000_000, 1_000_000_000))
    done = enhance("--format", "jpg")
    assert (done.returncode, json.loads(done.stdout)["warnings"]) == (0, [])
    assert results() == ["a.jpg", "a.jpg.xmp"]
    assert Path("out/a.jpg.xmp").read_bytes() == XMP
    assert Path("out/a.jpg.xmp").stat().st_mtime == 1_000_000_000
    for number, without in enumerate((("--sidecars", "ignore"), ("--metadata", "strip"))):
        assert enhance(*without, line=("enhance", "in", "-o", f"out{number}")).returncode == 0
        assert [path.name for path in Path(f"out{number}").iterdir() if path.is_file()] == ["a.png"]
    rule = put(photos, "look.toml", b'[[picture]]\nmatch = "a.*"\nmetadata = "strip"\n')
    assert enhance("--settings", str(rule), line=("enhance", "in", "-o", "out4")).returncode == 0
    assert [path.name for path in Path("out4").iterdir() if path.is_file()] == ["a.png"]
    (photos / "a.png.xmp").unlink()
    (photos / "a.png.xmp").symlink_to(Path("out/a.jpg.xmp").resolve())
    assert enhance("--no-follow-links", line=("enhance", "in", "-o", "out2")).returncode == 0
    assert [path.name for path in Path("out2").iterdir() if path.is_file()] == ["a.png"]
    assert enhance(line=("enhance", "in", "-o", "out3")).returncode == 0
    assert Path("out3/a.png.xmp").read_bytes() == XMP
