"""`lumen enhance` over a real S3 server on this machine: run `python benchmarks/stores.py [COUNT]`.

It needs `[s3]`, and `moto_server` (`moto[server]` in an environment of its own) in LUMEN_MOTO_SERVER or on PATH. It
makes COUNT small pictures under names with spaces, `+`, `%` and Unicode and one of 60 MB, and enhances them with a tiny
model: from a disk to a disk, from bucket to bucket, through a proxy that fails 5 % of the requests, and killed at ten
moments and run again. The results must be the same bytes each time, each there once. It prints seconds and requests.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lumen.codecs.codec import write_picture
from lumen.imaging.picture import Picture

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.support.commands import ENVIRONMENT, command, save, tree
from tests.support.fakes import write_fake_onnx
from tests.support.stores import KEYS, MOTO, Bucket, faulty_proxy, s3_server

KILLS = 10
NAMES = ("{}.png", "with space {}.png", "plus+{}.png", "percent%20{}.png", "ü/ñ {}.png", "x#{}?.png")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", nargs="?", type=int, default=2000)
    count = parser.parse_args().count
    if MOTO is None:
        print("expected moto_server in LUMEN_MOTO_SERVER or on PATH", file=sys.stderr)
        return 5
    with tempfile.TemporaryDirectory(prefix="lumen-") as name, s3_server(Path(name)) as server:
        work = Path(name)
        write_fake_onnx(work / "fast.u16.onnx", "uint16", radius=0)
        model = write_fake_onnx(work / "fast.onnx", radius=0)
        for number in range(count):
            size = (8 + number % 50, 8 + number // 50 % 50)
            save(work / "in" / f"{number % 20:02}" / NAMES[number % len(NAMES)].format(number), size=size)
        noise = np.random.default_rng(0).integers(0, 60, (4500, 4500, 3), np.uint8)
        write_picture(Picture(pixels=noise, format="bmp"), work / "in" / "large.bmp")
        bucket = Bucket(server, "pictures")
        bucket.upload(work / "in", "in")

        def line(source: object, out: object) -> list[str]:
            return command("enhance", source, "-r", "-o", out, "--device", "cpu", "-q", model=model)

        seconds, _ = timed(line(work / "in", work / "out"), server)
        expected = {each: (work / "out" / each).read_bytes() for each in tree(work / "out") if ".lumen" not in each}
        print(f"{len(expected)} results, {seconds:.1f} s from disk to disk")

        def check(what: str, out: str) -> None:
            found = bucket.objects(out)
            same = sum(found.get(each) == data for each, data in expected.items())
            print(f"{what}: {same} of {len(expected)} are the same bytes, {len(found) - same} others")
            if same != len(expected) or len(found) != same:
                raise SystemExit(3)

        with faulty_proxy(server, 1 << 60) as (url, done):
            seconds, _ = timed(line(f"{bucket.url}/in", f"{bucket.url}/plain"), url)
        check(f"{seconds:.1f} s from bucket to bucket, {done['requests']} requests", "plain")
        with faulty_proxy(server) as (url, done):
            seconds, _ = timed(line(f"{bucket.url}/in", f"{bucket.url}/faulty"), url)
        faults = done["unavailable"] + done["reset"] + done["cut"]
        check(f"{seconds:.1f} s with {faults} of {done['requests']} requests failed", "faulty")
        kills = killed(line(f"{bucket.url}/in", f"{bucket.url}/killed"), server, seconds)
        check(f"killed {kills} times", "killed")
    return 0


def environment(url: str) -> dict[str, str]:
    return {**ENVIRONMENT, **KEYS, "AWS_ENDPOINT_URL": url}


def timed(line: list[str], url: str) -> tuple[float, int]:
    """Run a command that must succeed; return its seconds and exit code."""
    started = time.monotonic()
    code = subprocess.run(line, env=environment(url), check=True).returncode
    return time.monotonic() - started, code


def killed(line: list[str], url: str, seconds: float) -> int:
    """Kill a run at random moments, and let the last one end; return how often it was killed."""
    kills, chance = 0, random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen(line, env=environment(url))
        try:
            process.wait(timeout=1 + chance.random() * seconds / KILLS)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    timed(line, url)
    return kills


if __name__ == "__main__":
    sys.exit(main())
