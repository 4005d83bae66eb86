"""`lumen export-onnx`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import PATH
from lumen.errors import UsageError


@click.command("export-onnx", cls=GroupedCommand)
@click.argument("checkpoint", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="The 8-bit file, M.onnx.")
@click.option(
    "--architecture",
    metavar="NAME",
    help="CHECKPOINT is the public release of this network (mirnet), with its authors' names.",
)
@click.option("--name", help="Name stored in the files; by default the stem of --out.")
@click.option("--scores", type=PATH, help='Measured scores to store, JSON: {"LOL eval15": {"psnr_db": 1.0}}.')
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16"], case_sensitive=False),
    help="fp16 adds M.fp16.onnx, in half precision for 8-bit pictures on GPUs, to the fp32 files.",
)
@click.option("--check/--no-check", default=None, help="Compare torch with ONNX Runtime first; --no-check skips this.")
def command(checkpoint: Path, out: Path, scores: Path | None, **given: Any) -> None:
    """Export a CHECKPOINT of `lumen train`, or the weights of a public release, to ONNX.

    Writes OUT for 8-bit pictures and M.u16.onnx for 16-bit ones. Nothing is written if tiles would show in the
    results, or if ONNX Runtime and torch disagree.
    """
    from lumen.cli.views.console import note
    from lumen.extras import require_extra

    with require_extra("train"):
        from lumen_export.export import export_checkpoint
    # Options that are not given keep the defaults of export_checkpoint.
    options = {name: value for name, value in given.items() if value is not None}
    exported = export_checkpoint(checkpoint, out, scores=_read_scores(scores), **options)
    spec = exported.spec
    note(
        f"{spec.name}: {spec.parameters:,} parameters, {spec.gmacs_per_mp:.1f} GMACs per megapixel, "
        f"halo {spec.halo_px} px, {spec.bytes_per_px} bytes per pixel"
    )
    for agreement in exported.agreements:
        note(
            f"ONNX Runtime against torch, {agreement.sample}, {agreement.precision}: at most {agreement.worst_levels} "
            f"level(s), {agreement.differing:.2e} of the samples differ ({agreement.tiles} tiles)"
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
