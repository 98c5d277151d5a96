"""The command and the services as processes of their own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

IMCNAS = [sys.executable, "-m", "services.cli"]
SEARCH = ["search", "--dataset", "digits", "--space", "small", "--startup-trials", "3"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**changes: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IMCNAS_")}
    return {**clean, "COLUMNS": "200", **changes}


@pytest.fixture
def imcnas(tmp_path: Path) -> Run:
    """Run the command to its end in an empty folder."""

    def run(*arguments: str, timeout_s: float = 240, **env: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*IMCNAS, *arguments], cwd=tmp_path, env=environment(**env), capture_output=True, text=True,
            timeout=timeout_s, check=False,
        )  # fmt: skip

    return run


@dataclass
class Service:
    process: "subprocess.Popen[str]"
    calls: int
    health: int
    metrics: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.calls}"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start services as processes on free ports; each drains at the end of the test."""
    started: list[subprocess.Popen[str]] = []

    def start(room: str, **env: str) -> Service:
        prefix = f"IMCNAS_{room.upper()}_"
        ports = {f"{prefix}{name}": "0" for name in ("PORT", "HEALTH_PORT", "METRICS_PORT")}
        process = subprocess.Popen(
            [*IMCNAS, "serve", room], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
            env=environment(**ports, **{prefix + k: v for k, v in env.items()}),
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        line = process.stdout.readline()
        found = re.fullmatch(r"\w+ serves on port (\d+), health (\d+), metrics (\d+)\n", line)
        assert found, line
        return Service(process, *map(int, found.groups()))

    yield start
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
    codes = [process.wait(timeout=60) for process in reversed(started)]
    for process in started:
        assert process.stdout
        process.stdout.close()
    assert codes == [0] * len(codes)
