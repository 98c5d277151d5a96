"""A room as a process: what is not installed is one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from services.common.alone import extra
from services.common.errors import NotPossible

SCRIPT = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "numpy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""
SERVE = "runpy.run_module('services.hw_oracle', run_name='__main__')"
USE = """
from services.common.errors import NotPossible
from services.hw_oracle.client import HwOracle
HwOracle("127.0.0.1:1").close()
try:
    HwOracle()
except NotPossible as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize(("action", "code"), [(SERVE, 2), (USE, 1)], ids=["serve", "use"])
def test_an_oracle_without_its_extra_says_what_to_install(action: str, code: int) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT + action], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "this needs numpy; run: pip install 'imcnas[oracle]'\n")


def test_a_module_of_our_own_that_is_missing_is_our_mistake() -> None:
    with pytest.raises(ModuleNotFoundError), extra("oracle"):
        raise ModuleNotFoundError("No module named 'services.x'", name="services.x")
    with pytest.raises(NotPossible, match="this needs numpy"), extra("oracle"):
        raise ModuleNotFoundError("No module named 'numpy.x'", name="numpy")
