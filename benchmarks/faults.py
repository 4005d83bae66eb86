"""What `lumen enhance` does when things go wrong or take long: run `python -m benchmarks.faults CHECK`.

kill        `kill -9` at random moments of a run, and again: in the end every result is there, whole, and nothing else
            is, and no input has changed. With --in-place the pictures are replaced: each is at any moment what it was
            or what it becomes. With --backup each original is kept too: what is replaced stands there, whole.
disk-full   A file system that is too small for the results, or for the originals of --backup: exit 6, nothing torn, no
            original lost, and a second run with more room does the rest. Needs Linux and the right to mount
            (`unshare`); says so where it is missing.
memory      Many pictures of all sizes and kinds: the resident memory after the last against that after the 50th; the
            last 50 are the first 50 once more. With --late no picture of 16 bits is among them: the second network
            comes when memory has levelled out.
throughput  A folder of large JPEG files: the time of the command against the bare time of `session.run` on the same
            tiles. The CPU times tell the same on a machine that is busy otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.operators import inputs
from lumen.codecs.codec import displayed_8bit, encode_picture, read_picture, write_picture
from lumen.config import EnhanceOptions, RuntimeOptions
from lumen.enhance.tile_size import window_px
from lumen.files.atomic import TEMP_SUFFIX
from lumen.imaging.picture import Picture
from lumen.imaging.thumbnail import area_thumbnail
from lumen.imaging.tiling import cut, plan_tiles
from lumen.runtime.open import open_model

Facts = dict[str, Any]


def night(rng: np.random.Generator, height: int, width: int, sample: str = "uint8") -> Any:
    """Return a dark picture, uint8 or uint16 [H, W, 3]: smooth shapes with noise."""
    coarse = rng.integers(0, 70, (max(2, height // 40), max(2, width // 40), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = np.clip(smooth + rng.integers(-6, 7, (height, width, 1)), 0, 255)
    return noisy.astype(np.uint8) if sample == "uint8" else (noisy * 257).astype(np.uint16)


def make_folder(folder: Path, count: int, side: int, seed: int = 0) -> None:
    """Write PNG and JPEG files of different sizes, up to `side` pixels, into a folder and two below it."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        height, width = rng.integers(side // 2, side, 2)
        place = folder / ("", "one", "one/two")[index % 3] / f"{index:03}{('.png', '.jpg')[index % 2]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(night(rng, int(height), int(width))).save(place)


def lumen(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "lumen", "-q", "enhance", *map(str, arguments)]


def pictures(folder: Path) -> dict[str, Path]:
    """Return all files below a folder that are not hidden, by their place."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): path
        for path in files
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in pictures(folder).items()}


def same_picture(first: Path, second: Path) -> bool:
    """Tell whether two files hold the same, but for what the order of sums changes."""
    if first.read_bytes() == second.read_bytes():
        return True
    a, b = (displayed_8bit(read_picture(path)).astype(np.int16) for path in (first, second))
    return a.shape == b.shape and int(np.abs(a - b).max()) <= 2


def require(condition: object, text: str) -> None:
    if not condition:
        raise SystemExit(f"FAILED: {text}")


def leftovers(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob(f"*{TEMP_SUFFIX}")]


class Killing:
    """One folder that is enhanced again and again while the command is killed."""

    def __init__(self, work: Path, args: argparse.Namespace) -> None:
        self.original, self.expected = work / "original", work / "expected"
        self.place = work / "run"
        self.in_place: bool = args.in_place or args.backup
        self.kept = work / "kept" if args.backup else None
        make_folder(self.original, args.files, args.side)
        self.before = digests(self.original)
        started = time.monotonic()
        subprocess.run(lumen(self.original, "-r", "-o", self.expected, "-m", args.model), check=True)
        self.full_s = time.monotonic() - started
        self.begin()
        goal = ["--in-place"] if self.in_place else ["-o", self.place]
        goal += ["--backup", self.kept] if self.kept else []
        self.line = lumen(self.place if self.in_place else self.original, "-r", *goal, "-m", args.model)

    def begin(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        if self.kept:
            shutil.rmtree(self.kept, ignore_errors=True)
        if self.in_place:
            shutil.copytree(self.original, self.place)

    def done(self) -> int:
        """Check that all that stands under a final name is whole, and return how many results there are."""
        results = 0
        kept = digests(self.kept) if self.kept else {}
        require(kept.items() <= self.before.items(), "what was kept is not what was there")
        for name, path in pictures(self.place).items():
            if self.in_place and hashlib.sha256(path.read_bytes()).hexdigest() == self.before[name]:
                continue
            require(same_picture(path, self.expected / name), f"{name} is not what it should be")
            require(not self.kept or name in kept, f"the original of {name} is lost")
            results += 1
        return results

    def finish(self) -> None:
        """Check that everything is done and nothing else is there."""
        require(self.done() == len(self.before), f"{len(self.before) - self.done()} results are missing")
        left = [*leftovers(self.place), *(leftovers(self.kept) if self.kept else [])]
        require(not left, f"left behind: {left}")
        require(digests(self.original) == self.before, "an input has changed")


def kill(args: argparse.Namespace) -> Facts:
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as work:
        run = Killing(Path(work), args)
        kills = cycles = 0
        while kills < args.kills:
            left = 1 - run.done() / args.files
            with subprocess.Popen(run.line) as process:
                try:
                    process.wait(rng.uniform(0.1, 0.5 + run.full_s * left))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    kills += 1
            if process.returncode == 0:
                run.finish()
                run.begin()
                cycles += 1
            else:
                require(process.returncode == -signal.SIGKILL, f"exit {process.returncode}")
        subprocess.run(run.line, check=True)
        run.finish()
    return {"kills": kills, "files": args.files, "folders completed": cycles + 1, "in place": run.in_place}


def disk_full(args: argparse.Namespace) -> Facts:
    if not args.inside:
        probe = ["unshare", "-rm", sys.executable, "-c", "pass"]
        if shutil.which("unshare") is None or subprocess.run(probe, capture_output=True, check=False).returncode:
            return {"skipped": "no right to mount a file system here"}
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv, "--inside"])
    facts: Facts = {"files": args.files}
    with tempfile.TemporaryDirectory() as work:
        original, expected = Path(work, "original"), Path(work, "expected")
        make_folder(original, args.files, args.side)
        before = digests(original)
        subprocess.run(lumen(original, "-r", "-o", expected, "-m", args.model), check=True)
        size = sum(path.stat().st_size for path in pictures(expected).values())
        facts |= fill_with_originals(args, original, expected, Path(work))
        for in_place in (False, True):
            disk = Path(work, "disk")
            disk.mkdir()
            room = size // 2 if not in_place else sum(path.stat().st_size for path in original.rglob("*.*"))
            mount(disk, f"size={room // 4096 * 4096 + (65536 if in_place else 0)}")
            facts |= fill(args, original, expected, disk, in_place=in_place)
            subprocess.run(["umount", disk], check=True)
            disk.rmdir()
        require(digests(original) == before, "an input has changed")
    return facts


def mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)


def fill(args: argparse.Namespace, original: Path, expected: Path, disk: Path, *, in_place: bool) -> Facts:
    """Run on a disk that is too small, then with more room, and check both."""
    place = disk / "pictures"
    if in_place:
        shutil.copytree(original, place)
        with (disk / "ballast").open("wb", buffering=0) as file:  # as little room as the largest file needs twice
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                file.truncate(max(0, file.tell() - 3 * 4096))
        line = lumen(place, "-r", "--in-place", "-m", args.model)
    else:
        line = lumen(original, "-r", "-o", place, "-m", args.model)
    first = subprocess.run(line, capture_output=True, text=True, check=False)
    require(first.returncode == 6, f"expected exit 6, got {first.returncode}: {first.stderr}")
    require("no space left" in first.stderr.lower(), f"the reason is not told: {first.stderr}")
    require(not leftovers(disk), f"left behind: {leftovers(disk)}")
    done = 0
    for name, path in pictures(place).items():
        if in_place and path.read_bytes() == (original / name).read_bytes():
            continue
        require(same_picture(path, expected / name), f"{name} is torn")
        done += 1
    require(done < args.files, "the disk was large enough")
    subprocess.run(["mount", "-o", "remount,size=1G", disk], check=True)
    subprocess.run(line, check=True)
    for name, path in pictures(expected).items():
        require(same_picture(place / name, path), f"{name} is not what it should be")
    require(not leftovers(disk), f"left behind: {leftovers(disk)}")
    return {f"done before the disk was full{', in place' if in_place else ''}": done}


def fill_with_originals(args: argparse.Namespace, original: Path, expected: Path, work: Path) -> Facts:
    """Enhance in place with a disk for the originals that is too small, then with more room, and check both."""
    place, disk = work / "pictures", work / "kept"
    shutil.copytree(original, place)
    disk.mkdir()
    mount(disk, f"size={sum(path.stat().st_size for path in pictures(original).values()) // 8192 * 4096}")
    line = lumen(place, "-r", "--in-place", "--backup", disk, "-m", args.model)
    before, done = digests(original), 0
    for is_full in (True, False):
        ended = subprocess.run(line, capture_output=True, text=True, check=False)
        require(ended.returncode == (6 if is_full else 0), f"exit {ended.returncode}: {ended.stderr}")
        require(not is_full or "no space left" in ended.stderr.lower(), f"the reason is not told: {ended.stderr}")
        require(not leftovers(disk), f"left behind: {leftovers(disk)}")
        kept, now = digests(disk), digests(place)
        require(kept.items() <= before.items(), "an original is torn")
        changed = [name for name in before if now[name] != before[name]]
        require(all(name in kept for name in changed), "an original is lost")
        require(all(same_picture(place / name, expected / name) for name in changed), "a result is torn")
        if is_full:
            done = len(changed)
            subprocess.run(["mount", "-o", "remount,size=1G", disk], check=True)
    require(len(changed) == len(before), "not all were done")
    subprocess.run(["umount", disk], check=True)
    return {"done before the disk of the originals was full": done}


KINDS: tuple[Callable[[np.random.Generator, int, int], tuple[Picture, str]], ...] = (
    lambda rng, h, w: (Picture(pixels=night(rng, h, w), format="jpeg"), ".jpg"),
    lambda rng, h, w: (Picture(pixels=night(rng, h, w), format="png"), ".png"),
    lambda rng, h, w: (Picture(pixels=night(rng, h, w), format="webp"), ".webp"),
    lambda rng, h, w: (Picture(pixels=night(rng, h, w, "uint16"), format="png"), ".png"),
    lambda rng, h, w: (Picture(pixels=night(rng, h, w, "uint16"), format="tiff"), ".tif"),
    lambda rng, h, w: (Picture(pixels=night(rng, h, w), alpha=night(rng, h, w)[..., 0], format="png"), ".png"),
)
DEEP = KINDS[3:5]
LARGEST_EVERY = 7  # pictures; the others are smaller


def memory(args: argparse.Namespace) -> Facts:
    first_at = min(50, args.files // 2)
    rss: list[int] = []
    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work, "in"), Path(work, "out")
        source.mkdir()
        for index in range(args.files):
            # The last are the first again: what was in work shortly before is the same where the two are compared.
            number = index % (args.files - first_at)
            rng = np.random.default_rng([args.seed, number])
            # From tiny to large: areas are spread evenly on a logarithmic scale, and each kind has its largest early.
            area = args.side**2 * 10 ** rng.uniform(-2, 0) if number % LARGEST_EVERY else args.side**2
            height = int(max(1, area**0.5 * rng.uniform(0.7, 1.4)))
            kinds = [kind for kind in KINDS if kind not in DEEP] if args.late and number < first_at else KINDS
            picture, suffix = kinds[number % len(kinds)](rng, height, max(1, int(area / height)))
            write_picture(picture, source / f"{index:05}{suffix}")
        line = lumen(source, "-o", out, "-m", args.model, "--json")
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for said in process.stdout:
                require(json.loads(said)["status"] == "done", said)
                rss.append(resident_kib(process.pid))
        require(process.returncode == 0, f"exit {process.returncode}")
    # One number is what happens to be in work just then: the median of every kind in every size is what stays.
    span = len(KINDS) * LARGEST_EVERY
    early, late = (statistics.median(rss[max(0, at - span) : at]) for at in (first_at, len(rss)))
    every = max(1, len(rss) // 10)
    return {
        "pictures": len(rss),
        f"MiB after {first_at}": round(early / 1024),
        "MiB after the last": round(late / 1024),
        "ratio": round(late / early, 3),
        "largest MiB until then": round(max(rss[:first_at]) / 1024),
        "largest MiB": round(max(rss) / 1024),
        "MiB on the way": [round(value / 1024) for value in rss[every - 1 :: every]],
    }


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in status if line.startswith("VmRSS")), 0)


def throughput(args: argparse.Namespace) -> Facts:
    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work, "in"), Path(work, "out")
        source.mkdir()
        height = int((args.megapixels * 1e6 / 4 * 3) ** 0.5)
        rng = np.random.default_rng(args.seed)
        for index in range(args.files):
            Image.fromarray(night(rng, height, height * 4 // 3)).save(source / f"{index:03}.jpg", quality=92)
        before = list(bare(source, args.model))
        started = time.monotonic()
        with subprocess.Popen(lumen(source, "-o", out, "-m", args.model, "--device", "cpu")) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds, cpu = time.monotonic() - started, usage.ru_utime + usage.ru_stime
        require(process.returncode == 0, f"exit {process.returncode}")
        after = list(bare(source, args.model))  # before and after: the machine may have become slower
        stages = stage_seconds(source, out)
    wall = [
        statistics.mean(each)
        for each in zip(*(map(sum, zip(*run, strict=True)) for run in (before, after)), strict=True)
    ]
    return {
        "pictures": args.files,
        "megapixels each": args.megapixels,
        "command s": round(seconds, 1),
        "bare session.run s": round(wall[0], 1),
        "ratio": round(seconds / wall[0], 3),
        "command CPU s": round(cpu, 1),
        "bare session.run CPU s": round(wall[1], 1),
        "CPU ratio": round(cpu / wall[1], 3),
        "start CPU s": round(start_seconds(args.model), 2),
        **{f"{name} CPU s each": round(value, 3) for name, value in stages.items()},
        "cores": len(os.sched_getaffinity(0)),
    }


def bare(source: Path, model_name: str) -> Iterator[tuple[float, float]]:
    """Yield wall and CPU seconds of `session.run` on all tiles of each picture, and of nothing else."""
    import onnxruntime

    from lumen.runtime.model_files import find_model

    model = open_model(RuntimeOptions(model=model_name, device="cpu"))
    side, spec = window_px(model, EnhanceOptions()), model.spec
    options = onnxruntime.SessionOptions()  # as lumen sets them
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(find_model(model_name)), options, providers=["CPUExecutionProvider"])
    given = inputs(session, 8 * spec.align)
    for path in sorted(source.iterdir()):
        pixels = read_picture(path).pixels
        if "tones" in given:
            session.run(["tone"], given)
        sizes = {"align": spec.align, "halo_px": spec.halo_px, "edge_px": spec.edge_px}
        plan = plan_tiles(*pixels.shape[:2], **sizes, max_window_px=side)
        wall = cpu = 0.0
        for tile in plan.tiles:
            feed = {**given, "tiles": cut(pixels, plan, tile)[None]}
            started, started_cpu = time.perf_counter(), time.process_time()
            session.run(["enhanced"], feed)
            wall, cpu = wall + time.perf_counter() - started, cpu + time.process_time() - started_cpu
        yield wall, cpu


def start_seconds(model: str) -> float:
    """Return the CPU seconds of a run that does one tiny picture: imports, and the model."""
    with tempfile.TemporaryDirectory() as work:
        Image.new("RGB", (8, 8)).save(Path(work, "a.png"))
        with subprocess.Popen(lumen(Path(work, "a.png"), "-o", Path(work, "out"), "-m", model)) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def stage_seconds(source: Path, out: Path) -> Facts:
    """Return the CPU seconds that the steps around the model take with one picture."""
    path = next(iter(sorted(source.iterdir())))
    spent: Facts = {}

    def measure(name: str, step: Callable[[], Any]) -> Any:
        started = time.thread_time()
        result = step()
        spent[name] = time.thread_time() - started
        return result

    picture = measure("decode", lambda: read_picture(path))
    measure("thumbnail", lambda: area_thumbnail(picture.pixels, 128))
    result = read_picture(out / path.name)
    measure("encode", lambda: encode_picture(result, "jpeg"))
    return spent


def main() -> None:
    """Check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="check", required=True)
    for check, files, side in ((kill, 50, 300), (disk_full, 30, 300), (memory, 1000, 1000), (throughput, 40, 0)):
        command = commands.add_parser(check.__name__.replace("_", "-"))
        command.set_defaults(run=check)
        command.add_argument("--files", type=int, default=files)
        command.add_argument("--side", type=int, default=side, help="largest side of a picture, or root of its area")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--model", default="lumen-s")
        command.add_argument("--json", action="store_true")
        if check is kill:
            command.add_argument("--kills", type=int, default=100)
            command.add_argument("--in-place", action="store_true")
            command.add_argument("--backup", action="store_true", help="in place, with the originals kept elsewhere")
        if check is memory:
            command.add_argument("--late", action="store_true")
        if check is disk_full:
            command.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
        if check is throughput:
            command.add_argument("--megapixels", type=float, default=12.0)
    args = parser.parse_args()
    facts = args.run(args)
    print(json.dumps(facts) if args.json else "\n".join(f"{name:32} {value}" for name, value in facts.items()))


if __name__ == "__main__":
    main()
