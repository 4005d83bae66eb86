"""`lumen models`: the bundled models, their cost and their scores."""

from __future__ import annotations

from dataclasses import asdict

import click

from lumen.cli.help import GroupedCommand
from lumen.cli.options import json_option
from lumen.cli.state import State, pass_state

_LABELS = {
    "psnr_db": "PSNR dB",
    "ssim": "SSIM",
    "gt_mean_psnr_db": "GT-mean PSNR",
    "given_brightness_psnr_db": "brightness given PSNR",
    "given_brightness_ssim": "brightness given SSIM",
}


@click.command("models", cls=GroupedCommand)
@json_option("model on stdout")
@pass_state
def command(state: State, /, as_json: bool) -> None:
    """List the bundled models with their size, cost and measured scores."""
    from lumen.cli.views.console import print_json, print_line
    from lumen.cli.views.tables import print_table
    from lumen.runtime.model_files import bundled_models, find_model
    from lumen.runtime.open import read_spec

    models = [(model, read_spec(find_model(model.name))) for model in bundled_models()]
    if as_json:
        for model, spec in models:
            sizes = {sample: file.size for sample, file in model.files.items()}
            print_json({**asdict(spec), "sizes_bytes": sizes})
        return
    if not models:
        print_line("No models are bundled with this installation; use --model FILE.onnx (see `lumen export-onnx`).")
        return
    rows = [
        [
            spec.name,
            " + ".join(sorted(model.files)),
            f"{sum(file.size for file in model.files.values()) / 1e6:.1f}",
            f"{spec.parameters:,}",
            f"{spec.gmacs_per_mp:.1f}",
        ]
        for model, spec in models
    ]
    print_table(state, ["model", "samples", "MB", "parameters", "GMACs/MP"], rows, left=2)
    # One row for each model and data set, and one column for each measure that any of them has.
    scores = [(spec.name, *each) for _, spec in models for each in spec.training.get("scores", {}).items()]
    measures = list(dict.fromkeys(measure for _, _, values in scores for measure in values))
    if not measures:
        print_line()
        print_line("No measured scores are stored with these models.")
        return
    rows = [[name, data, *(_cell(values.get(measure)) for measure in measures)] for name, data, values in scores]
    labels = [_LABELS.get(measure, measure.replace("_", " ")) for measure in measures]
    print_line()
    print_table(state, ["model", "measured on", *labels], rows, left=2)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"
    return "" if value is None else str(value)
