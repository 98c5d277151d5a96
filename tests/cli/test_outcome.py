"""The table at the end of a search, on wide terminals and narrow ones."""

import io

import pytest
from rich.console import Console

from services.cli.outcome import show_outcome
from services.searcher.types import StudyState, StudyStatus
from tests.cli.test_live import config, trial

NAME = "VGG32-RES32-MVGG16"


def text_at(width: int) -> str:
    trials = (trial(0, "VGG8", 0.8), trial(1, NAME, 0.9))
    status = StudyStatus(
        study_id="i", config=config(), state=StudyState.FINISHED, trials_wanted=2, complete=2, failed=0,
        running=0, best=trials[1], front=trials,
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as shown:
        show_outcome(console, status)
    return shown.get()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_a_name_is_never_broken_and_its_row_has_what_fits(width: int):
    lines = text_at(width).splitlines()
    row = next(line for line in lines if line.startswith(f"★ {NAME}"))
    assert "0.900 ± 0.010" in row
    assert " us" in row
    assert " uJ" in row
    assert (" mm2" in row) == (width >= 80)
    assert "…" not in row


def test_the_best_is_named_with_its_accuracy():
    assert f"Best by accuracy: {NAME} (0.9), accuracy 0.900 ± 0.010 on 100 validation images" in text_at(200)
