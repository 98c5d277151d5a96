"""Clients work where only gRPC and protobuf are installed."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = [
    "grpc_health",
    "grpc_reflection",
    "grpc_tools",
    "hyperopt",
    "matplotlib",
    "numpy",
    "PIL",
    "pooch",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "ray",
    "rich",
    "scipy",
    "sklearn",
    "sqlalchemy",
    "tomli_w",
    "torch",
    "typer",
]

SCRIPT = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"{{name}} is not installed here")

sys.meta_path.insert(0, Blocked())
from services.hw_oracle.client import HwOracle
from services.searcher.client import Searcher
from services.trainer.client import Trainer

for client in (HwOracle, Searcher, Trainer):
    client("127.0.0.1:1").close()
"""


def test_clients_import_and_connect_with_the_base_install_alone() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
