"""Damaged files against the decoders: run `python benchmarks/fuzz_decode.py`.

Makes mutants of sound files of every format (bytes changed, cut out, put in, doubled, numbers made extreme, checksums
made right again), decodes each, and encodes again what could be decoded. All that happens in a process of its own with
a limit on its memory; one that takes too long or dies is named and the rest goes on. A mutant may decode or be refused
with a reason; anything else is a finding, and makes the exit code 3. Numbers make mutants: `--first N --mutants 1`
repeats one, `--keep FOLDER` writes the findings.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lumen.config import EnhanceOptions  # noqa: E402

SEEDS = (
    "jpeg-everything.jpg",
    "jpeg-progressive.jpg",
    "jpeg-cmyk-icc.jpg",
    "jpeg-several.jpg",
    "png-RGB-8.png",
    "png-LA-16.png",
    "png-interlaced-16.png",
    "png-palette-soft.png",
    "png-icc-adobe.png",
    "png-xmp.png",
    "tiff-RGBA-16-lzw.tif",
    "tiff-RGB-8-zlib.tif",
    "tiff-metadata.tif",
    "tiff-bigtiff.tif",
    "tiff-tiled.tif",
    "tiff-planar.tif",
    "tiff-packbits.tif",
    "tiff-jpeg.tif",
    "tiff-fax.tif",
    "tiff-cmyk-icc-8.tif",
    "tiff-12.tif",
    "tiff-selection.tif",
    "tiff-old-jpeg.tif",
    "webp-rgb.webp",
    "webp-rgba-lossless.webp",
    "webp-exif.webp",
    "bmp-alpha.bmp",
    "bmp-4444.bmp",
    "bmp-array.bmp",
    "bmp-palette.bmp",
    "gif-comment.gif",
    "gif-anamorphic.gif",
    "avif-rgba.avif",
    "avif-exif.avif",
    "avif-deep.avif",
    "avif-motion.avif",
    "three-frames-deep.avif",
    "three-frames-gif.gif",
    "three-frames-webp.webp",
    "three-pages.tif",
    "heif-exif.heic",
    "heif-deep.hif",
    "jxl-exif.jxl",
    "jxl-icc.jxl",
    "jxl-deep.jxl",
    "bayer.dng",
)
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ENCODED_PIXELS = 1_000_000
PNG_START = 8


@dataclass(frozen=True)
class Finding:
    """A mutant that neither decoded nor was refused as it should."""

    number: int
    name: str
    what: str


def seeds() -> dict[str, bytes]:
    """Return the sound files that mutants are made of; those of packages that are not installed are left out."""
    from tests.support.corpus import broken_files, sound_files

    files = [*sound_files(), *broken_files()]  # the latter only for having several pictures
    return {file.name: file.data for file in files if file.name in SEEDS}


def mutant(sound: dict[str, bytes], seed: int, number: int) -> tuple[str, bytes]:
    """Return the name and the content of one mutant, the same every time."""
    name = sorted(sound)[number % len(sound)]
    rng = random.Random(f"{seed}/{number}")
    data = bytearray(sound[name])
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        _change(data, rng, sound)
    if data.startswith(b"\x89PNG") and rng.random() < 0.7:
        data = _with_checksums(data)
    return name, bytes(data)


def _change(data: bytearray, rng: random.Random, sound: dict[str, bytes]) -> None:
    # Headers are short and matter most.
    near = max(1, min(len(data), rng.choice((32, 128, 512, len(data)))))
    at, size = rng.randrange(near), rng.choice((1, 2, 4, 8, 64, 500))
    kind = rng.randrange(7)
    if kind == 0:
        data[at : at + 1] = bytes([rng.randrange(256)])
    elif kind == 1 and data:
        at = min(at, len(data) - 1)
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 2:
        width = rng.choice((1, 2, 4))
        number = rng.choice(EXTREMES) & (256**width - 1)
        data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
    elif kind == 3:
        del data[at : at + size]
    elif kind == 4:
        data[at:at] = rng.randbytes(size)
    elif kind == 5:
        data[at:at] = data[at : at + size]
    else:
        other = sound[rng.choice(sorted(sound))]
        start = rng.randrange(len(other))
        data[at : at + size] = other[start : start + size]


def _with_checksums(data: bytearray) -> bytearray:
    """Make the checksums of a PNG right, as far as its chunks can be told apart."""
    at = PNG_START
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        end = at + 8 + size
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return data


def work(seed: int, first: int, last: int, memory: int, max_pixels: int) -> None:
    """Decode mutants one after the other; two lines on stdout for each, before and after."""
    from lumen.codecs.codec import decode_picture  # loads all decoders before the limit counts

    sound = seeds()
    decode_picture(BytesIO(next(iter(sound.values()))))
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + memory, resource.RLIM_INFINITY))
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries say of damaged files
    for number in range(first, last):
        print(number, file=report)
        name, data = mutant(sound, seed, number)
        _reset_peak()
        before, started = _peak(), time.monotonic()
        outcome = _outcome(name, data, max_pixels)
        row = {"number": number, "name": name, "outcome": outcome, "seconds": time.monotonic() - started}
        print(json.dumps({**row, "mib": (_peak() - before) / 1024}), file=report)


def _outcome(name: str, data: bytes, max_pixels: int) -> str:
    """Return `picture`, `refused`, `memory`, or what went wrong."""
    from lumen.codecs.codec import decode_picture, encode_picture
    from lumen.errors import EncodeError, PictureError
    from lumen.imaging.formats import format_of, stored_as

    try:
        picture = decode_picture(BytesIO(data), max_pixels=max_pixels, first_frame=True, named=format_of(name))
    except PictureError as error:
        reason = str(error)
        return "refused" if reason and "\n" not in reason else f"a bad reason: {reason!r}"
    except MemoryError:
        return "memory"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__} in decode: {error}"
    if picture.pixels.shape[0] * picture.pixels.shape[1] > ENCODED_PIXELS:
        return "picture"
    try:
        encode_picture(picture, stored_as(picture.format), allow_8bit=True)
    except (EncodeError, MemoryError):
        return "picture"
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__} in encode: {error}"
    return "picture"


def _mapped() -> int:
    """Return the bytes of address space in use."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _peak() -> int:
    """Return the most KiB of memory in use since the last reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def _reset_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run workers until all mutants are through; yield a row for each."""
    number, last = args.first, args.first + args.mutants
    while number < last:
        command = [sys.executable, __file__, "--worker", "--seed", str(args.seed), "--first", str(number)]
        command += ["--mutants", str(last - number), "--memory", str(args.memory), "--max-pixels", str(args.max_pixels)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as worker:
            assert worker.stdout is not None
            buffer, current, deadline = b"", None, time.monotonic() + args.start_limit
            while True:
                ready, _, _ = select.select([worker.stdout], [], [], max(0.0, deadline - time.monotonic()))
                chunk = os.read(worker.stdout.fileno(), 65536) if ready else b""
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"{"):
                        row = json.loads(line)
                        number, current = row["number"] + 1, None
                        yield row
                    else:
                        current = int(line)
                    deadline = time.monotonic() + args.limit
                if not chunk:
                    break
            worker.kill()
        if number < last:
            if current is None and number == args.first:
                raise SystemExit("the worker could not start")
            what = "hang" if not ready else f"crash ({worker.wait()})"
            yield {"number": number, "name": "?", "outcome": what, "seconds": args.limit, "mib": 0.0}
            number += 1


def main() -> int:
    """Fuzz, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--memory", type=int, default=2 << 30, help="bytes a worker may take for its mutants")
    parser.add_argument("--max-pixels", type=int, default=EnhanceOptions.max_pixels)
    parser.add_argument("--limit", type=float, default=5.0, help="seconds for one mutant")
    parser.add_argument("--start-limit", type=float, default=120.0, help="seconds for a worker to start")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that are findings")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.seed, args.first, args.first + args.mutants, args.memory, args.max_pixels)
        return 0
    counts: Counter[str] = Counter()
    findings: list[Finding] = []
    slowest, largest = (0.0, 0), (0.0, 0)
    for row in rows(args):
        known = row["outcome"] in ("picture", "refused", "memory")
        counts[row["outcome"] if known else "finding"] += 1
        slowest, largest = max(slowest, (row["seconds"], row["number"])), max(largest, (row["mib"], row["number"]))
        if not known:
            findings.append(Finding(row["number"], row["name"], row["outcome"]))
    sound = seeds()
    for finding in findings if args.keep else ():
        args.keep.mkdir(parents=True, exist_ok=True)
        name, data = mutant(sound, args.seed, finding.number)
        (args.keep / f"{finding.number}-{name}").write_bytes(data)
    summary = {
        "seeds": len(sound),
        "mutants": sum(counts.values()),
        **counts,
        "slowest_s": slowest,
        "largest_mib": largest,
        "findings": [vars(finding) for finding in findings],
    }
    if args.json:
        print(json.dumps(summary))
    else:
        for key, value in summary.items():
            print(f"{key}: {value}")
    return 3 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
