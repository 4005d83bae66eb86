"""What is scored, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from lumen.errors import UsageError
from lumen.evaluation.baselines import make_baseline

Channel = Literal["rgb", "y"]

DATA_RANGES: Final = (255, 65535)


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is scored.

    Attributes:
        as_is: Score the files themselves; no model runs.
        baselines: Simple methods to score beside: `autocontrast`, `equalize`, `gamma` or `gamma:G`.
        gt_mean: Add the score after scaling to the reference's mean grey level.
        match_brightness: Add the score of the model asked for the reference's brightness.
        channel: `rgb`, or `y` for luma alone.
        border_px: Pixels left out along each edge.
        data_range: 255 compares 8-bit pictures, deeper ones rounded to them; 65535 compares 16-bit pictures, 8-bit ones
            times 257.
        niqe: Add NIQE, which takes about as long as all the rest.
        niqe_model: File with another NIQE model than the package's own.
        lpips: Files that together hold the weights of LPIPS; none leaves it out.
        save: Folder that receives what was scored, as PNG; None keeps nothing.
    """

    as_is: bool = False
    baselines: tuple[str, ...] = ()
    gt_mean: bool = False
    match_brightness: bool = False
    channel: Channel = "rgb"
    border_px: int = 0
    data_range: int = 255
    niqe: bool = False
    niqe_model: Path | None = None
    lpips: tuple[Path, ...] = ()
    save: Path | None = None

    def __post_init__(self) -> None:
        for name, asked in (("--match-brightness", self.match_brightness), ("--save", self.save is not None)):
            if self.as_is and asked:
                raise UsageError(
                    f"expected --as-is or {name}, got both: {name} needs the model that --as-is leaves out"
                )
        for baseline in self.baselines:
            make_baseline(baseline)
        if len(set(self.baselines)) < len(self.baselines):
            raise UsageError(f"expected each baseline once, got {','.join(self.baselines)}")
        if self.channel not in get_args(Channel):
            raise UsageError(f"expected --channel rgb or y, got {self.channel!r}")
        if self.border_px < 0:
            raise UsageError(f"expected --border of at least 0 pixels, got {self.border_px}")
        if self.data_range not in DATA_RANGES:
            raise UsageError(f"expected --data-range 255 or 65535, got {self.data_range}")

    @property
    def bits(self) -> int:
        """Bits of the samples that are compared."""
        return 8 if self.data_range == DATA_RANGES[0] else 16
