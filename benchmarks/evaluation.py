"""Speed, memory and page of `lumen eval` on 500 pairs of 600x400, compared with a loop over scikit-image on one core.

    python benchmarks/evaluation.py                 500 pairs of noise over gradients
    python benchmarks/evaluation.py --pairs 20      a short run

Both score the same PNG files (PSNR, SSIM, MAE, MSE; lumen adds its statistics) and must agree to 1e-6. lumen runs in a
process of its own on all cores; CPU time depends less on other load than elapsed time. The page is then opened in
Chromium, if it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parent.parent
SIZE = (400, 600)
DIFFERENT = 25  # distinct pictures; further names are links to them


def make_pairs(folder: Path, count: int) -> None:
    """Write `low/` and `high/`: smooth pictures with noise, which compress about as well as photographs, and links."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    for name in ("low", "high"):
        (folder / name).mkdir()
    for number in range(DIFFERENT, count):
        for name in ("low", "high"):
            (folder / name / f"{number:04}.png").symlink_to(f"{number % DIFFERENT:04}.png")
    for number in range(min(count, DIFFERENT)):
        rng = np.random.default_rng(number)
        waves = [
            np.sin(x / rng.uniform(20, 80) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(20, 80)) for _ in range(3)
        ]
        clean = 128 + 80 * np.stack(waves, axis=2)
        for name, gain, spread in (("low", 0.3, 4.0), ("high", 1.0, 3.0)):
            noisy = clean * gain + rng.normal(0, spread, clean.shape)
            pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:04}.png", compress_level=1)


def plain_loop(folder: Path) -> list[dict[str, float]]:
    """Score pair after pair with scikit-image."""
    import skimage.metrics

    measures: Any = skimage.metrics
    found = []
    for path in sorted((folder / "low").iterdir()):
        low, high = (np.asarray(Image.open(each)) for each in (path, folder / "high" / path.name))
        found.append(
            {
                "psnr": float(measures.peak_signal_noise_ratio(high, low, data_range=255)),
                "ssim": float(
                    measures.structural_similarity(
                        high,
                        low,
                        data_range=255,
                        channel_axis=2,
                        gaussian_weights=True,
                        sigma=1.5,
                        use_sample_covariance=False,
                    )
                ),
                "mae": float(np.abs(high.astype(np.float64) - low).mean()),
                "mse": float(measures.mean_squared_error(high, low)),
            }
        )
    return found


def timed(command: list[str], folder: Path, **environment: str) -> tuple[str, dict[str, float]]:
    """Run a command in `folder`; return its output, seconds, CPU seconds and peak memory in MiB."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "export")])
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{command} ended with {process.returncode}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return text, {"s": time.monotonic() - started, "CPU s": cpu, "MiB": usage.ru_maxrss / 1024}


def eval_command(*more: str) -> list[str]:
    return [sys.executable, "-m", "lumen", "eval", "--gt", "high", "low", "--as-is", *more]


def compare(folder: Path) -> dict[str, dict[str, float]]:
    """Score the pairs of a folder both ways.

    Returns:
        Time and memory of each, and under `difference` the largest difference of each measure.
    """
    theirs, plain = timed(
        [sys.executable, __file__, "--loop", str(folder)], folder, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"
    )
    ours, lumen = timed(eval_command("--json"), folder)
    pictures = [json.loads(line)["output"] for line in ours.splitlines()[:-1]]
    pairs = list(zip(pictures, json.loads(theirs), strict=True))
    apart = {key: max(abs(mine[key] - other[key]) for mine, other in pairs) for key in pairs[0][1]}
    return {"scikit-image, one core": plain, "lumen eval": lumen, "difference": apart}


def page(folder: Path) -> dict[str, float]:
    """Write the page of a folder and open it; return its size in MB and the seconds until it is painted."""
    _, used = timed(eval_command("--baseline", "gamma", "--report", "page.html"), folder)
    found = {"s": used["s"], "MiB": used["MiB"], "page MB": (folder / "page.html").stat().st_size / 1e6}
    sys.path.insert(0, str(ROOT))
    from tests.support.browser import Browser, find_chromium

    if find_chromium():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, Browser(Path(profile)) as browser:
            browser.open(folder / "page.html", width=800)  # once before timing, so that Chromium has started
            found["page opens in s"] = min(browser.open(folder / "page.html") for _ in range(3))
            assert browser.complaints == []
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--loop", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.loop:
        print(json.dumps(plain_loop(args.loop)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pairs(folder, args.pairs)
        found = compare(folder)
        found["with a page"] = page(folder)
    plain, lumen = found["scikit-image, one core"], found["lumen eval"]
    found["times faster"] = {key: plain[key] / lumen[key] for key in ("s", "CPU s")}
    if args.json:
        print(json.dumps(found))
        return
    for what, values in found.items():
        print(f"| {what} | {', '.join(f'{key} {value:.3g}' for key, value in values.items())} |")


if __name__ == "__main__":
    main()
