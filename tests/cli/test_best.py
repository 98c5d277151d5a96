"""`imcnas best`: a study's best, trained again from new seeds and exported."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

from services.cli.arguments import find_dataset
from services.common.errors import TrainingFailed
from services.searcher.store import Store
from services.searcher.types import StudyState
from services.trainer.data import load_dataset
from services.trainer.export import FILES, load_network
from services.trainer.inline import InlineTrainer
from services.trainer.types import AccuracyReport, DatasetInfo
from tests.cli.conftest import Command
from tests.cli.test_live import config, trial

QUICK = ("--recipe", "quick", "--epochs", "1")


def study(dataset: DatasetInfo | None = None, **changes: Any) -> None:
    """Leave a study `mine` of three networks, on digits unless told; VGG8 is the second best."""
    made = replace(config(), name="mine", dataset=dataset or load_dataset("digits").info, seed=4, **changes)
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        opened = store.open_study(made, 3)
        for number, (blocks, share) in enumerate((("RES8", 0.7), ("VGG8", 0.8), ("MVGG8", 0.9))):
            store.insert_trial(opened, trial(number, blocks))
            store.finish_trial(opened, trial(number, blocks, share))
        store.set_state(opened.study_id, StudyState.FINISHED)
        store.release(opened.study_id)


@pytest.mark.slow
def test_the_best_are_trained_from_new_seeds_and_exported_with_a_summary(imcnas: Command) -> None:
    study()
    code, out, err = imcnas("best", "mine", "--top", "2", "--seeds", "2", *QUICK, "--export", "final")
    assert code == 0
    assert "4 trainings of 1 epochs (2 networks)" in err
    folders = [Path("final/1-MVGG8"), Path("final/2-VGG8")]
    assert sorted(p.name for p in Path("final").iterdir()) == [
        "1-MVGG8",
        "2-VGG8",
        "README.md",
        "summary.csv",
    ]
    with Path("final/summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["blocks"], row["seeds"]) for row in rows] == [("MVGG8", "2"), ("VGG8", "2")]
    for folder, row in zip(folders, rows, strict=True):
        assert {path.name for path in folder.iterdir()} == {*FILES, "hardware.txt", "hardware.json"}
        model = json.loads((folder / "model.json").read_text())
        hardware = json.loads((folder / "hardware.json").read_text())
        assert model["seed"] == int(row["exported_seed"]) in (5, 6)  # the search's was 4
        assert model["accuracy"]["test_accuracy_frac"] == float(row["exported_test_accuracy_frac"])
        assert hardware["latency_ns"] == model["cost"]["latency_ns"] == float(row["latency_ns"])
        assert len(hardware["layers"]) == len(model["network"]["layers"])
        assert load_network(folder) is not None
    lines = [line.split() for line in out.splitlines() if line.startswith("MVGG8") and "mean" not in line]
    tests = [float(line[5]) for line in lines]
    assert float(rows[0]["test_accuracy_frac"]) == pytest.approx(fmean(tests), abs=6e-4)
    assert float(rows[0]["test_accuracy_deviation_frac"]) == pytest.approx(stdev(tests), abs=1e-3)
    assert "means of 2 seeds" in Path("final/README.md").read_text()
    assert "Written: final/1-MVGG8" in out
    again = imcnas("best", "mine", "--top", "2", "--seeds", "2", *QUICK, "--export", "again")
    assert again[2].count("trained before") == 4


def test_the_front_is_walked_at_even_distances(imcnas: Command) -> None:
    study()
    code, _, _ = imcnas("best", "mine", "--top", "1", "--front", "--seeds", "1", *QUICK, "--export", "final")
    assert code == 0
    (network,) = [path.name for path in Path("final").iterdir() if path.is_dir()]
    assert network.removeprefix("1-") in ("RES8", "VGG8", "MVGG8")
    assert "of one seed" in Path("final/README.md").read_text()


def test_a_seed_that_fails_is_told_and_the_others_are_exported(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    study()
    train = InlineTrainer.evaluate

    def fail(trainer: InlineTrainer, request: Any, *hears: Any) -> AccuracyReport:
        if request.seed == 5:
            raise TrainingFailed("training of MVGG8 diverged")
        return train(trainer, request, *hears)

    monkeypatch.setattr(InlineTrainer, "evaluate", fail)
    code, _, err = imcnas("best", "mine", "--seeds", "2", *QUICK, "--export", "final")
    assert code == 1
    assert "training of MVGG8 diverged (seed 5)" in err
    assert json.loads(Path("final/1-MVGG8/model.json").read_text())["seed"] == 6


def test_data_that_the_study_did_not_see_are_refused(imcnas: Command) -> None:
    study()
    with closing(Store(Path("runs/studies.sqlite"))) as store:
        other = replace(config(), name="other", dataset=replace(config().dataset, name="digits"))
        opened = store.open_study(other, 1)
        store.insert_trial(opened, trial(0, "VGG8"))
        store.finish_trial(opened, trial(0, "VGG8", 0.5))
        store.release(opened.study_id)
    code, out, err = imcnas("best", "other", *QUICK, "--export", "final")
    assert (code, out) == (2, "")
    assert "digits is not what study other was run on" in err
    assert not Path("final").exists()


@pytest.mark.slow
def test_data_from_a_place_of_their_own_are_given_again_by_their_path(imcnas: Command) -> None:
    rng = np.random.default_rng(0)
    np.savez("mine.npz", x=rng.integers(0, 256, (60, 8, 8), np.uint8), y=np.arange(60) % 3)
    name, registry = find_dataset("npz:mine.npz")
    study(registry.load(name).info)
    for command in (("train", "--study", "mine"), ("best", "mine", "--export", "final")):
        code, _, err = imcnas(*command)
        assert code == 2
        assert "--dataset: give the data that study mine was run on, such as npz:PATH" in " ".join(
            err.split()
        )
    best = ("best", "mine", "--seeds", "1", *QUICK, "--export", "final")
    assert imcnas(*best, "--dataset", "npz:mine.npz")[0] == 0
    assert Path("final/1-MVGG8/model.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("absent", "--export", "new"), "no study 'absent'"),
        (("mine", "--export", "runs"), "runs: holds studies.sqlite, which is not replaced"),
        (("mine", "--export", "new", "--recipe", "finale"), "did you mean final"),
        (
            ("mine", "--export", "new", "--epochs", "10000", "--seeds", "100", "--top", "3"),
            "add --yes to start",
        ),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_trained(
    imcnas: Command, arguments: tuple[str, ...], told: str
) -> None:
    study()
    code, out, err = imcnas("best", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert not Path("new").exists()
