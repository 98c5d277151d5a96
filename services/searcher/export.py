"""Trials for other tools: the rows of `report.trial_rows` as JSON lines and as Parquet."""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.common.alone import extra
from services.searcher.report import COLUMNS, trial_rows
from services.searcher.types import StudyStatus, Trial

_TEXTS = ("state", "proposal", "blocks", "network_key", "failure")
_COUNTS = (
    "number", "attempt", "infeasible_proposals", "duplicate_proposals", "validation_images", "tiles", "pes",
    "crossbars", "on_front", "epochs",
)  # fmt: skip


def trials_json(status: StudyStatus, trials: Sequence[Trial]) -> str:
    """Write an object a trial, each on a line."""
    rows = trial_rows(status, trials)
    return "".join(f"{json.dumps(row, allow_nan=False)}\n" for row in rows)


def parquet(status: StudyStatus, trials: Sequence[Trial]) -> bytes:
    """Write the trials as a Parquet file: integers, doubles and strings, whatever a study holds.

    Raises
    ------
    NotPossible
        The extra ``parquet`` is not installed.
    """
    with extra("parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq
    types = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_COUNTS, pa.int64())
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in COLUMNS])
    content = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(trial_rows(status, trials), schema=schema), content)
    return bytes(content.getvalue())
