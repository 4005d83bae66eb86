"""What encoding HEIC and AVIF costs: run `python benchmarks/encoders.py PHOTOS`.

Photographs are put side by side until they fill the megapixels asked for, and stored at one quality with each setting
of the encoders, each in a fresh process: CPU time, peak memory, size, and SSIM against the pixels that went in. A row
is as good as the first one of its format, the slowest, if its SSIM is at most .001 lower and its file at most 5 %
larger. `*` marks the row that lumen uses.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from lumen.codecs import avif, heif
from lumen.config import DEFAULT_QUALITY
from lumen.metrics.fidelity import ssim

ENCODE = """
import json, resource, sys
import numpy as np
from PIL import Image
kind, source, target, settings = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
pixels = np.load(source)
before = resource.getrusage(resource.RUSAGE_SELF)
if kind == "heic":
    import pillow_heif
    size = pixels.shape[1::-1]
    with open(target, "wb") as file:
        pillow_heif.encode("RGB", size, pixels.tobytes(), file, **settings)
elif settings.pop("as_lumen", False):
    from lumen.codecs.codec import write_picture
    from lumen.imaging.picture import Picture
    write_picture(Picture(pixels=pixels, format="avif"), target, quality=settings["quality"])
else:
    Image.fromarray(pixels).save(target, "AVIF", **settings)
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
with open("/proc/self/status") as status:  # getrusage counts the memory of the process that started this one, too
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(json.dumps({"cpu": cpu, "peak_mib": peak / 1024}))
"""
PRESETS = ("slow", "medium", "fast", "faster", "veryfast", "superfast", "ultrafast")
SPEEDS = (6, 7, 8, 9, 10)
LARGE_MP = 50
ROWS = 1024  # of a large picture, whose SSIM is measured


def filled(photos: list[Path], megapixels: float) -> NDArray[np.uint8]:
    """Return photographs in rows and columns, `[H, W, 3]`, as many as are needed, cut to 4:3."""
    width = round((megapixels * 1e6 * 4 / 3) ** 0.5) // 2 * 2
    height = width * 3 // 8 * 2
    canvas = Image.new("RGB", (width, height))
    y = number = 0
    while y < height:
        x = tallest = 0
        row: list[Image.Image] = []
        while x < width:
            with Image.open(photos[number % len(photos)]) as opened:
                row.append(opened.convert("RGB"))
            x += row[-1].width
            number += 1
        tallest, x = min(image.height for image in row), 0
        for image in row:
            canvas.paste(image.crop((0, 0, image.width, tallest)), (x, y))
            x += image.width
        y += tallest
    return np.asarray(canvas)


def encoded(kind: str, source: Path, settings: dict[str, Any]) -> tuple[dict[str, float], bytes]:
    """Encode in a fresh process; return its cost and the file."""
    target = source.with_suffix(f".{kind}")
    command = [sys.executable, "-c", ENCODE, kind, str(source), str(target), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), target.read_bytes()


def decoded(data: bytes) -> NDArray[np.uint8]:
    pillow_heif.register_heif_opener()
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def settings_of(kind: str, quality: int) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each setting with its name and whether lumen uses it."""
    if kind == "heic":
        for preset in PRESETS:
            settings = {"quality": quality, "chroma": 420, "enc_params": {"preset": preset}, "tile_size": 0}
            yield f"preset {preset}", settings, preset == heif.PRESET
    else:
        for speed in SPEEDS:
            settings = {"quality": quality, "speed": speed, "subsampling": "4:4:4"}
            yield f"speed {speed}", settings, speed == avif.SPEED


def large_settings(kind: str, quality: int, shape: tuple[int, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the setting that lumen uses, with its name: for one picture, and in tiles."""
    name, settings, _ = next(each for each in settings_of(kind, quality) if each[2])
    yield f"{name}, one picture", settings
    if kind == "heic":
        yield f"{name}, tiles *", settings | {"tile_size": heif.tile_px(shape[1], shape[0])}
    else:
        yield f"{name}, tiles *", {"quality": quality, "as_lumen": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTOS", help="files or folders")
    parser.add_argument("--megapixels", type=float, default=3.0)
    parser.add_argument("--quality", type=int, default=DEFAULT_QUALITY)
    parser.add_argument("--format", choices=("heic", "avif"), action="append", help="by default both")
    parser.add_argument("--large", action="store_true", help=f"also {LARGE_MP} megapixels as lumen stores them")
    options = parser.parse_args()
    found = [each for given in options.photos for each in (sorted(given.iterdir()) if given.is_dir() else [given])]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "pixels.npy")
        pixels = filled(found, options.megapixels)
        np.save(source, pixels)
        print(f"{pixels.shape[1]}x{pixels.shape[0]}, quality {options.quality}")
        print(
            "| format | setting | CPU s/MP | peak MiB | bytes/pixel | SSIM | as good |\n|---|---|---|---|---|---|---|"
        )
        for kind in options.format or ("heic", "avif"):
            first: tuple[float, int] | None = None
            for name, settings, is_used in settings_of(kind, options.quality):
                cost, data = encoded(kind, source, settings)
                score = float(ssim(pixels, decoded(data), data_range=255))
                first = first or (score, len(data))
                good = score >= first[0] - 0.001 and len(data) <= 1.05 * first[1]
                area = pixels.shape[0] * pixels.shape[1]
                print(
                    f"| {kind} | {name}{' *' if is_used else ''} | {cost['cpu'] / area * 1e6:.2f} | "
                    f"{cost['peak_mib']:.0f} | {len(data) / area:.3f} | {score:.4f} | {'yes' if good else 'no'} |",
                    flush=True,
                )
        if options.large:
            pixels = filled(found, LARGE_MP)
            np.save(source, pixels)
            for kind in options.format or ("heic", "avif"):
                for name, settings in large_settings(kind, options.quality, pixels.shape):
                    cost, data = encoded(kind, source, settings)
                    score = float(ssim(pixels[:ROWS], decoded(data)[:ROWS], data_range=255))
                    print(
                        f"{kind}, {LARGE_MP} MP, {name}: {cost['cpu']:.1f} s CPU, {cost['peak_mib']:.0f} MiB, "
                        f"{len(data) / 1e6:.2f} MB, SSIM {score:.4f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
