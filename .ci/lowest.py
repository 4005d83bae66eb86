"""Prints the lowest versions in pyproject.toml, but for training, as constraints for pip: `python .ci/lowest.py`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

EXTRAS = ("heif", "jxl", "openvino", "raw")

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for line in sum((project["optional-dependencies"][extra] for extra in EXTRAS), project["dependencies"]):
    lowest, count = re.subn(r">=([^,;]+)[^;]*", r"==\1", line, count=1)
    if not count:
        raise SystemExit(f"expected a lower bound in pyproject.toml, got {line}")
    print(re.sub(r"\[.*?\]", "", lowest))
