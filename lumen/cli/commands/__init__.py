"""The table of commands, and one module for each: parse, call one library function, show the result."""

from __future__ import annotations

# Name -> where its click command is, imported when it runs; and its line in `lumen --help`, which imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "enhance": ("lumen.cli.commands.enhance:command", "Enhance dark pictures: files and folders."),
    "watch": ("lumen.cli.commands.watch:command", "Enhance every picture that arrives in a folder, once."),
    "eval": ("lumen.cli.commands.eval:command", "Score a model on pairs of dark and well-lit pictures."),
    "train": ("lumen.cli.commands.train:command", "Train a network on pairs of pictures."),
    "export-onnx": ("lumen.cli.commands.export_onnx:command", "Export a checkpoint as an ONNX model, and check it."),
    "models": ("lumen.cli.commands.models:command", "List the bundled models with size, cost and scores."),
    "doctor": ("lumen.cli.commands.doctor:command", "Show what works on this machine, and why the rest does not."),
}
