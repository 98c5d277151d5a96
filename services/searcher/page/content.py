"""What the template is filled with: texts and numbers of each study, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from services.common.units import format_area, format_energy, format_latency
from services.searcher.compare import compare
from services.searcher.page.chart import Chart
from services.searcher.page.choices import choices, top_tenth
from services.searcher.page.compared import comparison_charts
from services.searcher.page.networks import drawing
from services.searcher.page.progress import progress_charts
from services.searcher.page.rows import compared_row, failure_rows, fitness_unit, trial_rows
from services.searcher.page.scatter import (
    ENERGY,
    LATENCY,
    accuracy_chart,
    cost_chart,
    distribution_chart,
    map_chart,
    time_chart,
)
from services.searcher.page.settings import settings
from services.searcher.page.svg import draw, swatch
from services.searcher.page.view import StudyView, energy, latency, percent, pretty, stderr_percent
from services.searcher.report import reading_notes
from services.searcher.types import StudyState, Trial

NOISE = (
    "Accuracies are of {} validation images, one training each; bars are one standard error of that count. "
    "What another seed or order of the images would change comes on top: networks within two bars of each "
    "other are not told apart. Latency and energy are exact for the chip's model."
)
GOOD = (
    "Of {} complete trials, the {} of the highest fitness, and the {} on the front of {}. What the search "
    "was steered to is in all of them: a share is no proof of a cause, least of all of few networks."
)
PROGRESS = (
    "Hypervolume: the share of accuracy 1 by the largest cost of any trial here that the trials so far "
    "dominate. Time is that of the clock since the first trial began, pauses included; what another study "
    "had trained before took next to none of it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart with its drawing, and the legend: names with what stands for them."""

    chart: Chart
    svg: Markup
    legend: tuple[tuple[str, Markup], ...]


def drawn(chart: Chart) -> Drawn:
    """Draw a chart for the page."""
    names = [(points.name, swatch(points.look)) for points in chart.points if points.name]
    names += [(line.name, swatch(line.look, line=True)) for line in chart.lines if line.name]
    return Drawn(chart=chart, svg=draw(chart), legend=tuple(names))


def study_content(view: StudyView, index: int) -> dict[str, Any]:
    """Tell of a study, number `index` of the page from 1 on."""
    status, config = view.status, view.config
    content: dict[str, Any] = {
        "index": index,
        "name": config.name,
        "lead": _lead(view),
        "failure": status.failure,
        "note": status.note,
        "notes": reading_notes(status, view.trials),
        "settings": settings(view),
        **failure_rows(view),
    }
    content |= dict.fromkeys(("facts", "charts", "networks", "choices", "progress", "rows"), ())
    if not view.complete:
        return content
    validation = next(trial.accuracy.validation_images for trial in view.complete if trial.accuracy)
    found = (cost_chart(view, LATENCY), cost_chart(view, ENERGY), map_chart(view), distribution_chart(view))
    progress = (*progress_charts(view), accuracy_chart(view), time_chart(view))
    counts = (len(view.complete), len(top_tenth(view.complete)), len(status.front))
    return content | {
        "facts": _facts(view),
        "noise": NOISE.format(f"{validation:,}"),
        "charts": [*map(drawn, found)],
        "networks": [_network(view, trial) for trial in view.networks],
        "choices": choices(view),
        "choices_note": GOOD.format(*(f"{count:,}" for count in counts), view.front_names),
        "progress": [*map(drawn, progress)],
        "progress_note": PROGRESS,
        **trial_rows(view),
    }


def comparison_content(views: Sequence[StudyView]) -> dict[str, Any] | None:
    """Tell how several studies compare; None for a single one."""
    if len(views) < 2:
        return None
    found = compare([(view.status, view.trials) for view in views])
    charts = comparison_charts(views, found) if any(view.complete for view in views) else []
    at = f"{format_latency(found.reference_latency_ns)} and {format_energy(found.reference_energy_nj)}"
    return {
        "rows": [*map(compared_row, found.rows)],
        "reference": pretty(at),
        "notes": found.notes,
        "charts": [*map(drawn, charts)],
    }


def _lead(view: StudyView) -> str:
    status, config, data = view.status, view.config, view.config.dataset
    failed = f" and {status.failed:,} failed" if status.failed else ""
    state = "ended by an error" if status.state is StudyState.FAILED else str(status.state)
    return (
        f"{status.complete:,} of {status.trials_wanted:,} trials complete{failed}, {state}. "
        f"Networks for {data.classes} classes of {data.input_shape} images ({data.name}), "
        f"proposed by {config.strategy} for {config.objective}, costed on {config.chip_name}."
    )


def _facts(view: StudyView) -> list[tuple[str, str, str]]:
    best, facts = view.status.best, []
    if best:
        fitness = f"{best.fitness:.4g} {fitness_unit(view.fitness_unit)}".strip()
        why = "the most accurate" if view.seeks_front else f"{fitness} by {view.config.objective}"
        facts += [
            ("Best network", str(best.candidate), why),
            ("Its accuracy", f"{percent(best):.1f} %", f"± {stderr_percent(best):.1f}, one standard error"),
            ("Latency", latency(best.cost), "of one inference"),
            ("Energy", energy(best.cost), "of one inference"),
            ("Area", pretty(format_area(best.cost.area_um2)), f"{best.cost.tiles:,} tiles"),
        ]
    top = max(view.complete, key=percent)
    if best is None or percent(top) > percent(best):
        facts.append(("Highest accuracy", f"{percent(top):.1f} %", f"{top.candidate}, {latency(top.cost)}"))
    front = f"undominated in {view.front_names}"
    return [*facts, ("Front", f"{len(view.status.front):,} networks", front)]


def _network(view: StudyView, trial: Trial) -> dict[str, Any]:
    return {
        "drawing": drawing(view, trial),
        "best": view.status.best is not None and trial.number == view.status.best.number,
        "accuracy": f"{percent(trial):.1f} ± {stderr_percent(trial):.1f} %",
        "latency": latency(trial.cost),
        "energy": energy(trial.cost),
    }
