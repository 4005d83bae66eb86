"""Runs a network in ONNX Runtime and measures what its file does not tell: layout, batches, align and halo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from lumen.errors import ModelError
from lumen.runtime.devices import CPU
from lumen.runtime.engine import EngineError
from lumen.runtime.onnxruntime_engine import open_session
from lumen_export.foreign.reading import ForeignNetwork
from lumen_export.foreign.wrapping import plain
from lumen_export.halo_search import (
    CORE_PX,
    LEAST_PX,
    MOST_PX,
    REACHES_PX,
    STEP_PX,
    TOLERANCE,
    hard_pictures,
    search_halo,
)

ALIGNS = (1, 2, 4, 8, 16, 32, 64, 128)
LIMIT_S = 600.0  # of one run
HALF_TOLERANCE = 0.5 / 255  # half precision has steps of an eighth of a level, and sums differ by a few of them
LEVEL = 1.0 / 255
LOWEST, HIGHEST = (
    -0.5,
    10.0,
)  # most of a result is between them if it is meant to be in [0, 1]: strong gains are clipped

Pictures = NDArray[np.float32]
Run = Callable[[Pictures], Pictures]


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How pictures are cut for a network.

    Attributes:
        align: Origins and sides of tiles are multiples of this.
        halo_px: What a tile sees around what is kept of it; 0 for whole pictures.
        worst_levels: Largest difference from the whole picture, in 8-bit levels.
    """

    align: int
    halo_px: int
    worst_levels: float


def runner(model: onnx.ModelProto, folder: Path) -> Run:
    """Return a function that runs a model from `wrapping.plain` over float32 [N, H, W, 3] pictures.

    Args:
        model: The model.
        folder: Where it is stored for ONNX Runtime.

    Raises:
        ModelError: ONNX Runtime does not load it, or later, does not run it.
    """
    path = folder / "network.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        session = open_session(path, CPU, "fp32", 0)
    except ModelError as error:
        reason = str(error.__cause__ or error).partition("\n")[0].replace(str(path), "it")
        raise ModelError(f"ONNX Runtime cannot load the network: {reason}") from error

    def run(pictures: Pictures) -> Pictures:
        try:
            (result,) = session.run(["results"], {"pictures": pictures}, limit_s=LIMIT_S)
        except TimeoutError as error:
            raise ModelError(f"the network takes more than {LIMIT_S:g} s for {_size(pictures.shape)} pixels") from error
        except EngineError as error:
            raise ModelError(
                f"the network fails for {_size(pictures.shape)} pixels (--align N if it needs multiples of N): {error}"
            ) from error
        return np.asarray(result)

    return run


def measure_layout(network: ForeignNetwork, folder: Path, align: int = 1) -> tuple[ForeignNetwork, Run]:
    """Return a network of which layout and batches are known, and a function that runs it.

    It is only run with sides that are multiples of `align`.

    Raises:
        ModelError: It runs in neither layout.
    """
    side = -(-ALIGNS[-1] // align) * align
    layouts = (False, True) if network.channels_last is None else (network.channels_last,)
    problem: ModelError | None = None
    for last in layouts:
        try:
            known = replace(network, channels_last=last)
            run = runner(plain(known), folder)
            run(_noise(1, side, 2 * side))
            break
        except ModelError as error:
            problem = problem or error
    else:
        raise problem or ModelError("the network does not run")
    if known.one_by_one is None:
        known = replace(known, one_by_one=not _takes_batches(run, side))
        run = runner(plain(known), folder)
    return known, run


def _takes_batches(run: Run, side: int) -> bool:
    """Return whether two pictures in one run give what each gives alone."""
    two = _noise(2, side, side)
    alone = np.concatenate([run(two[:1]), run(two[1:])])
    try:
        together = run(two)
    except ModelError:
        return False
    return together.shape == alone.shape and bool(np.abs(together - alone).max() <= TOLERANCE)


def measure_tiles(
    run: Run, *, align: int | None = None, halo_px: int | None = None, whole: bool = False, half: bool = False
) -> Tiling:
    """Return how pictures are cut, so that tiles give the result of the whole picture.

    Args:
        run: Runs the network.
        align: The multiple of sizes that it needs; None measures it.
        halo_px: The halo; None measures it. It is rounded up to a multiple of `align`.
        whole: It is given whole pictures only, so that there is no halo.
        half: It computes in half precision.

    Raises:
        ModelError: Sizes change, results are not in [0, 1], or tiles differ from the whole picture.
    """
    fitting, problem = [], ""
    for each in ALIGNS if align is None else (align,):
        problem = _size_problem(run, each)
        if not problem:
            fitting.append(each)
    if not fitting:
        raise ModelError(problem)
    _check_range(run, fitting[0])
    if whole:
        return Tiling(align=fitting[0], halo_px=0, worst_levels=0.0)
    if halo_px is not None:
        return _given(run, fitting, halo_px)
    return _searched(run, fitting, HALF_TOLERANCE if half else TOLERANCE)


def _given(run: Run, aligns: Sequence[int], halo_px: int) -> Tiling:
    """Return the first align that is right with a given halo."""
    best = Tiling(align=1, halo_px=halo_px, worst_levels=np.inf)
    for align in aligns:
        halo = -(-halo_px // align) * align
        windows = _Windows(run, align, max(halo, REACHES_PX[0]))
        worst = windows.worst(halo) / LEVEL
        if worst <= 1:
            return Tiling(align=align, halo_px=halo, worst_levels=worst)
        best = min(best, Tiling(align=align, halo_px=halo, worst_levels=worst), key=lambda each: each.worst_levels)
    raise ModelError(
        f"with a halo of {best.halo_px} px tiles would differ from the whole picture by {best.worst_levels:.0f} "
        "levels of 255; leave --halo out to have it measured"
    )


def _searched(run: Run, aligns: Sequence[int], tolerance: float) -> Tiling:
    """Return the first align with a halo; a difference of up to a level is accepted if no halo gives less."""
    differences: dict[int, float] = {}
    for reach_px in REACHES_PX:
        for align in aligns:
            windows = _Windows(run, align, reach_px)
            differences[align] = windows.first_above(tolerance)
            if differences[align] > tolerance:
                continue
            found = search_halo(windows.difference, len(windows.pictures), windows.step, windows.most, tolerance)
            halo = max(-(-LEAST_PX // align) * align, (found or windows.most) + windows.step)
            return Tiling(align=align, halo_px=halo, worst_levels=differences[align] / LEVEL)
    align = min(differences, key=lambda each: differences[each])
    windows = _Windows(run, align, MOST_PX)
    worst = windows.worst(windows.most) / LEVEL
    if worst <= 1:
        return Tiling(align=align, halo_px=windows.most, worst_levels=worst)
    raise ModelError(
        f"this network looks at the whole picture: tiles would differ from it by {worst:.0f} levels of 255; "
        "--whole writes a model that is only given whole pictures, as far as memory allows"
    )


class _Windows:
    """Compares windows of hard pictures with the whole, at origins that are odd multiples of `align`.

    A network that needs a larger align gives something else there.
    """

    def __init__(self, run: Run, align: int, reach_px: int) -> None:
        self.run = run
        self.align = align
        self.step = -(-STEP_PX // align) * align
        self.core = -(-CORE_PX // align) * align
        reach = -(-reach_px // self.step) * self.step
        self.pictures = list(hard_pictures(self.core + 2 * reach + 4 * self.step).values())
        # A picture hardly larger than the window would prove little.
        self.most = reach if reach_px >= MOST_PX else max(self.step, reach - 2 * self.step)
        self.middle = reach + 2 * self.step
        self.whole = lru_cache(maxsize=None)(lambda index: run(self.pictures[index][np.newaxis])[0].clip(0, 1))

    def difference(self, index: int, halo_px: int) -> float:
        """Return the largest difference in the core of a window with a halo."""
        start = (self.middle - halo_px) // self.align
        start = (start - 1 + start % 2) * self.align  # odd
        top, side = start + halo_px, self.core + 2 * halo_px
        window = self.pictures[index][start : start + side, start : start + side]
        found = self.run(np.ascontiguousarray(window)[np.newaxis])[0].clip(0, 1)
        core = slice(halo_px, halo_px + self.core)
        kept = slice(top, top + self.core)
        difference = float(np.abs(found[core, core] - self.whole(index)[kept, kept]).max())
        return difference if np.isfinite(difference) else np.inf

    def first_above(self, tolerance: float) -> float:
        """Return the largest difference with the largest halo, or the first that is too large."""
        largest = 0.0
        for index in range(len(self.pictures)):
            largest = max(largest, self.difference(index, self.most))
            if largest > tolerance:
                break
        return largest

    def worst(self, halo_px: int) -> float:
        """Return the largest difference in any picture."""
        return max(self.difference(index, halo_px) for index in range(len(self.pictures)))


def _size_problem(run: Run, align: int) -> str:
    """Return why a network cannot be given multiples of `align`, or an empty string if it can."""
    for height, width in ((align, 2 * align), (5 * align, 3 * align)):
        try:
            shape = run(_noise(1, height, width)).shape
        except ModelError as error:
            return str(error)
        if shape != (1, height, width, 3):
            if len(shape) == 4 and shape[3] == 3 and shape[1] % height == 0 and shape[2] % width == 0:
                factor = shape[1] // height
                return f"expected a network that keeps the size of a picture, got one that enlarges it {factor} times"
            return (
                f"expected {width}x{height} pixels with 3 channels for as many, got {list(shape)}; a network must keep "
                "the size of a picture (--align N if it needs multiples of N)"
            )
    return ""


def _check_range(run: Run, align: int) -> None:
    """Refuse results that are plainly not in [0, 1]."""
    side = -(-128 // align) * align
    bright = np.float32(0.8) * hard_pictures(side)["noise"][np.newaxis]
    for pictures in (bright, bright * np.float32(0.125)):
        low, high = np.nanpercentile(run(pictures).astype(np.float64), (2, 98))
        if not (low >= LOWEST and high <= HIGHEST):
            raise ModelError(
                f"expected results in [0, 1] for a picture in [0, 1], got {low:.3g} to {high:.3g}; put the scaling of "
                "its input and output into the network and export it again"
            )


def _noise(count: int, height: int, width: int) -> Pictures:
    return np.random.default_rng(0).random((count, height, width, 3), np.float32)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}"
