"""The conditions that every recorded figure states: date, machine, versions."""

from __future__ import annotations

import datetime
import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = (
    "imcnas", "torch", "ray", "hyperopt", "numpy", "numba", "llvmlite", "grpcio", "protobuf", "SQLAlchemy",
)  # fmt: skip


def conditions() -> str:
    """One line: date, processor, cores, load, Python and package versions."""
    names = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "")
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    machine = (
        f"{model or platform.processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at start"
    )
    today = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    return f"{today}, {machine}, Python {platform.python_version()}, {packages}"
