"""The modules of the product, as they lie in the source tree."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def module_files() -> dict[str, Path]:
    """Return every module of the product by its import name."""
    found = {}
    for base, package in ((ROOT, "lumen"), (ROOT / "export", "lumen_export")):
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found
