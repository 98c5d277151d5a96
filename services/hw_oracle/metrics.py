"""The oracle's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.common.errors import ImcnasError

_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class OracleMetrics:
    """What an oracle does, in the registry given; `result` is ok, refused (the caller's fault) or error."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._networks = Counter(
            "imcnas_oracle_networks", "Networks evaluated.", ("result",), registry=registry
        )
        self._seconds = Histogram(
            "imcnas_oracle_evaluate_seconds",
            "Time of an evaluation.",
            ("result",),
            registry=registry,
            buckets=_BUCKETS_S,
        )

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Time and count the evaluation made inside."""
        begin, result = perf_counter(), "error"
        try:
            yield
            result = "ok"
        except ImcnasError:
            result = "refused"
            raise
        finally:
            self._networks.labels(result).inc()
            self._seconds.labels(result).observe(perf_counter() - begin)
