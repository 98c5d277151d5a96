"""What one search has trained, the next one knows; what programs read of one."""

import csv
import json
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


def test_a_search_for_programs_is_a_line_of_json_an_event(imcnas: Run):
    done = imcnas(*SEARCH, "--trials", "2", "--json")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == [
        "started", *["trial started", "trial finished"] * 2, "finished",
    ]  # fmt: skip
    finished = [event for event in events if event["event"] == "trial finished"]
    best = max(finished, key=lambda event: event["fitness"])
    assert events[-1]["best"]["blocks"] == best["blocks"]
    assert events[-1]["complete"] == events[0]["trials_wanted"] == 2
    assert events[-2]["left_s"] == 0
