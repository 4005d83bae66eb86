"""Measures how much memory one inference takes per pixel of a tile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lumen.errors import ModelError

SIDES_PX = (256, 1024)
HEAVY_SIDES_PX = (128, 512)  # for networks that would take minutes on the larger ones
SEEN_PX = 64
MARGIN = 1.1
PROBE = """
import pathlib, sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_mem_pattern = False
options.log_severity_level = 3
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
side = int(sys.argv[2])
shapes = {i.name: i.shape for i in session.get_inputs()}
tiles = numpy.full((1, side, side, 3), 20, "uint8" if "uint8" in session.get_inputs()[0].type else "uint16")
seen = [size if isinstance(size, int) else int(sys.argv[3]) for size in shapes["thumbnails"][1:3]]
thumbnails = numpy.full((1, *seen, 3), 0.1, numpy.float32)
feeds = {"tiles": tiles, "thumbnails": thumbnails, "ev": numpy.zeros(1, numpy.float32)}
if "tones" in shapes:
    feeds["tones"] = numpy.zeros((1, shapes["tones"][1]), numpy.float32)
    feeds["boxes"], feeds["shadows"] = numpy.array([[0, 0, 1, 1]], numpy.float32), numpy.ones(1, numpy.float32)
session.run(None, feeds)
status = pathlib.Path("/proc/self/status")
if status.exists():  # getrusage would count what the parent held when it forked
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kib(path: Path, side: int) -> int:
    """Return the peak resident memory, in KiB, of a fresh process that runs one tile of side x side pixels.

    A thumbnail whose size is free is given small: its memory does not depend on the tile.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(path), str(side), str(SEEN_PX)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ModelError(f"{path} does not run in onnxruntime: {done.stderr.strip().splitlines()[-1]}")
    return int(done.stdout)


def bytes_per_pixel(path: Path, *, heavy: bool = False, align: int = 1) -> int:
    """Return the bytes per tile pixel of one CPU inference: the growth from a small tile to a large one, plus 10 %."""
    sides = [-(-side // align) * align for side in (HEAVY_SIDES_PX if heavy else SIDES_PX)]
    small, large = (peak_kib(path, side) for side in sides)
    return max(1, int(MARGIN * 1024 * (large - small) / (sides[1] ** 2 - sides[0] ** 2)))
