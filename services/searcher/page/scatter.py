"""Charts of trials as points: accuracy in order, against latency, against energy, and the three at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np

from services.common.drawing import unit_of
from services.common.units import NJ_PER_MJ, NJ_PER_UJ, NS_PER_MS, NS_PER_US
from services.searcher.figures import origins
from services.searcher.page.chart import Axis, Bars, Chart, Line, Look, Mark, Points, Rule, is_wide
from services.searcher.page.view import Reference, StudyView, percent, stderr_percent, told
from services.searcher.pareto import front_indices
from services.searcher.types import Trial

MAX_POINTS = 1500
"""Points that one chart draws; of more, some are left out, and the chart says so."""

LATENCY = ("latency", {"ms": NS_PER_MS, "µs": NS_PER_US}, "latency_ns")
ENERGY = ("energy", {"mJ": NJ_PER_MJ, "µJ": NJ_PER_UJ, "nJ": 1.0}, "energy_nj")
"""What a cost axis shows: its name, its units, and the field that holds it."""

Quantity = tuple[str, dict[str, float], str]

ACCURACY, TRIAL = Axis(label="accuracy (%)"), Axis(label="trial", whole=True)

_LOOKS = {
    "random draw": Look.DRAWN,
    "proposed by the strategy": Look.MODELLED,
    "mutation of the best": Look.MUTATED,
    "asked for": Look.ENQUEUED,
}


def accuracy_chart(view: StudyView) -> Chart:
    """Show each trial's accuracy in the order of proposal, and the highest so far."""
    drawn, note = thin(view)
    highest = accumulate(map(percent, view.complete), max)
    line = [(_number(t), y) for t, y in zip(view.complete, highest, strict=True)]
    return Chart(
        name="trials", title="Accuracy of each trial", note=note, x=TRIAL, y=ACCURACY,
        points=(*series(view, drawn, _number), *_best(view, _number)),
        lines=(Line(name="highest so far", look=Look.FRONT, corners=steps(line)),),
    )  # fmt: skip


def time_chart(view: StudyView) -> Chart:
    """Show how long each training took."""
    drawn, note = thin(view)
    points = tuple(
        Points(
            name=kind.name, look=kind.look,
            marks=tuple(replace(mark, y=took[mark.number or 0], error=0.0) for mark in kind.marks),
        )
        for took in ({t.number: t.accuracy.train_s for t in drawn if t.accuracy},)
        for kind in series(view, drawn, _number)
    )  # fmt: skip
    log = is_wide(mark.y for kind in points for mark in kind.marks)
    return Chart(
        name="training_time", title="Time of each training", note=note, x=TRIAL,
        y=Axis(label="training (s)", log=log), points=points,
    )  # fmt: skip


def distribution_chart(view: StudyView) -> Chart:
    """Count the trials by accuracy."""
    values = [*map(percent, view.complete)]
    counts, edges = np.histogram(values, min(20, max(6, len(values) // 4)))
    best = [view.status.best] if view.status.best else []
    rules = tuple(Rule(axis="x", value=percent(t), label="best", look=Look.BEST) for t in best)
    return Chart(
        name="distribution", title="Distribution of accuracy", x=ACCURACY, y=Axis(label="trials", whole=True),
        bars=Bars(edges=tuple(map(float, edges)), counts=tuple(map(int, counts))), rules=rules,
    )  # fmt: skip


def cost_chart(view: StudyView, quantity: Quantity) -> Chart:
    """Show accuracy against a cost, the front of the two, limits, and the known networks."""
    name, units, field = quantity
    costs = [getattr(trial.cost, field) for trial in view.complete]
    unit, size = unit_of(costs, units)

    def cost_of(owner: Trial | Reference) -> float:
        return float(getattr(owner.cost, field)) / size

    drawn, note = thin(view)
    limit = view.limit(f"max_{field}")
    rules = (
        []
        if limit is None
        else [Rule(axis="x", value=limit / size, label=f"limit {limit / size:,.4g} {unit}")]
    )
    known, untrained = _references(view, cost_of)
    points = (*series(view, drawn, cost_of), *_best(view, cost_of), *known)
    all_x = [mark.x for kind in points for mark in kind.marks] + [rule.value for rule in (*rules, *untrained)]
    line = front_line(view.complete, cost_of)
    return Chart(
        name=f"accuracy_{name}", title=f"Accuracy against {name}", note=_joined(note, _untrained(view)),
        x=Axis(label=f"{name} of one inference ({unit})", log=is_wide(all_x)), y=ACCURACY,
        points=points, rules=(*rules, *untrained),
        lines=(Line(name="front of the two", look=Look.FRONT, corners=(*line, (max(all_x), line[-1][1]))),),
    )  # fmt: skip


def map_chart(view: StudyView) -> Chart:
    """Show the front on a map: latency and energy as the axes, accuracy as the colour."""
    latency_unit, ns = unit_of((t.cost.latency_ns for t in view.complete), LATENCY[1])
    energy_unit, nj = unit_of((t.cost.energy_nj for t in view.complete), ENERGY[1])
    shares = [*map(percent, view.complete)]
    low, high = min(shares), max(shares)
    front = {trial.number for trial in view.status.front}
    drawn, note = thin(view)

    def marks(on_front: bool) -> tuple[Mark, ...]:
        chosen = sorted((t for t in drawn if (t.number in front) is on_front), key=percent)
        return tuple(
            Mark(
                x=t.cost.latency_ns / ns, y=t.cost.energy_nj / nj, label=told(t), number=t.number,
                shade_frac=(percent(t) - low) / (high - low) if high > low else 1.0,
            )
            for t in chosen
        )  # fmt: skip

    points = [
        Points(name="dominated", look=Look.SHADED, marks=marks(False)),
        Points(name=f"on the front of {view.front_names}", look=Look.FRONT, marks=marks(True)),
    ]
    best = view.status.best
    if best:
        mark = Mark(
            x=best.cost.latency_ns / ns, y=best.cost.energy_nj / nj, label=told(best), number=best.number
        )
        points.append(Points(name="best by the objective", look=Look.BEST, marks=(mark,)))
    limits = (
        ("x", view.limit("max_latency_ns"), ns, latency_unit),
        ("y", view.limit("max_energy_nj"), nj, energy_unit),
    )
    rules = tuple(
        Rule(axis=axis, value=limit / size, label=f"limit {limit / size:,.4g} {unit}")
        for axis, limit, size, unit in limits
        if limit is not None
    )
    costs = [
        [mark.x for kind in points for mark in kind.marks],
        [mark.y for kind in points for mark in kind.marks],
    ]
    return Chart(
        name="front", title=f"Front of {view.front_names}", note=note,
        x=Axis(label=f"latency of one inference ({latency_unit})", log=is_wide(costs[0])),
        y=Axis(label=f"energy of one inference ({energy_unit})", log=is_wide(costs[1])),
        points=tuple(kind for kind in points if kind.marks), rules=rules,
        shade=("accuracy (%)", low, high),
    )  # fmt: skip


def thin(view: StudyView) -> tuple[list[Trial], str]:
    """Choose the trials to draw: all, or the front, the best and an even choice of the others; and say so."""
    complete = view.complete
    if len(complete) <= MAX_POINTS:
        return [*complete], ""
    kept = {trial.number for trial in view.status.front} | {view.status.best and view.status.best.number}
    others = [trial for trial in complete if trial.number not in kept]
    room = max(MAX_POINTS - (len(complete) - len(others)), 0)
    chosen = {others[i * len(others) // room].number for i in range(room)} | kept
    drawn = [trial for trial in complete if trial.number in chosen]
    told = f"{len(drawn):,} of {len(complete):,} trials are drawn: the front, the best, and one in "
    return drawn, f"{told}{len(others) / max(room, 1):.1f} of the others. Lines and counts are of all."


def series(view: StudyView, drawn: Sequence[Trial], x_of: Callable[[Trial], float]) -> Iterator[Points]:
    """Give the points of each kind of proposal, with one standard error of the accuracy."""
    kinds = origins(view.status, view.trials)
    for name, look in _LOOKS.items():
        marks = tuple(
            Mark(x=x_of(t), y=percent(t), error=stderr_percent(t), label=told(t), number=t.number)
            for t in drawn
            if kinds[t.number] == name
        )
        if marks:
            yield Points(name=name, look=look, marks=marks)


def steps(line: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Leave of a line in steps its corners: the first, the last, and where its value changes."""
    kept = [line[0], *(after for before, after in pairwise(line) if after[1] != before[1])]
    return tuple(kept if kept[-1] == line[-1] else [*kept, line[-1]])


def front_line(complete: Sequence[Trial], x_of: Callable[[Trial], float]) -> list[tuple[float, float]]:
    """Give the front of accuracy against a cost as a line in steps."""
    points = [(x_of(trial), -percent(trial)) for trial in complete]
    return [(points[i][0], -points[i][1]) for i in front_indices(points)]


def _number(trial: Trial) -> float:
    return float(trial.number)


def _best(view: StudyView, x_of: Callable[[Trial], float]) -> tuple[Points, ...]:
    best = view.status.best
    if best is None:
        return ()
    mark = Mark(x=x_of(best), y=percent(best), label=told(best), number=best.number)
    return (Points(name="best by the objective", look=Look.BEST, marks=(mark,), named=True),)


def _untrained(view: StudyView) -> str:
    told = [f"{known.name} ({known.candidate})" for known in view.references if not known.trial]
    return f"Dotted: what known networks cost that were not trained here: {', '.join(told)}." if told else ""


def _joined(*notes: str) -> str:
    return " ".join(note for note in notes if note)


def _references(
    view: StudyView, x_of: Callable[[Trial | Reference], float]
) -> tuple[tuple[Points, ...], tuple[Rule, ...]]:
    """Give the known networks: as points where they were trained, else as their cost alone."""
    trained = tuple(
        Mark(x=x_of(known), y=percent(known.trial), label=f"{known.name}, {told(known.trial)}")
        for known in view.references
        if known.trial
    )
    points = (Points(name="known network, trained", look=Look.REFERENCE, marks=trained, named=True),)
    rules = tuple(
        Rule(axis="x", value=x_of(known), label=known.name, look=Look.REFERENCE)
        for known in view.references
        if not known.trial
    )
    return points if trained else (), rules
