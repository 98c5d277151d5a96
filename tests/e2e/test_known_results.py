"""What one search has trained, the next one knows."""

import csv
from pathlib import Path

import pytest

from tests.e2e.conftest import SEARCH, Run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def accuracies(folder: Path) -> list[tuple[str, str]]:
    with (folder / "trials.csv").open() as file:
        return [(row["blocks"], row["accuracy_frac"]) for row in csv.DictReader(file)]


def test_a_second_search_trains_only_what_the_first_did_not(tmp_path: Path, imcnas: Run):
    first = imcnas(*SEARCH, "--study", "first", "--trials", "2")
    assert "trained before" not in first.stderr
    second = imcnas(*SEARCH, "--study", "second", "--trials", "3")
    assert "2 of these 3 candidates had been trained before" in second.stderr
    assert accuracies(tmp_path / "runs/second")[:2] == accuracies(tmp_path / "runs/first")
