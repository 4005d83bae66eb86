"""`lumen eval`: how close a model, or any tool's files, come to references."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from lumen.cli.params import device_option, model_option, precision_option
from lumen.cli.state import State, pass_state
from lumen.config import PrecisionChoice, RuntimeOptions
from lumen.errors import UsageError

_pictures = click.Path(exists=True, path_type=Path)


@click.command("eval", short_help="Score a model on pairs of dark and well-lit pictures.")
@click.argument("low", metavar="LOW", type=_pictures)
@click.option("--gt", "reference", required=True, metavar="HIGH", type=_pictures, help="The references of LOW.")
@model_option
@device_option
@precision_option
@click.option("--as-is", is_flag=True, help="Score the files of LOW as they are: results of any tool.")
@click.option("--gt-mean", is_flag=True, help="Also score after scaling to the reference's mean brightness.")
@click.option("--match-brightness", is_flag=True, help="Also score the model asked for the reference's brightness.")
@click.option("--save", metavar="DIR", type=click.Path(path_type=Path), help="Keep what was scored, as PNG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per picture, then the summary, on stdout.")
@pass_state
@click.pass_context
def command(
    ctx: click.Context,
    state: State,
    low: Path,
    reference: Path,
    model: str,
    device: str,
    precision: PrecisionChoice,
    as_is: bool,
    gt_mean: bool,
    match_brightness: bool,
    save: Path | None,
    as_json: bool,
) -> None:
    """Enhance the pictures in LOW and score them against those of the same names in HIGH.

    Prints PSNR and SSIM of every picture beside those of the input, the means, and the protocol. Names pair without
    their suffix. What has no partner, another size or a damaged file is listed.

    Exit codes: 0 all scored, 2 usage, 3 some pictures not scored, 4 none scored, 5 model or device unavailable,
    6 results unwritable.
    """
    for name in ("model", "device", "precision"):
        if as_is and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"expected --as-is or --{name}, got both: --as-is runs no model")
    runtime = RuntimeOptions(model=model, device=device, precision=precision)
    from lumen import evaluation
    from lumen.cli.scores import print_scores, scoring
    from lumen.runtime.session import ModelSet

    options = evaluation.EvalOptions(as_is=as_is, gt_mean=gt_mean, match_brightness=match_brightness, save=save)
    models = None if as_is else ModelSet(runtime)
    with scoring(state, as_json=as_json) as show:
        report = evaluation.evaluate(low, reference, models, options, progress=show)
    print_scores(state, report, as_json=as_json)
    ctx.exit(report.exit_code)
