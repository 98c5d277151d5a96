"""The Python examples do what they say, as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import Conv2d, LayerList, Linear, Shape
from services.hw_oracle import cost
from services.hw_oracle.chips import PRESETS

EXAMPLES = Path(__file__).parents[2] / "examples"
NOBODY = "127.0.0.1:1"


def run(example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_client_answers_alike_in_process_and_over_grpc(address: str) -> None:
    here, there = run("python_client.py"), run("python_client.py", address)
    assert (here.returncode, here.stderr) == (0, "")
    assert (there.returncode, there.stderr) == (0, "")
    assert here.stdout == there.stdout

    images = Shape(channels=3, height=32, width=32)
    report = cost.evaluate(candidate_layers(parse_candidate("VGG64-RES128"), images, 10))
    lines = here.stdout.splitlines()
    assert lines[1:3] == [f"latency_ns {report.latency_ns}", f"energy_nj {report.energy_nj}"]
    assert sum(line.startswith("layer ") for line in lines) == len(report.layers)
    assert any(line.startswith("VGG4096-VGG4096: CHIP_TOO_SMALL: ") for line in lines)
    assert any(line.startswith("NOT_FOUND: ") and "did you mean isaac?" in line for line in lines)
    assert [line.partition(":")[0] for line in lines[-len(PRESETS) :]] == list(PRESETS)
    assert f"mnsim2_default: {report.energy_nj:.0f} nJ" in lines


def test_the_walk_finds_every_call_and_evaluates_a_network(address: str) -> None:
    done = run("reflection_walk.py", address)
    assert (done.returncode, done.stderr) == (0, "")
    calls = {line.strip().partition("(")[0] for line in done.stdout.splitlines() if ") -> " in line}
    assert {"Evaluate", "BatchEvaluate", "EvaluateCandidates", "EvaluateStream", "GetServerInfo"} <= calls
    network = LayerList(
        input_shape=Shape(channels=3, height=8, width=8),
        layers=(
            Conv2d(inputs=(-1,), out_channels=16, kernel_size=3, padding=1),
            Linear(inputs=(0,), out_features=10),
        ),
    )
    report = cost.evaluate(network)
    assert f"latency_ns {report.latency_ns}\nenergy_nj {report.energy_nj}\nlayers 2\n" in done.stdout


@pytest.mark.parametrize("example", ["python_client.py", "reflection_walk.py"])
def test_nobody_there_is_one_line(example: str) -> None:
    done = run(example, NOBODY)
    assert done.returncode == 1
    assert done.stderr.startswith("UNAVAILABLE")
    assert NOBODY in done.stderr
    assert done.stderr.count("\n") == 1
