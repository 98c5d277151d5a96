"""Golden cases of MNSIM 2.0; see tests/golden/mnsim2/README.md."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from services.hw_oracle.compiled.ahead import compile_ahead

FOLDER = Path(__file__).parents[1] / "golden" / "mnsim2"


def read(name: str) -> Any:
    return json.loads(gzip.decompress((FOLDER / name).read_bytes()))


CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in read("cases.json.gz")}
SOUND = [name for name, case in CASES.items() if "error" not in case["expect"]]
REFUSED = [name for name, case in CASES.items() if "error" in case["expect"]]


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Have the machine code before any call whose deadline runs."""
    compile_ahead()


@pytest.fixture(scope="session")
def golden_configs() -> dict[str, str]:
    """Text of each SimConfig.ini by name."""
    return dict(read("configs.json.gz"))


@pytest.fixture(scope="session")
def golden_cases() -> dict[str, dict[str, Any]]:
    return CASES


@pytest.fixture(params=SOUND)
def sound_case(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each case that MNSIM evaluates."""
    return CASES[str(request.param)]


@pytest.fixture(params=REFUSED)
def refused_case(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each case that MNSIM raises on."""
    return CASES[str(request.param)]
