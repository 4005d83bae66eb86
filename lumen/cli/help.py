"""The help of a command in groups: what people use first, then files, results, devices and advanced options."""

from __future__ import annotations

import click

FIRST, FILES, RESULTS, DEVICES = "Most used", "Files", "Results", "Devices"
ADVANCED, EVERYWHERE = "Advanced", "Every command"

# Options in the order in which they are shown; any that are missing here appear under `Advanced`.
_STORING = "--format --unchanged --quality --subsampling --metadata --allow-8bit --suffix --video-codec --crf"
_RUNNING = "--device --precision --threads --max-memory --tile"
GROUPS: dict[str, dict[str, str]] = {
    "enhance": {
        FIRST: "--out --in-place --backup --recursive --ev --shadows --strength --model --compare --steady --report "
        "--variants --dry-run",
        FILES: "--existing --clips --include --exclude --files-from --null --shard --follow-links --fail-fast "
        "--settings",
        RESULTS: f"{_STORING} --exposure-from --sidecars --strict --gt --json",
        DEVICES: f"{_RUNNING} --engine",
        ADVANCED: "--quality-passes --frames --max-pixels",
    },
    "watch": {
        FIRST: "--settle --on-success --ev --shadows --strength --model --steady --oneshot --status --stale",
        FILES: "--clips --ignore --order --skip-backlog --failed-dir --moved-from --settings",
        RESULTS: f"{_STORING} --log --json",
        DEVICES: _RUNNING,
        ADVANCED: "--quality-passes --frames --max-pixels --backend --rescan --incomplete-timeout --retries "
        "--timeout --min-free",
    },
    "eval": {
        FIRST: "--gt --model --as-is --results --report",
        FILES: "--input --pair --gt-per-folder --settings",
        RESULTS: "--baseline --gt-mean --match-brightness --aim --niqe --lpips --save --json",
        DEVICES: "--device --precision --threads --engine",
        ADVANCED: "--channel --border --data-range --niqe-model --check",
    },
    "train": {
        FIRST: "--data --out --recipe --iterations --epochs --resume",
        FILES: "--synthetic --val --val-split --init --check --skip-bad --settings",
        RESULTS: "--tensorboard",
        DEVICES: "--device --batch --amp --resident --workers --threads",
        ADVANCED: "--set --accumulate --recompute --compile",
    },
    "export-onnx": {
        FIRST: "--out --precision",
        RESULTS: "--name --scores",
        ADVANCED: "--architecture --halo --align --whole --check",
    },
    "review": {FIRST: "--out"},
    "models": {RESULTS: "--json"},
    "doctor": {RESULTS: "--json"},
}
_WIDEST = 30  # characters; the text of a longer option starts on the next line


class GroupedCommand(click.Command):
    """A command whose help shows its options in the groups of `GROUPS`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, some of which may lack their value."""
        from lumen.cli.options import with_bare_values

        return super().parse_args(ctx, with_bare_values(self, args))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group of options under its heading."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        # The longest spelling: some versions of click give those of --help in any order.
        rows = {max(option.opts, key=len): row for option in options if (row := option.get_help_record(ctx))}
        width = min(max(len(spelling) for spelling, _ in rows.values()), _WIDEST)
        table = {**GROUPS[self.name or ""], EVERYWHERE: "--verbose --quiet --no-color --help"}
        groups = {title: [rows.pop(name) for name in names.split() if name in rows] for title, names in table.items()}
        groups.setdefault(ADVANCED, []).extend(rows.values())
        for title, group in groups.items():
            if group:
                with formatter.section(title):
                    # The same width in every group, so that the columns line up.
                    formatter.write_dl([(f"{spelling:{width}}", text) for spelling, text in group])
