"""An oracle that serves meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.settings import OracleSettings
from services.hw_oracle.server import oracle_server


@pytest.fixture(scope="module")
def address(host: Any, any_ports: dict[str, Any]) -> str:
    return f"127.0.0.1:{host.start(oracle_server(OracleSettings(**any_ports))).calls}"
