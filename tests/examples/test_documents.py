"""What the documents say is so: their Python runs as it stands there, limits and names are the code's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.common.layers import MAX_LAYERS
from services.common.pb.imcnas.v1 import hw_oracle_pb2 as pb
from services.common.rpc.limits import DEFAULT_DEADLINE_S, MAX_MESSAGE_BYTES
from services.common.settings import OracleSettings, variable
from services.hw_oracle.client import HwOracle
from services.hw_oracle.convert import MAX_CANDIDATES, MAX_NETWORKS
from services.hw_oracle.metrics import OracleMetrics

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ORACLE = "127.0.0.1:50051"
OTHERS = ("127.0.0.1:50061", "127.0.0.1:50071")  # to run these, one would have to train


def blocks() -> Iterator[Any]:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, block in enumerate(BLOCK.findall(document.read_text("utf-8")), 1):
            yield pytest.param(block, id=f"{document.name}-{number}")


@pytest.mark.parametrize("block", list(blocks()))
def test_a_block_of_python_runs_where_an_oracle_serves(
    block: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = ast.parse(block.replace(ORACLE, address))
    if any(other in block for other in OTHERS):
        code.body = [node for node in code.body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(code, "<document>", "exec"), {})  # noqa: S102  # our own words
        return
    exec(compile(code, "<document>", "exec"), {"__name__": "__main__"})  # noqa: S102  # our own words
    assert capsys.readouterr().out


def test_the_readme_and_the_guide_of_the_services_show_python() -> None:
    assert {block.id for block in blocks()} >= {"README.md-1", "services.md-1", "services.md-2"}


GUIDE = (ROOT / "docs" / "services.md").read_text("utf-8")


def test_the_guide_has_every_call_of_the_oracle_with_its_python_name() -> None:
    table = GUIDE.split("## The oracle")[1].split("\n\n")[1]
    rows = [row.split(" | ") for row in table.splitlines()[2:]]
    calls = [call for row in rows for call in row[0].strip("| ").split(", ")]
    assert calls == [method.name for method in pb.DESCRIPTOR.services_by_name["HwOracleService"].methods]
    methods = [name.strip("`") for row in rows for name in row[2].strip("| ").split(", ")]
    assert sorted([*methods, "close"]) == sorted(n for n in vars(HwOracle) if not n.startswith("_"))


def test_the_guide_states_the_limits_that_hold() -> None:
    defaults = OracleSettings.model_fields
    for row in (
        f"| message | {MAX_MESSAGE_BYTES // 2**20} MiB each way |",
        f"| networks of a BatchEvaluate | {MAX_NETWORKS:,} |",
        f"| candidates of an EvaluateCandidates | {MAX_CANDIDATES:,} |",
        f"| layers of a network | {MAX_LAYERS:,} |",
        f"| calls at once | {defaults['max_concurrent_calls'].default}, ",
        f"| unary call without a deadline | {DEFAULT_DEADLINE_S:.0f} s |",
        f"| layers in the cache of reports | {defaults['cached_layers'].default:,} |",
    ):
        assert row in GUIDE, row
    for field in ("max_concurrent_calls", "cached_layers"):
        assert f"`{variable(OracleSettings, field)}`" in GUIDE


def test_the_guide_names_every_metric_of_the_oracle() -> None:
    registry = CollectorRegistry()
    OracleMetrics(registry)
    for metric in registry.collect():
        assert f"`{metric.name}{'_total' * (metric.type == 'counter')}`" in GUIDE
