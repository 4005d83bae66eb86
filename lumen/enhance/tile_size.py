"""Window sizes that options and memory allow."""

from __future__ import annotations

from lumen.config import EnhanceOptions
from lumen.errors import OutOfMemoryError, UsageError
from lumen.imaging.tiling import TilePlan, plan_tiles
from lumen.runtime.memory import CPU_WINDOW_PX, GPU_WINDOW_PX, MIN_WINDOW_PX, window_side_px
from lumen.runtime.protocols import Model
from lumen.spec import ModelSpec

WHOLE_PX = 1 << 30


def window_px(model: Model, options: EnhanceOptions) -> int:
    """Return the largest window side in pixels that the options and the memory allow; no limit for whole pictures.

    Raises:
        UsageError: The requested size leaves no pixel between two halos, or the requested memory is too small.
    """
    spec = model.spec
    if spec.whole:
        if options.tile_px is not None:
            raise UsageError(f"{spec.name} looks at the whole picture, which is not cut: leave --tile out")
        return WHOLE_PX
    if options.tile_px is not None:
        least = 2 * spec.halo_px + spec.align
        if options.tile_px < least:
            raise UsageError(f"expected --tile of at least {least} pixels for {spec.name}, got {options.tile_px}")
        side = options.tile_px
    else:
        side = _side_by_memory(model, options.max_memory_bytes)
    return side if model.window_limit_px is None else min(side, model.window_limit_px)


def plan_windows(height: int, width: int, spec: ModelSpec, side_px: int) -> TilePlan:
    """Return the plan that cuts a picture into windows of at most `side_px` for a model."""
    return plan_tiles(
        height, width, align=spec.align, halo_px=spec.halo_px, edge_px=spec.edge_px, max_window_px=side_px
    )


def check_memory(plan: TilePlan, model: Model, options: EnhanceOptions) -> None:
    """Refuse a picture that a model must see as a whole, but for which memory is too short.

    Raises:
        OutOfMemoryError: It takes more than the options or the free memory allow.
    """
    needed = plan.window_h * plan.window_w * model.spec.bytes_per_px
    allowed = model.budget_bytes if options.max_memory_bytes is None else options.max_memory_bytes
    if model.spec.whole and needed > allowed:
        raise OutOfMemoryError(
            f"{model.spec.name} looks at the whole picture, which takes {needed / 1e6:.0f} MB for "
            f"{plan.width}x{plan.height} pixels, and {allowed / 1e6:.0f} MB may be used; make the picture smaller"
        )


def smallest_window_px(model: Model) -> int:
    """Return the smallest window side; below it nearly everything is halo."""
    return max(MIN_WINDOW_PX, 3 * model.spec.halo_px + model.spec.align)


def _side_by_memory(model: Model, asked_bytes: int | None) -> int:
    least = smallest_window_px(model)
    # A thumbnail of the picture's own size takes as much memory as a window.
    needed = max(least, model.spec.thumbnail_px * (model.spec.thumbnail == "fit")) ** 2 * model.spec.bytes_per_px
    if asked_bytes is not None and asked_bytes < needed:
        raise UsageError(
            f"expected --max-memory of at least {-(-needed // 10**6)}M for {model.spec.name}, got {asked_bytes} bytes"
        )
    largest = CPU_WINDOW_PX if model.device.kind == "cpu" else GPU_WINDOW_PX
    budget = model.budget_bytes if asked_bytes is None else asked_bytes
    return max(least, window_side_px(budget, model.spec.bytes_per_px, largest_px=largest))
