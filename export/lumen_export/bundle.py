"""Writes `models.json`, the list of models in `lumen/data` with their digests.

Run `python -m lumen_export.bundle` after exporting into that folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from lumen.runtime.model_files import DATA, HALF, INDEX
from lumen_export.exported import SAMPLES, variant_path


def _described(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def bundle(folder: Path = DATA) -> Path:
    """Write `models.json` for all models in a folder and return its path."""
    models = [
        {"name": path.stem, "files": {sample: _described(variant_path(path, sample)) for sample in SAMPLES}}
        for path in sorted(folder.glob("*.onnx"))
        if not path.stem.endswith((".u16", HALF))
    ]
    index = folder / INDEX
    index.write_text(json.dumps({"models": models}, indent=2) + "\n", encoding="utf-8")
    return index


if __name__ == "__main__":
    bundle()
