"""`lumen export-onnx`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import PATH
from lumen.errors import UsageError

if TYPE_CHECKING:
    from lumen_export.exported import Exported

# Options for one of the two kinds of source, and what to say of them with the other one.
_OF_CHECKPOINTS = {"architecture": "--architecture", "precision": "--precision"}
_OF_NETWORKS = {"halo": "--halo", "align": "--align", "whole": "--whole"}


@click.command("export-onnx", cls=GroupedCommand)
@click.argument("source", type=PATH)
@click.option("-o", "--out", metavar="M.onnx", type=PATH, required=True, help="The 8-bit file.")
@click.option(
    "--architecture",
    metavar="NAME",
    help="SOURCE is the public release of this network (mirnet), with its authors' names.",
)
@click.option("--name", help="Name stored in the files; by default the stem of --out.")
@click.option(
    "--scores", metavar="FILE", type=PATH, help='Measured scores to store, JSON: {"LOL eval15": {"psnr_db": 1.0}}.'
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"], case_sensitive=False),
    help="fp16 adds M.fp16.onnx, in half precision for 8-bit pictures on GPUs, to the fp32 files.",
)
@click.option("--halo", metavar="PX", type=int, help="NET.onnx: what a tile sees around itself; measured by default.")
@click.option("--align", metavar="PX", type=int, help="NET.onnx: the multiple of sizes it needs; measured by default.")
@click.option("--whole", is_flag=True, default=None, help="NET.onnx: give it whole pictures only, never tiles.")
@click.option(
    "--check/--no-check", default=None, help="Compare the network with ONNX Runtime first; --no-check skips this."
)
def command(source: Path, out: Path, scores: Path | None, **given: Any) -> None:
    """Export SOURCE to ONNX: a checkpoint of `lumen train`, the weights of a public release, or any NET.onnx.

    A folder is that of a run: its best.pt is taken, or last.pt before the first validation.

    Writes M.onnx for 8-bit pictures and M.u16.onnx for 16-bit ones. Nothing is written if tiles would show in the
    results, or if ONNX Runtime and the network disagree. NET.onnx is a network of your own from a picture to one of its
    size, in [0, 1].
    """
    from lumen.cli.views.console import note

    # Options that are not given keep the defaults of the functions.
    options = {name: value for name, value in given.items() if value is not None}
    options["scores"] = _read_scores(scores)
    export = _export_network if source.suffix.lower() == ".onnx" else _export_checkpoint
    options["progress"] = note
    _show(export(source, out, options), "the network" if export is _export_network else "torch")


def _export_network(source: Path, out: Path, options: dict[str, Any]) -> Exported:
    from lumen.extras import require_extra

    for name, option in _OF_CHECKPOINTS.items():
        if name in options:
            raise UsageError(f"{option} is for checkpoints, got {source}: leave it out")
    with require_extra("onnx"):
        from lumen_export.foreign.export import export_network
    return export_network(source, out, **options)


def _export_checkpoint(source: Path, out: Path, options: dict[str, Any]) -> Exported:
    from lumen.extras import require_extra

    for name, option in _OF_NETWORKS.items():
        if name in options:
            raise UsageError(f"{option} is for networks in ONNX files, got {source}: leave it out")
    with require_extra("train"):
        from lumen_export.export import export_checkpoint
    return export_checkpoint(source, out, **options)


def _show(exported: Exported, other: str) -> None:
    """Say what was measured and written."""
    from lumen.cli.views.console import note

    spec = exported.spec
    tiles = "whole pictures only" if spec.whole else f"halo {spec.halo_px} px"
    note(
        f"{spec.name}: {spec.parameters:,} parameters, {spec.gmacs_per_mp:.1f} GMACs per megapixel, "
        f"{tiles}, {spec.bytes_per_px} bytes per pixel"
    )
    for agreement in exported.agreements:
        note(
            f"ONNX Runtime against {other}, {agreement.sample}, {agreement.precision}: at most "
            f"{agreement.worst_levels} level(s), {agreement.differing:.2e} of the samples differ "
            f"({agreement.tiles} tiles)"
        )
    for file in exported.files:
        note(f"wrote {file} ({file.stat().st_size / 1e6:.2f} MB)")


def _read_scores(path: Path | None) -> dict[str, object]:
    """Read the JSON object of `--scores`."""
    if path is None:
        return {}
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"expected --scores to name a JSON file, got {path}: {error}") from error
    if not isinstance(scores, dict):
        raise UsageError(f"expected --scores to hold a JSON object, got {type(scores).__name__} in {path}")
    return scores
