"""Figures of a study, of the kind that the literature shows: how accurate, at what latency and energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise, product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from services.common.drawing import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    head,
    log_where_wide,
    new_figure,
    style,
    unit_of,
)
from services.common.units import NJ_PER_MJ, NJ_PER_UJ, NS_PER_MS, NS_PER_US, format_energy, format_latency
from services.searcher.pareto import front_indices
from services.searcher.types import Proposal, Strategy, StudyStatus, Trial, TrialState

_DRAWN, _MODELLED, _MUTATED, _ENQUEUED = (
    "random draw",
    "proposed by the strategy",
    "mutation of the best",
    "asked for",
)
_SERIES: dict[str, dict[str, Any]] = {
    _DRAWN: {"color": GREY, "fmt": "o", "markerfacecolor": "white", "markersize": 5},
    _MODELLED: {"color": BLUE, "fmt": "o", "markersize": 5},
    _MUTATED: {"color": GREEN, "fmt": "^", "markersize": 5.5},
    _ENQUEUED: {"color": PURPLE, "fmt": "s", "markersize": 5},
}
"""Where a trial came from, and how it is drawn."""

_ASKED = {Proposal.MUTATION: _MUTATED, Proposal.ENQUEUED: _ENQUEUED}

_LIMITS = {"latency": "max_latency_ns", "energy": "max_energy_nj"}

MAX_SEGMENTS = 1000
"""Error bars and steps that the place of a label is chosen by."""

_Point = tuple[float, float]
_Segment = tuple[_Point, _Point]


def accuracy_figure(status: StudyStatus, trials: Sequence[Trial]) -> Figure:
    """Draw each trial's accuracy in order of proposal, the highest so far, and their distribution.

    There must be a complete trial, here as in every figure.
    """
    figure, complete = new_figure(), _complete(trials)
    main, side = figure.subplots(1, 2, sharey=True, width_ratios=(4.5, 1))
    _draw_trials(main, status, trials, _number)
    highest = accumulate(map(_percent, complete), max)
    line = [*zip(map(_number, complete), highest, strict=True)]
    _draw_line(main, line, "highest so far")
    main.set_xlabel("trial")
    main.xaxis.set_major_locator(MaxNLocator(integer=True))
    bins = min(20, max(6, len(complete) // 4))
    side.hist(
        [*map(_percent, complete)], bins, orientation="horizontal", color=BLUE, alpha=0.8, edgecolor="white"
    )
    side.set_xlabel("trials")
    side.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
    style(side)
    side.tick_params(axis="y", length=0)
    _finish(figure, main, status, "Distribution of accuracy over the trials", line, complete, _number)
    return figure


def latency_figure(status: StudyStatus, trials: Sequence[Trial]) -> Figure:
    """Draw accuracy against latency, and the front of the two."""
    units = {"ms": NS_PER_MS, "µs": NS_PER_US}
    return _cost_figure(status, trials, "latency", units, lambda trial: trial.cost.latency_ns)


def energy_figure(status: StudyStatus, trials: Sequence[Trial]) -> Figure:
    """Draw accuracy against energy, and the front of the two."""
    units = {"mJ": NJ_PER_MJ, "µJ": NJ_PER_UJ, "nJ": 1.0}
    return _cost_figure(status, trials, "energy", units, lambda trial: trial.cost.energy_nj)


def _cost_figure(
    status: StudyStatus,
    trials: Sequence[Trial],
    quantity: str,
    units: dict[str, float],
    exact: Callable[[Trial], float],
) -> Figure:
    """Draw accuracy against a cost, in the first of `units` that the largest cost reaches."""
    figure, complete = new_figure(), _complete(trials)
    axes = figure.subplots()
    unit, size = unit_of(map(exact, complete), units)

    def cost(trial: Trial) -> float:
        return exact(trial) / size

    costs = [*map(cost, complete)]
    log_where_wide(axes, "x", costs)
    _draw_trials(axes, status, trials, cost)
    points = [(x, -_percent(trial)) for x, trial in zip(costs, complete, strict=True)]
    front = [points[i] for i in front_indices(points)]
    right = axes.get_xlim()[1]  # the last step goes on to the edge: at no cost seen is more accurate
    line = [*((x, -y) for x, y in front), (right, -front[-1][1])]
    _draw_line(axes, line, "front")
    limit = getattr(status.config.hardware_limits, _LIMITS[quantity])
    if limit is not None:
        axes.axvline(limit / size, color=INK, linewidth=1.1, linestyle="--", zorder=1, label="limit")
        right = max(right, 1.05 * limit / size)
    axes.set_xlim(right=right)
    axes.set_xlabel(f"{quantity} of one inference ({unit})")
    _finish(figure, axes, status, f"Accuracy against {quantity}", line, complete, cost)
    return figure


def _draw_trials(
    axes: Axes, status: StudyStatus, trials: Sequence[Trial], x_of: Callable[[Trial], float]
) -> None:
    """Draw each series with one standard error up and down."""
    series = origins(status, trials)
    for name, looks in _SERIES.items():
        members = [trial for trial in _complete(trials) if series[trial.number] == name]
        if members:
            xs, ys = [*map(x_of, members)], [*map(_percent, members)]
            axes.errorbar(
                xs, ys, [*map(_stderr_percent, members)], label=name, elinewidth=0.6, zorder=3, **looks
            )


def _draw_line(axes: Axes, line: Sequence[_Point], label: str) -> None:
    axes.plot(
        *zip(*line, strict=True),
        drawstyle="steps-post",
        color=VERMILION,
        linewidth=1.4,
        zorder=2,
        label=label,
    )


def _finish(
    figure: Figure,
    axes: Axes,
    status: StudyStatus,
    title: str,
    line: Sequence[_Point],
    complete: Sequence[Trial],
    x_of: Callable[[Trial], float],
) -> None:
    """Add title, legend, and the best with its name."""
    config, best = status.config, status.best
    count = f"n = {status.complete}" + (f" and {status.failed} failed" if status.failed else "")
    about = f"study {config.name} · {config.dataset.name} · objective {config.objective} · {count}"
    head(axes, title, about)
    axes.margins(y=0.12)  # room for the label
    which = "accuracy on the chip" if config.on_chip else "validation accuracy"
    axes.set_ylabel(f"{which} (%), ± 1 standard error")
    style(axes)
    if best is None:
        return
    x, y = x_of(best), _percent(best)
    axes.plot(
        [x], [y], "*", markersize=15, color=ORANGE, markeredgecolor=INK, markeredgewidth=0.8, zorder=5,
        label="best by the objective",
    )  # fmt: skip
    figure.legend(loc="outside lower left", ncols=5, frameon=False, fontsize=8.5, handletextpad=0.4)
    cost = f"{format_latency(best.cost.latency_ns)}, {format_energy(best.cost.energy_nj)}"
    label = f"{_wrapped(str(best.candidate))}\n{y:.1f} % at {cost.replace(' u', ' µ')}"
    _place(figure, axes, label, (x, y), [*_bars(complete, x_of), *_steps(line)])


def _bars(complete: Sequence[Trial], x_of: Callable[[Trial], float]) -> list[_Segment]:
    """Error bars, whose middles are the points."""
    spans = [(x_of(trial), _percent(trial), _stderr_percent(trial)) for trial in complete]
    return [((x, y - error), (x, y + error)) for x, y, error in spans]


def _steps(line: Sequence[_Point]) -> list[_Segment]:
    """Segments of a line drawn in steps."""
    corners = [(after[0], before[1]) for before, after in pairwise(line)]
    return [*zip(line, corners, strict=False), *zip(corners, line[1:], strict=True)]


def _place(figure: Figure, axes: Axes, label: str, target: _Point, segments: Sequence[_Segment]) -> None:
    """Write `label` near `target` where it hides least of the segments; layout and scales must be final."""
    figure.draw_without_rendering()
    text = axes.annotate(
        label, target, (0, 0), textcoords="offset points", fontsize=8, color=INK, va="center", ha="center",
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkB": 6}, zorder=6,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip
    segments = segments[:: 1 + len(segments) // MAX_SEGMENTS]  # some are enough to see where it is crowded
    begins, ends = (axes.transData.transform([segment[i] for segment in segments]) for i in (0, 1))
    pixels = np.linspace(begins, ends, 41).reshape(-1, 2)
    inside, at_target = axes.get_window_extent(), text.get_window_extent().padded(8)

    def badness(offset: tuple[float, float]) -> tuple[bool, int, float]:
        box = at_target.translated(*(figure.dpi / 72 * part for part in offset))
        outside = not (inside.contains(box.x0, box.y0) and inside.contains(box.x1, box.y1))
        return outside, int(box.count_contains(pixels)), abs(offset[0]) + 2 * abs(offset[1])

    # Aslant, so that the line to the label is taken for neither a step of the front nor an error bar.
    aslant = [
        (x, y) for x, y in product(range(-220, 221, 20), range(-140, 141, 14)) if min(abs(x), abs(y)) >= 28
    ]
    text.set_position(min(aslant, key=badness))
    text.set_in_layout(False)


def origins(status: StudyStatus, trials: Sequence[Trial]) -> dict[int, str]:
    """Series of each trial by its number; start-up is random and counts trials that did not fail."""
    config, series, told = status.config, {}, 0
    for trial in trials:
        startup = config.strategy is Strategy.RANDOM or told < config.startup_trials
        if trial.proposal in _ASKED:
            series[trial.number] = _ASKED[trial.proposal]
        else:
            series[trial.number] = _DRAWN if startup or trial.proposal is Proposal.DRAW else _MODELLED
        told += trial.state is not TrialState.FAILED
    return series


def _complete(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.accuracy is not None]


def _wrapped(name: str, width: int = 28) -> str:
    """Break a compact name after a hyphen into lines of about `width`."""
    lines = [""]
    for block in name.split("-"):
        if lines[-1] and len(lines[-1]) + len(block) >= width:
            lines.append("")
        lines[-1] += f"{block}-"
    return "\n".join(lines)[:-1]


def _number(trial: Trial) -> float:
    return float(trial.number)


def _percent(trial: Trial) -> float:
    return 100 * trial.accuracy_frac


def _stderr_percent(trial: Trial) -> float:
    return 100 * trial.accuracy_stderr_frac
