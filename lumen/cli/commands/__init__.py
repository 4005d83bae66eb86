"""The table of commands, and one module for each: parse, call one library function, show the result."""

from __future__ import annotations

# By name, the line in `lumen --help`. The click command is `command` in the module of that name, imported when it runs.
COMMANDS = {
    "enhance": "Enhance dark pictures: files and folders.",
    "watch": "Enhance every picture that arrives in a folder, once.",
    "review": "Make a page of the pictures of earlier runs, to judge them by.",
    "eval": "Score a model on pairs of dark and well-lit pictures.",
    "train": "Train a network on pairs of pictures.",
    "export-onnx": "Export a checkpoint, or a network of your own, as an ONNX model.",
    "models": "List the bundled models with size, cost and scores.",
    "doctor": "Show what works on this machine, and why the rest does not.",
}
