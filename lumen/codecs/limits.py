"""What each format can hold: depth, transparency, size, and kinds of metadata."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

from lumen.codecs import density, exif
from lumen.codecs.interface import why_not_writable
from lumen.color import icc
from lumen.errors import EncodeError
from lumen.imaging.formats import CODECS, Codec, Format, MetadataKind
from lumen.imaging.picture import FILM, Extra, Metadata, Picture

_LABELS: Final[dict[MetadataKind, str]] = {
    "exif": "EXIF",
    "icc": "ICC profile",
    "xmp": "XMP",
    "dpi": "resolution",
    "aspect": "aspect of the pixels",
    "iptc": "IPTC",
    "comment": "comment",
}
_MATTERS: Final[dict[MetadataKind, str]] = {
    "exif": "only date, place and camera are missing",
    "icc": "the colours may look different",
    "xmp": "only ratings, keywords and edits are missing",
    "dpi": "only the size in print changes",
    "aspect": "the picture may look stretched",
    "iptc": "only captions and keywords are missing",
    "comment": "the picture looks the same",
}
_LOOKS_SAME: Final = "; the picture looks the same"
_COLOR_CHUNKS = {b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI"}
_SRGB_GAMMA = struct.pack(">I", 45455)
_SRGB_CHROMATICITIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_SRGB_CODE = b"\1\x0d"  # primaries and transfer of cICP


def check_storable(picture: Picture, kind: Format, *, allow_8bit: bool) -> None:
    """Refuse a picture that a format cannot hold.

    Raises:
        EncodeError: The format cannot hold its depth, transparency or size, or cannot be written at all.
    """
    codec = CODECS[kind]
    if codec.stored_as is not None and not (picture.animation and kind == picture.format):
        raise EncodeError(f"results are not stored as {kind}; choose another --format")
    if reason := why_not_writable(codec):
        raise EncodeError(reason)
    if picture.sample == "uint16" and not allow_8bit and not keeps_depth(picture, kind):
        what = "16-bit ones with a colour profile" if kind == "jxl" else "16-bit ones"
        raise EncodeError(
            f"expected 8-bit pixels for {kind}, got {what}; write .png or .tif instead, or give up the depth with "
            "--allow-8bit"
        )
    if picture.alpha is not None and not codec.alpha:
        raise EncodeError(f"{kind} cannot hold transparency; write .png, .webp or .tif instead")
    sides = picture.width, picture.height // picture.count
    if codec.side_px is not None and max(sides) > codec.side_px:
        raise EncodeError(
            f"cannot store {sides[0]}x{sides[1]} pixels as {kind}: it allows {codec.side_px} pixels a side; "
            "write .tif instead"
        )
    if codec.most_px is not None and picture.width * picture.height > codec.most_px:
        raise EncodeError(
            f"cannot store {picture.width}x{picture.height} pixels as {kind}: it allows {codec.most_px / 1e6:.0f} "
            "megapixels; write .tif instead"
        )


def keeps_depth(picture: Picture, kind: Format) -> bool:
    """Return whether a format keeps every bit per sample of a 16-bit picture's file."""
    if kind == "jxl":  # see its module
        profile = _with_profile(picture, kind).metadata.icc
        if profile and profile != icc.srgb_profile():
            return False
    return (picture.bits or 16) <= CODECS[kind].bits


def fitted(picture: Picture, kind: Format) -> tuple[Picture, list[str]]:
    """Return the picture with the metadata the format can hold, turned upright if the format has no orientation.

    Returns:
        The picture, and a warning for each kind of metadata that is left out.
    """
    codec = CODECS[kind]
    picture = _with_profile(picture, kind)
    metadata = picture.metadata
    if "dpi" in codec.metadata:  # many programs look for it there only
        metadata = _with_resolution(metadata)
    lost = {name: reason for name in _LABELS if (reason := _why_lost(name, replace(picture, metadata=metadata), codec))}
    gone = [name for name in lost if getattr(metadata, name) is not None]
    warnings = [f"the {_LABELS[name]} was left out: {lost[name]}; {_MATTERS[name]}" for name in gone]
    foreign = [extra for extra in metadata.extras if extra.format != kind]
    missed = {extra.label: extra.kind in _COLOR_CHUNKS for extra in foreign if not _is_needless(extra, picture)}
    warnings += [
        f"the {label} was left out: {kind} cannot hold it" + (f"; {_MATTERS['icc']}" if is_color else _LOOKS_SAME)
        for label, is_color in missed.items()
    ]
    if picture.extra_channel is not None and not codec.extra_channel:
        warnings.append(f"the extra channel was left out: {kind} cannot hold it{_LOOKS_SAME}")
        picture = replace(picture, extra_channel=None)
    if kind == "avif" and picture.count > 1 and picture.animation is not None and picture.animation.loop != 0:
        warnings.append("the animation plays without end: the number of its loops cannot be stored in avif")
    extras = tuple(extra for extra in metadata.extras if extra.format == kind)
    if any(extra.kind == FILM for extra in extras):
        warnings.append(
            "the video of the motion photo was kept as it is, as dark as before; only the picture is brighter"
        )
    kept = replace(metadata, extras=extras, **dict.fromkeys(gone))
    turn = exif.orientation(metadata.exif)
    if "exif" in gone and "exif" not in codec.metadata:
        return replace(picture, metadata=kept).turned(turn), warnings
    malformed = codec.exif_by_tag and kept.exif and not exif.is_sound(kept.exif)
    if malformed:
        warnings.append(f"the EXIF block is malformed and was left out; {_MATTERS['exif']}")
    if malformed or "exif" in gone:
        kept = replace(kept, exif=exif.orientation_only(turn))
    return replace(picture, metadata=kept), warnings


def stripped(picture: Picture) -> Picture:
    """Return the picture with only the metadata that affects its display: orientation, colours, resolution."""
    metadata = picture.metadata
    colors = tuple(extra for extra in metadata.extras if extra.kind in _COLOR_CHUNKS or extra.kind == b"sRGB")
    known = _with_resolution(metadata)
    turn = exif.orientation_only(exif.orientation(metadata.exif))
    bare = Metadata(exif=turn, icc=metadata.icc, dpi=known.dpi, aspect=known.aspect, extras=colors)
    return replace(picture, metadata=bare)


def _with_resolution(metadata: Metadata) -> Metadata:
    """Return the metadata with the resolution, or the aspect of the pixels, that stands only in the EXIF block."""
    if metadata.dpi or metadata.aspect:
        return metadata
    dpi, aspect = exif.resolution(metadata.exif)
    return replace(metadata, dpi=dpi, aspect=aspect)


def _with_profile(picture: Picture, kind: Format) -> Picture:
    """Return the picture with a profile in place of its colour code, for formats that have no such code."""
    code = next((extra for extra in picture.metadata.extras if extra.kind == b"cICP"), None)
    if code is None or code.format == kind or picture.metadata.icc or len(code.data) != 4:
        return picture
    return replace(picture, metadata=replace(picture.metadata, icc=icc.coded_profile(code.data[0], code.data[1])[0]))


def _why_lost(name: MetadataKind, picture: Picture, codec: Codec) -> str:
    """Return why a format cannot hold one kind of a picture's metadata, or an empty string if it can."""
    metadata = picture.metadata
    if name not in codec.metadata:
        known = name in ("dpi", "aspect") and "exif" in codec.metadata and _is_in_exif(metadata)
        return "" if known else f"{codec.name} cannot hold it"
    if name in codec.most_bytes and len(getattr(metadata, name) or b"") > codec.most_bytes[name]:
        return f"it is too long for {codec.name}"
    if name == "icc" and not codec.gray and picture.gray and icc.color_space(metadata.icc) == "GRAY":
        return f"{codec.name} cannot store greyscale"
    return ""


def _is_in_exif(metadata: Metadata) -> bool:
    """Return whether the EXIF block tells the shape of the pixels, too."""
    dpi, aspect = exif.resolution(metadata.exif)
    there = dpi or aspect
    return there is not None and density.same_shape(there, density.shape_of(metadata))


def _is_needless(extra: Extra, picture: Picture) -> bool:
    """Return whether metadata adds nothing: colours that a profile or sRGB covers, or a program's private data."""
    if extra.kind not in _COLOR_CHUNKS:
        return extra.kind == b"sRGB" or extra.label == "private data"
    plain = {b"gAMA": _SRGB_GAMMA, b"cHRM": _SRGB_CHROMATICITIES, b"cICP": _SRGB_CODE}.get(extra.kind, b"\xff")
    kinds = {other.kind for other in picture.metadata.extras}
    return bool(picture.metadata.icc) or extra.data.startswith(plain) or (b"sRGB" in kinds and extra.kind != b"cICP")
