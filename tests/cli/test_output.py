"""What the command does when its output cannot be written: through real pipes and devices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import network

COMMAND = f"{sys.executable} -m services.cli"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["evaluate many.json --json", "evaluate many.json"])
def test_a_reader_that_leaves_ends_the_command_as_sigpipe_would(tmp_path: Path, arguments: str) -> None:
    networks = [{"name": f"n{i}", **json.loads(network())} for i in range(50)]
    (tmp_path / "many.json").write_text(json.dumps(networks))
    done = _bash(f"{COMMAND} {arguments} | true; echo ${{PIPESTATUS[@]}}", tmp_path)
    assert done.stdout == "141 0\n"
    assert "Error" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--help", "evaluate --help"])
def test_a_reader_of_help_may_leave_too(tmp_path: Path, arguments: str) -> None:
    done = _bash(f"{COMMAND} {arguments} | true; echo ${{PIPESTATUS[@]}}", tmp_path)
    assert (done.stdout, done.stderr) == ("141 0\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"), [("evaluate VGG8 --image 1x8x8", 0), ("--help", 0), ("evaluate nothing", 1)]
)
def test_output_that_is_closed_goes_nowhere(tmp_path: Path, arguments: str, code: int) -> None:
    done = _bash(f"{COMMAND} {arguments} >&-", tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert _bash(f"{COMMAND} {arguments} >&- 2>&-", tmp_path).returncode == code


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["space small --sample 2", "evaluate VGG8 --image 1x8x8", "--version"])
def test_a_full_disk_is_one_message(tmp_path: Path, arguments: str) -> None:
    done = _bash(f"{COMMAND} {arguments} > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith("imcnas: input or output failed: [Errno 28] No space left on device\n")
    assert "Traceback" not in done.stderr


def _bash(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
