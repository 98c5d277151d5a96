"""The trainer's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.trainer.evaluator import Evaluator
from services.trainer.running import Ended

_BUCKETS_S = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000)


class TrainerMetrics:
    """What a trainer does, in the registry given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._evaluations = Counter(
            "imcnas_trainer_evaluations",
            "Trainings, and evaluations on chips, ended.",
            ("job", "outcome"),
            registry=registry,
        )
        self._seconds = Histogram(
            "imcnas_trainer_evaluation_seconds",
            "Time of a training, or an evaluation on chips.",
            ("job",),
            registry=registry,
            buckets=_BUCKETS_S,
        )
        self._looks = Counter(
            "imcnas_trainer_cache_requests",
            "Looks into the cache of results.",
            ("result",),
            registry=registry,
        )
        self._images = Counter("imcnas_trainer_images", "Training images passed.", registry=registry)
        self._queue = Gauge(
            "imcnas_trainer_queue_length", "Requests that wait for a slot.", registry=registry
        )
        self._workers = Gauge("imcnas_trainer_workers", "Slots, by state.", ("state",), registry=registry)

    def ended(self, ended: Ended) -> None:
        """Count one training."""
        self._evaluations.labels(ended.job, ended.outcome).inc()
        self._seconds.labels(ended.job).observe(ended.wall_s)
        self._images.inc(ended.images)

    def looked(self, hit: bool) -> None:
        """Count one look into the cache."""
        self._looks.labels("hit" if hit else "miss").inc()

    def watch(self, evaluator: Evaluator) -> None:
        """Read queue and slots of `evaluator` whenever somebody asks."""
        self._queue.set_function(lambda: evaluator.queue_length)
        self._workers.labels("busy").set_function(lambda: evaluator.busy_slots)
        self._workers.labels("idle").set_function(lambda: evaluator.slots - evaluator.busy_slots)
