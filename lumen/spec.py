"""The spec of a model, and the contract of its inputs and outputs.

A model is one ONNX file that follows one of two contracts::

    tiles       uint8   [N, H, W, 3]   pieces of one or more pictures, sRGB; H, W multiples of `align`
    thumbnails  float32 [M, h, w, 3]   the whole picture of each tile, area-averaged, in [0, 1]; M = 1 or N
    ev          float32 [M]            requested exposure in stops, relative to the model's own choice
    ->
    enhanced    uint8   [N, H, W, 3]
    brightness  float32 [M]            target mean sRGB level in [0, 1] of the output (after `ev`)
    finite      bool    [N]            whether the result of a tile is free of NaN and infinity; older files lack it

This is contract 1. In contract 2, what is decided once per picture is a vector, computed apart from the tiles::

    thumbnails, ev  as above
    shadows     float32 [M]            factor of the local light that opens dark parts; 1 is the model's own choice
    ->
    tone        float32 [M, K]         everything that is decided once per picture
    brightness  float32 [M]            mean sRGB level in [0, 1] that the curve reaches (after `ev`)

    tiles       as above
    tones       float32 [M, K]         `tone` of the pictures that the tiles are from; M = 1 or N
    boxes       float32 [N, 4]         top, left, bottom and right of the tiles, as fractions of the unpadded picture;
                                       outside 0 to 1 in its reflection, and in falling order in a mirrored tile
    ->
    enhanced, finite                   as above

Both halves are in one graph and share nothing: to get the outputs of one half, the other may be fed any values of the
right shape. Where `ev` is NaN for all pictures no tone is asked for: `tone` and `brightness` are then of no use, and
newer files do not compute them. K is the size of `tones` in the graph.

In the 16-bit file of a model, `uint16` replaces `uint8`. `finite` exists because integers cannot represent NaN. The
spec is stored in the file's `metadata_props`, so that the runtime needs neither torch nor the code of the network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from lumen.errors import ModelError

CONTRACTS = (1, 2)
PREFIX = "lumen."
LATER = frozenset({"precision", "thumbnail", "tone_size", "whole"})  # fields that older files may lack

# Least and largest values. Files come from elsewhere, and sizes decide how much is computed and kept in memory; the
# largest ones are far above those of any network here.
RANGES = {
    "align": (1, 256),
    "halo_px": (0, 1024),
    "edge_px": (0, 1024),
    "thumbnail_px": (1, 4096),
    "bytes_per_px": (1, 1 << 20),
    "parameters": (0, 10**12),
    "tone_size": (0, 1 << 16),
}
TEXTS = ("name", "architecture", "weights_sha256")
TEXT_LENGTH = 200
# Lengths of the JSON of a field in a file, in characters, checked before it is parsed.
JSON_LENGTHS = {"training": 4 << 20, "hyperparameters": 1 << 16}
JSON_LENGTH = 2000

SampleType = Literal["uint8", "uint16"]
Precision = Literal["fp32", "fp16"]
ThumbnailKind = Literal["square", "fit"]
CHOICES = {"sample": SampleType, "precision": Precision, "thumbnail": ThumbnailKind}


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Spec of one exported model.

    Attributes:
        name: Name for `--model`, such as `lumen-s`.
        architecture: Key in `lumen.registry.ARCHITECTURES`, or `onnx` for a network from an ONNX file.
        hyperparameters: Keyword arguments of the network.
        sample: Integer type of `tiles` and `enhanced`.
        align: Tile origins and sizes are multiples of this many pixels.
        halo_px: Pixels around a tile's core that make its result equal to that of the whole picture.
        edge_px: Pixels of reflection added around the whole picture, a multiple of `align`.
        thumbnail_px: Longest side of the thumbnail.
        bytes_per_px: Working memory of one inference, in bytes per tile pixel.
        gmacs_per_mp: Multiply-accumulates per megapixel, in billions.
        parameters: Number of trained values.
        weights_sha256: Digest of the checkpoint's weights.
        training: Data, recipe and measured scores, for people; JSON values only.
        contract: 1 or 2, as above.
        precision: Precision of the weights and of most of the computation. `fp16` files are for 8-bit pictures, unless
            the network comes from an ONNX file and was in half precision there.
        tone_size: K of contract 2; 0 in contract 1.
        thumbnail: `square`: h = w = `thumbnail_px`, whatever the picture's aspect ratio. `fit`: the picture's aspect
            ratio, with sides in multiples of `align`; a picture up to that size is its own thumbnail.
        whole: The network looks at the whole picture, so that it must not be cut.
    """

    name: str
    architecture: str
    hyperparameters: Mapping[str, Any]
    sample: SampleType
    align: int
    halo_px: int
    edge_px: int
    thumbnail_px: int
    bytes_per_px: int
    gmacs_per_mp: float
    parameters: int
    weights_sha256: str
    training: Mapping[str, Any] = field(default_factory=dict)
    contract: int = 1
    precision: Precision = "fp32"
    thumbnail: ThumbnailKind = "square"
    tone_size: int = 0
    whole: bool = False

    def __post_init__(self) -> None:
        for name in TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) > TEXT_LENGTH:
                raise ModelError(f"the model's {name}: expected a text of at most {TEXT_LENGTH} characters")
        if type(self.contract) is not int or self.contract not in CONTRACTS:
            raise ModelError(
                f"model {self.name!r} follows contract {_shown(self.contract)}, this lumen reads "
                f"contracts {CONTRACTS[0]} and {CONTRACTS[-1]}; export it again with this version"
            )
        for name, (least, largest) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= largest:
                raise self._unlike(f"{name} from {least} to {largest}", value)
        for name in ("halo_px", "edge_px"):
            if getattr(self, name) % self.align:
                raise self._unlike(f"{name} to be a multiple of align={self.align}", getattr(self, name))
        for name, kind in CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise self._unlike(f"{name} out of {', '.join(get_args(kind))}", getattr(self, name))
        if type(self.whole) is not bool:
            raise self._unlike("whole to be true or false", self.whole)
        self._check_facts()

    def _check_facts(self) -> None:
        """Check what is only shown to people, or given to the network's class."""
        cost = self.gmacs_per_mp
        if type(cost) not in (int, float) or not 0 <= cost < math.inf:
            raise self._unlike("gmacs_per_mp to be a number from 0", cost)
        for name in ("hyperparameters", "training"):
            if not isinstance(getattr(self, name), Mapping):
                raise self._unlike(f"{name} to be a JSON object", getattr(self, name))

    def _unlike(self, expected: str, value: object) -> ModelError:
        return ModelError(f"model {self.name!r}: expected {expected}, got {_shown(value)}")

    @property
    def levels(self) -> int:
        """Largest sample value: 255 or 65535."""
        return 255 if self.sample == "uint8" else 65535

    def to_metadata(self) -> dict[str, str]:
        """Return the fields as ONNX `metadata_props`, each as JSON under a `lumen.` key."""
        return {PREFIX + f.name: json.dumps(getattr(self, f.name), sort_keys=True) for f in fields(self)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> ModelSpec:
        """Return the spec from ONNX `metadata_props`.

        Raises:
            ModelError: The file was not exported by lumen, or a field is missing or malformed.
        """
        if PREFIX + "contract" not in metadata:
            raise ModelError("this ONNX file carries no lumen metadata; `lumen export-onnx` makes a model of it")
        names = [f.name for f in fields(cls) if f.name not in LATER or PREFIX + f.name in metadata]
        try:
            return cls(**{name: _parsed(name, metadata[PREFIX + name]) for name in names})
        except KeyError as error:
            raise ModelError(f"the model's metadata lacks {error}; export it again") from error
        except (
            ValueError,
            RecursionError,
        ) as error:  # also numbers of thousands of digits, which are no JSONDecodeError
            raise ModelError(f"the model's metadata is malformed ({error}); export it again") from error


def _parsed(name: str, text: str) -> Any:
    """Return a field of a file, from its JSON."""
    most = JSON_LENGTHS.get(name, JSON_LENGTH)
    if len(text) > most:
        raise ModelError(
            f"the model's metadata is malformed: expected {name} within {most} characters, got {len(text)}"
        )
    return json.loads(text)


def _shown(value: object) -> str:
    """Return a value as it is shown in a message: at most 40 characters of it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        return "a value that is too long to be shown"
    return text if len(text) <= 40 else f"{text[:37]}..."
