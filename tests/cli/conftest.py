"""The command, run in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.cli.__main__ import main

Command = Callable[..., tuple[int, str, str]]

CONV = {"kind": "conv2d", "inputs": [-1], "out_channels": 8, "kernel_size": 3, "padding": 1}
IMAGE = {"channels": 1, "height": 8, "width": 8}


@pytest.fixture
def imcnas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run the command in this process, in an empty folder; give its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["imcnas", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), out, err

    return run


def network(**changes: object) -> str:
    return json.dumps({"version": 1, "input_shape": IMAGE, "layers": [CONV]} | changes)
