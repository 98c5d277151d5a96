"""The oracle's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.common.errors import ImcnasError

_BUCKETS_S = (0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class OracleMetrics:
    """What an oracle does, in the registry given; `result` is ok, refused (the caller's fault) or error."""

    def __init__(self, registry: CollectorRegistry) -> None:
        networks = Counter("imcnas_oracle_networks", "Networks evaluated.", ("result",), registry=registry)
        seconds = Histogram(
            "imcnas_oracle_evaluate_seconds",
            "Time of an evaluation: of one network, or of one chunk of a batch.",
            ("result",),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        lookups = Counter(
            "imcnas_oracle_cache_requests", "Reports looked for in the cache.", ("result",), registry=registry
        )
        self._networks = {result: networks.labels(result) for result in ("ok", "refused", "error")}
        self._seconds = {result: seconds.labels(result) for result in ("ok", "refused", "error")}
        self._lookups = {found: lookups.labels("hit" if found else "miss") for found in (True, False)}

    @contextmanager
    def evaluation(self) -> Iterator[None]:
        """Time and count the evaluation of one network made inside."""
        begin, result = perf_counter(), "error"
        try:
            yield
            result = "ok"
        except ImcnasError:
            result = "refused"
            raise
        finally:
            self._networks[result].inc()
            self._seconds[result].observe(perf_counter() - begin)

    def chunk(self, seconds: float, sound: int, refused: int = 0) -> None:
        """Count a chunk of a batch that took so long."""
        self._networks["ok"].inc(sound)
        if refused:
            self._networks["refused"].inc(refused)
        self._seconds["ok"].observe(seconds)

    def looked_up(self, found: bool) -> None:
        """Count a look into the cache."""
        self._lookups[found].inc()
