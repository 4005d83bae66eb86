"""What the benchmarks say of the machine they ran on."""

from __future__ import annotations

import platform
from pathlib import Path


def processor() -> str:
    """Return the processor's name, with what it has for bf16."""
    name, flags = platform.processor() or platform.machine(), set[str]()
    info = Path("/proc/cpuinfo")
    if info.exists():
        facts = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
        facts = {key.strip(): value.strip() for key, value in facts.items()}
        name, flags = facts.get("model name", name), set(facts.get("flags", "").split())
    return ", ".join([name, *sorted(flags & {"avx512_bf16", "amx_bf16", "avx_vnni", "avx512f"})])
