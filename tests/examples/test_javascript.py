"""The JavaScript example calls the oracle, where node and npm are and npm can install its two packages."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from services.common import protos
from services.common.layers import Conv2d, LayerList, Linear, Shape
from services.hw_oracle import cost

SOURCE = Path(__file__).parents[2] / "examples" / "javascript"
FILES = ("client.mjs", "google_rpc.proto", "package.json", "package-lock.json", ".npmrc")
INSTALL = [
    "npm",
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--prefer-offline",
    "--fetch-retries=0",
]
INSTALL_S = 60


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its packages, in a folder of its own."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("node and npm are not here")
    folder = tmp_path_factory.mktemp("javascript")
    for name in FILES:
        shutil.copy(SOURCE / name, folder)
    try:
        done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm installs nothing within {INSTALL_S} s")
    assert "EUSAGE" not in done.stderr, "package-lock.json is not of package.json"
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr.strip().splitlines()[:2]}")
    return folder / "client.mjs"


def run(client: Path, address: str) -> subprocess.CompletedProcess[str]:
    command = ["node", str(client), address, str(protos.path())]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def report_of(channels: int) -> cost.CostReport:
    conv = {"out_channels": channels, "kernel_size": 3, "padding": 1}
    layers = (
        Conv2d(inputs=(-1,), **conv),
        Conv2d(inputs=(0,), **conv),
        Linear(inputs=(1,), out_features=10),
    )
    return cost.evaluate(LayerList(input_shape=Shape(channels=3, height=8, width=8), layers=layers))


@pytest.mark.slow
@pytest.mark.e2e
def test_the_client_gets_every_digit_and_reads_an_errors_fields(client: Path, address: str) -> None:
    done = run(client, address)
    assert (done.returncode, done.stderr) == (0, "")
    report = report_of(16)
    totals = dict(re.findall(r"^(\w+_\w+) (\S+)$", done.stdout, re.MULTILINE))
    assert {name: float(value) for name, value in totals.items()} == {
        name: getattr(report, name) for name in ("latency_ns", "energy_nj", "area_um2", "power_w")
    }
    batch = [float(ns) for ns in re.findall(r"^  (\S+) ns$", done.stdout, re.MULTILINE)]
    assert batch == [report_of(8).latency_ns, report_of(32).latency_ns]
    assert "  INVALID_NETWORK: layers[0].conv2d.out_channels: got 0" in done.stdout
    alone = done.stdout.partition("alone, it is refused as INVALID_ARGUMENT, reason INVALID_NETWORK\n")[2]
    fields = [line.partition(":")[0].strip() for line in alone.splitlines()]
    assert fields == ["layers[0].conv2d.out_channels", "layers[1].conv2d.out_channels"]


@pytest.mark.slow
@pytest.mark.e2e
def test_the_client_says_that_nobody_is_there_in_one_line(client: Path) -> None:
    done = run(client, "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("UNAVAILABLE from 127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1


def test_the_lock_pins_every_package_by_content_and_none_by_place() -> None:
    wanted = json.loads((SOURCE / "package.json").read_text())["dependencies"]
    lock = json.loads((SOURCE / "package-lock.json").read_text())["packages"]
    assert lock.pop("")["dependencies"] == wanted
    assert all(lock[f"node_modules/{name}"]["version"] == version for name, version in wanted.items())
    assert all("integrity" in package and "resolved" not in package for package in lock.values())
