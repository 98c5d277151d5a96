"""Views of a study whose costs are the oracle's, and a reader of pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import pytest

from services.hw_oracle.cost import evaluate
from services.searcher.page.view import StudyView, network_of, study_view
from services.searcher.ranking import trial_front
from services.searcher.types import StudyStatus, Trial

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Read(HTMLParser):
    """A page as its elements: tag, attributes, and the text inside; it must be well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.cells: list[list[tuple[str | None, str]]] = []
        self._open: list[str] = []
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th") and self.cells:
            self._cell = []
            self.cells[-1].append((dict(attrs).get("data-v"), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag in ("td", "th") and self._cell is not None:
            value, _ = self.cells[-1][-1]
            self.cells[-1][-1] = (value, "".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def rows(self, **marks: str) -> list[list[tuple[str | None, str]]]:
        """Cells of the table rows whose first cell is a number that sorts."""
        return [row for row in self.cells if row and row[0][0] is not None]


@pytest.fixture
def make_view(
    searched: tuple[StudyStatus, tuple[Trial, ...]],
) -> Callable[..., StudyView]:
    """Make the view of the search of 12, or of some of its trials, with the oracle's costs of the layers."""

    def make(trials: tuple[Trial, ...] | None = None, **changes: object) -> StudyView:
        status, known = searched
        chosen = known if trials is None else trials
        complete = [trial for trial in chosen if trial.accuracy]
        status = replace(
            status,
            complete=len(complete),
            failed=sum(bool(trial.failure) for trial in chosen),
            front=trial_front(status.config, chosen),
            best=max(complete, key=lambda trial: trial.fitness or 0.0, default=None),
        )
        status = replace(status, **changes)

        cost = partial(evaluate, chip=status.config.chip)

        def with_layers(number: int) -> Trial:
            (trial,) = (trial for trial in chosen if trial.number == number)
            return replace(trial, cost=cost(network_of(status.config, trial.candidate)))

        return study_view(status, chosen, with_layers, cost)

    return make
