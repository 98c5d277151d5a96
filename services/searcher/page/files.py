"""The page and its figures as files."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from services.common.drawing import FORMATS
from services.common.errors import InvalidRequest, Violation
from services.common.files import write_file
from services.searcher.compare import compare
from services.searcher.figures import accuracy_figure, energy_figure, latency_figure
from services.searcher.page.choices import choices
from services.searcher.page.compared import comparison_charts
from services.searcher.page.html import page
from services.searcher.page.plot import choices_figure, figure
from services.searcher.page.progress import progress_charts
from services.searcher.page.scatter import map_chart
from services.searcher.page.view import StudyView

PAGE, FIGURES = "report.html", "figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFiles:
    """What was written; `figures` are those of one kind after the other."""

    page: Path
    figures: tuple[Path, ...]


def write_page(views: Sequence[StudyView], folder: Path, formats: Sequence[str] = FORMATS) -> PageFiles:
    """Write ``report.html`` and the figures into a folder, which is made where absent.

    Parameters
    ----------
    views : sequence of StudyView
        One study, or several to be laid over each other.
    folder : Path
    formats : sequence of str
        Endings of the figures' files, of `services.common.drawing.FORMATS`.

    Raises
    ------
    InvalidRequest
        The folder cannot be written to; or too many studies.
    """
    text, figures = page(views), []
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        write_file(folder / PAGE, text.encode())
        for name, drawn in _figures(views):
            for ending in formats:
                write_file(path := folder / FIGURES / f"{name}{ending}", _content(drawn, ending))
                figures.append(path)
    except OSError as error:
        fix = "give a folder that can be written to"
        raise InvalidRequest.of(Violation("output", f"cannot write to {folder} ({error}); {fix}")) from error
    return PageFiles(page=folder / PAGE, figures=tuple(figures))


def _figures(views: Sequence[StudyView]) -> Iterator[tuple[str, Figure]]:
    if not any(view.complete for view in views):
        return
    if len(views) > 1:
        found = compare([(view.status, view.trials) for view in views])
        for chart in comparison_charts(views, found):
            yield chart.name, figure(chart, f"{len(views)} studies, of the same reference")
        return
    (view,) = views
    status, trials = view.status, view.trials
    for name, draw in (
        ("accuracy", accuracy_figure),
        ("accuracy_latency", latency_figure),
        ("accuracy_energy", energy_figure),
    ):
        yield name, draw(status, trials)
    about = f"study {view.config.name} · {view.config.dataset.name} · n = {status.complete}"
    for chart in (map_chart(view), *progress_charts(view)):
        yield chart.name, figure(chart, about)
    yield "choices", choices_figure(choices(view), about)


def _content(drawn: Figure, ending: str) -> bytes:
    """Give a figure's file; its letters stay letters, as journals ask."""
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}):
        drawn.savefig(content, format=ending.removeprefix("."))
    return content.getvalue()
