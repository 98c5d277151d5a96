"""The searcher's metrics."""

from __future__ import annotations

from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.searcher.events import Event, SearchFinished, SearchStarted, TrialFinished
from services.searcher.ranking import best_trial, trial_front
from services.searcher.status import latency_hypervolume
from services.searcher.types import StudyConfig, Trial

MAX_STUDIES = 50
"""Studies that have gauges of their own at once; later ones are only counted."""

_ASK_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)


class SearcherMetrics:
    """What searches do, in the registry given; gauges carry the study's name until its search ends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._trials = Counter("imcnas_search_trials", "Trials finished.", ("outcome",), registry=registry)
        self._ask = Histogram(
            "imcnas_search_ask_seconds", "Time to a proposal.", registry=registry, buckets=_ASK_BUCKETS_S
        )
        self._best, self._front, self._volume, self._last = self._gauges = [
            Gauge(f"imcnas_search_{name}", text, ("study",), registry=registry)
            for name, text in (
                ("best_objective", "Highest fitness, in the objective's unit."),
                ("pareto_points", "Trials on the front of the study's quantities."),
                ("hypervolume", "Dominated share of accuracy 0..1 by latency 0..dearest start-up trial."),
                ("last_trial_timestamp_seconds", "Unix time of the last finished trial."),
            )
        ]
        self._lock = Lock()  # searches tell their events from threads of their own
        self._studies: dict[str, tuple[StudyConfig, list[Trial]]] = {}

    def tell(self, event: Event) -> None:
        """Take note of an event of a search."""
        with self._lock:
            match event:
                case SearchStarted() if len(self._studies) < MAX_STUDIES:
                    self._studies[event.study_id] = (event.config, list(event.trials))
                    self._show(event.study_id)
                case TrialFinished():
                    self._trials.labels(event.trial.state).inc()
                    self._ask.observe(event.trial.ask_s)
                    if event.study_id in self._studies:
                        self._studies[event.study_id][1].append(event.trial)
                        self._show(event.study_id)
                case SearchFinished():
                    config, _ = self._studies.pop(event.status.study_id, (None, []))
                    for gauge in self._gauges if config else ():
                        gauge.remove(event.status.config.name)
                case _:
                    pass

    def _show(self, study_id: str) -> None:
        config, trials = self._studies[study_id]
        name = config.name
        best = best_trial(trials)
        self._best.labels(name).set(best.fitness if best and best.fitness is not None else float("nan"))
        self._front.labels(name).set(len(trial_front(config, trials)))
        dearest_ns = max((t.cost.latency_ns for t in trials[: config.startup_trials]), default=1.0)
        self._volume.labels(name).set(latency_hypervolume(trials, dearest_ns))
        self._last.labels(name).set(max((trial.finished_at for trial in trials), default=0.0))
