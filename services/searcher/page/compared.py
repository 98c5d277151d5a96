"""Charts that lay several studies over each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from services.common.drawing import unit_of
from services.searcher.compare import Comparison
from services.searcher.page.chart import STUDIES, Axis, Chart, Line, Look, Mark, Points, is_wide
from services.searcher.page.progress import hypervolumes
from services.searcher.page.scatter import ACCURACY, ENERGY, LATENCY, Quantity, front_line, steps
from services.searcher.page.view import StudyView, finished, percent, stderr_percent, told
from services.searcher.pareto import front_indices
from services.searcher.types import Trial

MAX_STUDIES = len(STUDIES)
"""Studies that colours and shapes tell apart."""


def comparison_charts(views: Sequence[StudyView], comparison: Comparison) -> list[Chart]:
    """Draw fronts and progress of studies, of which one at least has a complete trial."""
    trained = [(view, look) for view, look in zip(views, STUDIES, strict=False) if view.complete]
    charts = [_fronts([*trained], quantity) for quantity in (LATENCY, ENERGY)]
    trainings = Axis(label="trainings", whole=True)
    highest, volumes = [], []
    for view, look in trained:
        ended, name = finished(view.trials), view.config.name
        shares = accumulate((percent(trial) if trial.accuracy else 0.0 for trial in ended), max)
        highest.append(Line(name=name, look=look, corners=_line([*shares])))
        found = hypervolumes(ended, "latency_ns", comparison.reference_latency_ns)
        volumes.append(Line(name=name, look=look, corners=_line([value or 0.0 for value in found])))
    return [
        *charts,
        Chart(
            name="compared_accuracy", title="Highest accuracy so far", x=trainings, y=ACCURACY,
            lines=tuple(highest),
        ),
        Chart(
            name="compared_hypervolume", title="Hypervolume of accuracy and latency", x=trainings,
            y=Axis(label="hypervolume (share of the reference)"), lines=tuple(volumes),
        ),
    ]  # fmt: skip


def _fronts(trained: Sequence[tuple[StudyView, Look]], quantity: Quantity) -> Chart:
    """Draw the front of accuracy and a cost of each study."""
    name, units, field = quantity
    unit, size = unit_of((getattr(t.cost, field) for view, _ in trained for t in view.complete), units)

    def cost_of(trial: Trial) -> float:
        return float(getattr(trial.cost, field)) / size

    right = max(cost_of(trial) for view, _ in trained for trial in view.complete)
    points, lines = [], []
    for view, look in trained:
        complete = view.complete
        line = front_line(complete, cost_of)
        chosen = front_indices([(cost_of(trial), -percent(trial)) for trial in complete])
        marks = tuple(
            Mark(
                x=cost_of(t), y=percent(t), error=stderr_percent(t), number=t.number,
                label=f"{view.config.name}: {told(t)}",
            )
            for t in (complete[i] for i in chosen)
        )  # fmt: skip
        points.append(Points(name=view.config.name, look=look, marks=marks))
        lines.append(Line(name="", look=look, corners=(*line, (right, line[-1][1]))))
    costs = [mark.x for series in points for mark in series.marks] + [right]
    return Chart(
        name=f"compared_{name}", title=f"Fronts of accuracy and {name}", y=ACCURACY, points=tuple(points),
        x=Axis(label=f"{name} of one inference ({unit})", log=is_wide(costs)), lines=tuple(lines),
    )  # fmt: skip


def _line(values: Sequence[float]) -> tuple[tuple[float, float], ...]:
    return steps([(float(n), value) for n, value in enumerate(values, start=1)])
