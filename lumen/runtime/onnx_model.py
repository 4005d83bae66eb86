"""A model in an engine on one device: run it, run again in fp32, free memory."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from lumen.errors import ModelError, NotFiniteError, OutOfMemoryError, UnavailableError
from lumen.runtime.check import check_results, tiny_inputs
from lumen.runtime.devices import ComputePrecision, Device
from lumen.runtime.engine import EngineError, Session, is_out_of_memory
from lumen.runtime.protocols import Floats, Pixels
from lumen.spec import ModelSpec

log = logging.getLogger(__name__)

T = TypeVar("T")

KEPT_TONES = 16  # two for each picture in flight: transposed passes have one of their own
WHOLE = np.array([[0, 0, 1, 1]], np.float32)  # the box of a tile that is the whole picture


class OnnxModel:
    """A model that is ready to run on one device; safe to share between threads.

    Attributes:
        spec: Spec of the model, from the file's metadata.
        device: Where the session really runs, not what was requested.
        precision: What is computed in.
        threads: CPU threads of one run, which several runs may share instead; 1 where they cannot.
        window_limit_px: Largest window side after memory was short; None if it never was.
    """

    def __init__(
        self,
        spec: ModelSpec,
        device: Device,
        connect: Callable[[], Session],
        session: Session | None = None,
        *,
        precision: ComputePrecision | None = None,
        threads: int = 1,
        guarded: bool = False,
        in_full: Callable[[], OnnxModel] | None = None,
    ) -> None:
        """Wrap a session.

        Args:
            spec: Spec of the model.
            device: Where the sessions run.
            connect: Makes a session.
            session: The first session, if there is one already.
            precision: What the sessions compute in; None is that of the file.
            threads: See above.
            guarded: Whether the graph has the output `finite`.
            in_full: Opens the same model in fp32, for tiles that half precision cannot hold.
        """
        self.spec = spec
        self.device = device
        self.precision: ComputePrecision = precision or spec.precision
        self.threads = threads
        self.window_limit_px: int | None = None
        self._connect = connect
        self._session = session
        self._outputs = ("enhanced", "brightness", "finite") if guarded else ("enhanced", "brightness")
        self._in_full = in_full
        self._full: OnnxModel | None = None
        self._untrimmed = False
        self._opening = threading.Lock()
        self._last_tones: list[tuple[tuple[Floats, ...], Floats]] = []

    @cached_property
    def budget_bytes(self) -> int:
        """Memory that one inference may take, measured once.

        The session's own arena keeps its memory, so every later measurement would be smaller.
        """
        return self.device.budget_bytes()

    def run(
        self,
        tiles: Pixels,
        thumbnails: Floats,
        ev: Floats,
        *,
        boxes: Floats | None = None,
        shadows: Floats | None = None,
        tones: Floats | None = None,
    ) -> Pixels:
        """Enhance tiles.

        Args:
            tiles: `spec.sample` [N, H, W, 3], H and W multiples of `spec.align`.
            thumbnails: float32 [M, h, w, 3] in [0, 1], see `spec.thumbnail`; M = 1 or N.
            ev: float32 [M], stops relative to the model's own choice.
            boxes: float32 [N, 4], where the tiles lie in their pictures; None if each is a whole picture. Models of
                contract 1 ignore them.
            shadows: float32 [M], factor of the local light; None is 1. Models of contract 1 ignore it.
            tones: float32 [M, K], `tone` of other pictures, or a mixture, to be used instead of these pictures' own.
                For models of contract 2; then `thumbnails`, `ev` and `shadows` decide nothing.

        Returns:
            The enhanced tiles, same shape and type as `tiles`.

        Raises:
            OutOfMemoryError: Memory was short; `release` and try a smaller window.
            NotFiniteError: The model gave NaN or infinity, in fp32 too if there is an fp32 model.
            ContractError: The graph gave something else than its contract says.
            ModelError: The graph failed for another reason.
        """
        if self.spec.contract > 1:
            given = tones
            if tones is None:
                tones = self._tones_of(thumbnails, ev, np.ones_like(ev) if shadows is None else shadows)
            whole = np.tile(WHOLE, (len(tiles), 1))
            asked = {
                "tiles": tiles,
                "tones": tones,
                "boxes": whole if boxes is None else boxes,
                "ev": np.full(len(tones), np.nan, np.float32),  # no tone is asked for
            }
            enhanced, finite = self._run(("enhanced", "finite"), {**tiny_inputs(self.spec, len(tones)), **asked})
            if np.isfinite(tones).all() and finite.all():
                return np.asarray(enhanced)
            return self._in_full_precision(tiles).run(tiles, thumbnails, ev, boxes=boxes, shadows=shadows, tones=given)
        feeds = {"tiles": tiles, "thumbnails": thumbnails, "ev": ev}
        enhanced, brightness, *finite = self._run(self._outputs, feeds)
        if np.isfinite(brightness).all() and all(map(np.all, finite)):
            return np.asarray(enhanced)
        return self._in_full_precision(tiles).run(tiles, thumbnails, ev, boxes=boxes, shadows=shadows)

    def brightness(self, thumbnail: Floats, ev: float = 0.0) -> float:
        """Return the target mean sRGB level in [0, 1] of the output.

        Args:
            thumbnail: float32 [h, w, 3] in [0, 1] of the whole picture.
            ev: Stops relative to the model's own choice.

        Raises:
            NotFiniteError: The model gave NaN or infinity.
        """
        asked = {"thumbnails": thumbnail[None], "ev": np.array([ev], np.float32)}
        level = float(self._run(("brightness",), {**tiny_inputs(self.spec), **asked})[0][0])
        if not math.isfinite(level):
            raise NotFiniteError(f"model {self.spec.name!r} gave {level} as the target brightness")
        return level

    def trim(self) -> None:
        """Free the memory that the session keeps between runs, while another model works; thread-safe."""
        session, untrimmed, self._untrimmed = self._session, self._untrimmed, False
        if session is not None and untrimmed:
            session.trim(tiny_inputs(self.spec))
        if self._full is not None:
            self._full.trim()

    def release(self) -> None:
        """Free the memory of the session; the next run makes a new one."""
        self._session = None
        if self._full is not None:
            self._full.release()

    def tone(self, thumbnails: Floats, ev: Floats, shadows: Floats) -> Floats:
        """Return float32 [M, K], the tone of pictures, which a model of contract 2 computes once per picture.

        Args:
            thumbnails: float32 [M, h, w, 3] in [0, 1] of whole pictures.
            ev: float32 [M], stops relative to the model's own choice.
            shadows: float32 [M], factor of the local light.

        Raises:
            NotFiniteError: The model gave NaN or infinity, in fp32 too if there is an fp32 model.
        """
        tones = self._tones(thumbnails, ev, shadows)
        if np.isfinite(tones).all():
            return tones
        return self._in_full_precision(tiny_inputs(self.spec)["tiles"]).tone(thumbnails, ev, shadows)

    def _tones(self, thumbnails: Floats, ev: Floats, shadows: Floats) -> Floats:
        asked = {"thumbnails": thumbnails, "ev": ev, "shadows": shadows}
        return np.asarray(self._run(("tone",), {**tiny_inputs(self.spec, len(thumbnails)), **asked})[0])

    def _tones_of(self, *asked: Floats) -> Floats:
        """Return the tones of pictures; the last ones are cached for the tiles of a picture."""
        for known, tones in self._last_tones:
            if all(map(np.array_equal, known, asked)):
                return tones
        tones = self._tones(*asked)
        self._last_tones = [(asked, tones), *self._last_tones[: KEPT_TONES - 1]]
        return tones

    def _run(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> Sequence[Any]:
        tiles = feeds["tiles"]
        with self._opening:
            if self._session is None:
                self._session = self._open(self._connect, tiles)
            session = self._session  # another thread may release it
        try:
            values = session.run(outputs, feeds)
        except EngineError as error:
            if error.is_out_of_memory:
                raise OutOfMemoryError(_no_memory(tiles, self.device)) from error
            raise ModelError(f"model {self.spec.name!r} failed on {self.device}: {error}") from error
        finally:
            self._untrimmed = True
        check_results(self.spec, feeds, dict(zip(outputs, values, strict=True)), self.precision)
        return values

    def _in_full_precision(self, tiles: Pixels) -> OnnxModel:
        """Return the model in fp32, for tiles whose result was NaN or infinite."""
        if self._in_full is None:
            height, width = tiles.shape[1:3]
            half = self.precision != "fp32"
            hint = "put its fp32 file beside it, or use --precision fp32" if half else "nothing is written"
            raise NotFiniteError(
                f"model {self.spec.name!r} ({self.precision}) gave NaN or infinity for a window of "
                f"{width}x{height} pixels; {hint}"
            )
        with self._opening:
            if self._full is None:
                log.warning("half precision overflows in parts of the pictures; those are computed in fp32")
                self._full = self._open(self._in_full, tiles)
            return self._full

    def _open(self, connect: Callable[[], T], tiles: Pixels) -> T:
        """Connect, and raise `OutOfMemoryError` if memory is too short for that already."""
        try:
            return connect()
        except UnavailableError as error:
            if is_out_of_memory(str(error)):
                raise OutOfMemoryError(_no_memory(tiles, self.device)) from error
            raise


def _no_memory(tiles: Pixels, device: Device) -> str:
    height, width = tiles.shape[1:3]
    return f"not enough memory on {device} for a window of {width}x{height} pixels; close other programs or use --tile"
