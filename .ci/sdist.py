"""Builds the source distribution and unpacks it; ends with 1 if a file is missing: `python .ci/sdist.py FOLDER`."""

from __future__ import annotations

import logging
import os
import sys
import tarfile
from pathlib import Path

from setuptools import build_meta

ROOT = Path(__file__).parents[1]
FOLDERS = (".ci", "benchmarks", "docs", "examples", "export", "lumen", "tests")
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "constraints.txt", "pyproject.toml")

logging.disable(logging.WARNING)  # a line for every file
target = Path(sys.argv[1]).absolute()
os.chdir(ROOT)
with tarfile.open(target / build_meta.build_sdist(str(target))) as archive:
    found = {name.partition("/")[2] for name in archive.getnames()}
    archive.extractall(target, filter="data")
needed = {str(path) for folder in FOLDERS for path in Path(folder).rglob("*") if path.is_file()}
needed = {name for name in needed if "__pycache__" not in name and ".egg-info" not in name} | {*FILES}
for name in sorted(needed - found):
    print(f"missing in the source distribution: {name}", file=sys.stderr)
print(f"{len(needed & found)} files in the source distribution")
sys.exit(bool(needed - found))
