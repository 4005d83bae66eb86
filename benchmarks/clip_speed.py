"""What a clip costs beside its parts: `lumen enhance`, bare runs of the model, and FFmpeg's own decoding and encoding.

    python -m benchmarks.clip_speed [CLIP ...] [--frames 150 24] [--rounds 3]

The parts take turns with the whole. Without clips, dark ones of 640x480 and 1920x1080 are made. CPU seconds hold on a
busy machine too; frames per second need a quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.cores import timed
from benchmarks.machine import processor
from benchmarks.operators import inputs
from lumen.imaging.tiling import cut, plan_tiles
from lumen.runtime.cores import usable_cores
from lumen.runtime.model_files import find_model
from lumen.runtime.open import ModelSet

SIZES = ((640, 480), (1920, 1080))
FRAMES = (150, 24)
PARTS = ("decode", "model", "encode")
Frames = list[NDArray[np.uint8]]


def make(path: Path, size: tuple[int, int], count: int) -> Path:
    """Write a dark clip: smooth shapes that move, with noise of its own in every frame."""
    import av

    (width, height), rng = size, np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 60, (height // 40, width // 40, 3), dtype=np.uint8))
    scene = np.asarray(coarse.resize((width + 2 * count, height), Image.Resampling.BICUBIC)).astype(np.int16)
    with av.open(str(path), "w") as clip:
        video = clip.add_stream("libx264", rate=25, options={"crf": "18"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        for number in range(count):
            noise = rng.integers(-5, 6, (height, width, 1), dtype=np.int16)
            pixels = np.clip(scene[:, 2 * number : 2 * number + width] + noise, 0, 255).astype(np.uint8)
            clip.mux(video.encode(av.VideoFrame.from_ndarray(pixels)))
        clip.mux(video.encode(None))
    return path


def decode(clip: Path) -> Frames:
    """Return the frames of a clip, uint8 [H, W, 3]."""
    import av

    with av.open(str(clip)) as opened:
        video = opened.streams.video[0]
        video.thread_type = "AUTO"
        video.codec_context.thread_count = usable_cores()
        return [frame.to_ndarray(format="rgb24") for frame in opened.decode(video)]


def encode(frames: Frames, target: Path) -> None:
    """Store frames as `lumen enhance` does by default."""
    import av

    with av.open(str(target), "w") as opened:
        video = opened.add_stream("libx264", rate=Fraction(25), options={"crf": "18"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = usable_cores()
        for frame in frames:
            opened.mux(video.encode(av.VideoFrame.from_ndarray(frame)))
        opened.mux(video.encode(None))


def runs(frames: Frames) -> Callable[[], None]:
    """Return what runs the bundled model on each frame, with the edge that its contract asks for, one on each core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_mem_pattern, options.log_severity_level = 1, False, 3
    session = onnxruntime.InferenceSession(str(find_model("lumen-s")), options, providers=["CPUExecutionProvider"])
    feeds = inputs(session, 64)
    sides = frames[0].shape[:2]
    spec = ModelSet().for_sample("uint8").spec
    plan = plan_tiles(*sides, align=spec.align, halo_px=0, edge_px=spec.edge_px, max_window_px=2 * max(sides))
    tiles = [cut(frame, plan, plan.tiles[0])[None] for frame in frames]

    def run(tile: NDArray[np.uint8]) -> None:
        session.run(["tone"], feeds)
        session.run(["enhanced", "finite"], {**feeds, "tiles": tile})

    def run_all() -> None:
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(run, tiles))

    return run_all


def part(name: str, clip: Path, result: Path) -> None:
    """Print wall and CPU seconds of one part, without what it needs from the others."""
    if name == "decode":
        work: Callable[[], object] = partial(decode, clip)
    elif name == "model":
        work = runs(decode(clip))
    else:
        work = partial(encode, decode(result), result.with_name("again.mp4"))
    started, before = time.perf_counter(), time.process_time()
    work()
    print(json.dumps([time.perf_counter() - started, time.process_time() - before]))


def compare(clip: Path, rounds: int, folder: Path) -> str:
    """Return the row of one clip."""
    result = folder / "out" / f"{clip.stem}.mp4"
    whole: list[tuple[float, float]] = []
    alone: dict[str, list[tuple[float, float]]] = {name: [] for name in PARTS}
    line = [sys.executable, "-m", "lumen", "-q", "enhance", str(clip), "-o", str(result), "--unchanged", "encode"]
    for _ in range(rounds):
        whole.append(timed([[*line, "--existing", "overwrite", "--device", "cpu"]]))
        for name in PARTS:
            one = [sys.executable, "-m", "benchmarks.clip_speed", "--part", name, str(clip), str(result)]
            alone[name].append(json.loads(subprocess.run(one, check=True, capture_output=True).stdout))
    together = np.array(whole)  # rounds x (wall, CPU)
    apart = np.array([alone[name] for name in PARTS])  # parts x rounds x (wall, CPU)
    shares = np.median(together / apart.sum(axis=0), axis=0)
    wall, cpu = np.median(together, axis=0)
    frames = decode(clip)
    height, width = frames[0].shape[:2]
    cells = [f"{width}x{height}", f"{len(frames)}", f"{len(frames) / wall:.2f}"]
    cells += [f"{seconds / len(frames):.3f}" for seconds in (cpu, *np.median(apart[:, :, 1], axis=1))]
    return f"| {' | '.join(cells)} | {shares[1]:.2f} | {shares[0]:.2f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--frames", type=int, nargs=len(SIZES), default=FRAMES, help="of the clips that are made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(options.part, *options.clips)
        return
    print(f"{processor()}; {usable_cores()} cores")
    print(
        "| size | frames | frames/s | CPU s a frame | decoding | model | encoding | CPU, of the parts "
        "| wall, of the parts in turn |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = (make(folder / f"{size[0]}.mp4", size, count) for size, count in zip(SIZES, options.frames, strict=True))
        for clip in options.clips or made:
            print(compare(clip, options.rounds, folder), flush=True)
    print(f"load {os.getloadavg()[0]:.1f} when done")


if __name__ == "__main__":
    main()
