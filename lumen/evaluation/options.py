"""The options of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from lumen.config import EngineChoice
from lumen.errors import UsageError
from lumen.evaluation.baselines import make_baseline

Channel = Literal["rgb", "y"]

DATA_RANGES: Final = (255, 65535)


def _check_choice(option: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"expected {option} {' or '.join(choices)}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """What is scored, and how.

    Attributes:
        as_is: Score the files themselves; no model runs.
        baselines: Simple methods to compare with: `autocontrast`, `equalize`, `gamma` or `gamma:G`.
        gt_mean: Also score each result scaled to the mean grey level of its reference.
        match_brightness: Also score the model when asked for the brightness of the reference.
        aim: Also score the model when asked for this mean sRGB level, between 0 and 1, in every picture that is not
            brighter already; None does not.
        channel: `rgb`, or `y` for the luma only.
        border_px: Pixels ignored along each edge.
        data_range: 255 compares 8-bit pictures and rounds deeper ones; 65535 compares 16-bit pictures and multiplies
            8-bit ones by 257.
        niqe: Also compute NIQE, which takes about as long as everything else together.
        niqe_model: File with a NIQE model; None for the bundled one.
        lpips: Files that together hold the weights of LPIPS; empty leaves out LPIPS.
        threads: Pictures that are scored at a time; 0 takes the cores that the process may use.
        save: Folder for the results of the models, as PNG; None saves nothing.
        engine: Where pairs are scored: in this process (`local`), or by the workers of a Ray cluster (`ray`).

    Paths may be given as strings.
    """

    as_is: bool = False
    baselines: tuple[str, ...] = ()
    gt_mean: bool = False
    match_brightness: bool = False
    aim: float | None = None
    channel: Channel = "rgb"
    border_px: int = 0
    data_range: int = 255
    niqe: bool = False
    niqe_model: Path | None = None
    lpips: tuple[Path, ...] = ()
    threads: int = 0
    save: Path | None = None
    engine: EngineChoice = "local"

    def __post_init__(self) -> None:
        for name, place in (("niqe_model", self.niqe_model), ("save", self.save)):
            if place is not None:
                object.__setattr__(self, name, Path(place))
        object.__setattr__(self, "lpips", tuple(map(Path, self.lpips)))
        asked_for = {
            "--match-brightness": self.match_brightness,
            "--aim": self.aim is not None,
            "--save": self.save is not None,
        }
        for name, asked in asked_for.items():
            if self.as_is and asked:
                raise UsageError(f"expected --as-is or {name}, got both: {name} needs a model, and --as-is runs none")
        if self.aim is not None and not 0 < self.aim < 1:
            raise UsageError(f"expected --aim between 0 and 1, such as 0.43, got {self.aim:g}")
        for baseline in self.baselines:
            make_baseline(baseline)
        if len(set(self.baselines)) < len(self.baselines):
            raise UsageError(f"expected each baseline once, got {','.join(self.baselines)}")
        _check_choice("--channel", self.channel, get_args(Channel))
        _check_choice("--engine", self.engine, get_args(EngineChoice))
        if self.threads < 0:
            raise UsageError(f"expected --threads of at least 0, got {self.threads}")
        if self.border_px < 0:
            raise UsageError(f"expected --border of at least 0 pixels, got {self.border_px}")
        if self.data_range not in DATA_RANGES:
            raise UsageError(f"expected --data-range 255 or 65535, got {self.data_range}")

    @property
    def bits(self) -> int:
        """Bit depth of the samples that are compared."""
        return 8 if self.data_range == DATA_RANGES[0] else 16
