"""`imcnas train`: what it shows, keeps, refuses, and how it ends."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from services.cli import train as train_command
from services.cli.train_view import TrainView
from services.common.candidate import candidate_layers, parse_candidate
from services.common.errors import TrainingFailed
from services.hw_oracle.chips import load_chip
from services.hw_oracle.cost import evaluate
from services.trainer import client
from services.trainer.analog_types import ChipDraw
from services.trainer.data import load_dataset
from services.trainer.export import load_network
from services.trainer.inline import InlineTrainer
from services.trainer.types import AccuracyReport, EpochReport
from tests.cli.conftest import Command
from tests.trainer.evaluators import request

TINY = ("--dataset", "digits", "--epochs", "1")


def rows(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_help_teaches_by_examples(imcnas: Command) -> None:
    out = imcnas("train", "--help")[1]
    assert "imcnas train VGG16-RES32 --on-chip --chip isaac" in out.split("For example:")[1]


def test_a_table_tells_accuracy_with_its_error_and_the_cost(imcnas: Command) -> None:
    code, out, err = imcnas("train", "VGG4", *TINY)
    assert code == 0
    header, row, *notes = out.splitlines()
    assert header.split() == ["network", "accuracy", "latency", "energy", "area"]
    assert row.split()[0] == "VGG4"
    assert row.split()[2] == "±"
    assert notes[0].startswith(
        "400 validation images of digits, ± one standard error; recipe quick, 1 epochs"
    )
    assert "epoch 1/1  loss" in err


def test_what_was_trained_once_is_known(imcnas: Command) -> None:
    first = imcnas("train", "VGG4", *TINY)
    code, out, err = imcnas("train", "VGG4", *TINY)
    assert (code, out) == first[:2]
    assert "trained before" in err
    assert "epoch" not in err


def test_a_test_figure_that_is_known_is_not_shown_to_who_did_not_ask(imcnas: Command) -> None:
    assert "test" in imcnas("train", "VGG4", *TINY, "--test")[1].split()
    code, out, _ = imcnas("train", "VGG4", *TINY, "--seeds", "2")  # the test figure of one seed is known
    assert code == 0
    assert out.splitlines()[0].split() == ["network", "seed", "accuracy", "latency", "energy", "area"]
    row = rows(imcnas("train", "VGG4", *TINY, "--json")[1])[0]
    assert row["accuracy"]["test_accuracy_frac"] is row["test_accuracy_stderr_frac"] is None


def test_programs_get_a_row_a_training_with_the_oracles_cost(imcnas: Command) -> None:
    code, out, err = imcnas(
        "train", "VGG4", "RES4", *TINY, "--seed", "3", "--seeds", "2", "--json", "--quiet"
    )
    assert (code, err) == (0, "")
    assert [(row["blocks"], row["seed"]) for row in rows(out)] == [
        ("VGG4", 3), ("VGG4", 4), ("RES4", 3), ("RES4", 4),
    ]  # fmt: skip
    row = rows(out)[0]
    net = candidate_layers(parse_candidate("VGG4"), load_dataset("digits").info.input_shape, 10)
    report = evaluate(net, load_chip("mnsim2_default"))
    for key in ("latency_ns", "energy_nj", "area_um2", "tiles"):
        assert row["cost"][key] == getattr(report, key)
    assert row["epochs"] == 1
    assert row["on_chip"] is None


def test_seeds_end_with_their_mean_and_deviation(imcnas: Command) -> None:
    out = imcnas("train", "VGG4", *TINY, "--seeds", "2")[1]
    lines = out.splitlines()
    a, b = (float(line.split()[2]) for line in lines[1:3])
    network, seed, mean, _, deviation, *_ = lines[3].split()
    assert (network, seed) == ("VGG4", "mean")
    assert float(mean) == pytest.approx((a + b) / 2, abs=0.0011)
    assert float(deviation) == pytest.approx(abs(a - b) / 2**0.5, abs=0.0016)
    assert "± deviation between them" in out


def test_accuracy_on_the_chip_is_of_the_weights_that_were_kept(imcnas: Command) -> None:
    imcnas("train", "VGG4", *TINY)
    chips = ("--on-chip", "--draws", "2", "--exact-draws", "1")
    code, out, err = imcnas("train", "VGG4", *TINY, *chips)
    assert code == 0
    assert "accuracy    on the chip  exactly" in out.splitlines()[0]
    assert "mean ± deviation of 2 drawn chips; exactly: of 1 of them" in out
    assert "chip 2  accuracy" in err
    assert "chip 1, exactly  accuracy" in err
    assert "trained before" in err
    (row,) = rows(imcnas("train", "VGG4", *TINY, *chips, "--json", "--bits", "8,4,8")[1])
    assert row["on_chip"]["float_frac"] == row["accuracy"]["accuracy_frac"]
    assert len(row["on_chip"]["folded"]["draws_frac"]) == 2
    assert (row["on_chip"]["config"]["activation_bits"], row["on_chip"]["config"]["weight_bits"]) == (8, 4)


def test_an_export_is_the_network_that_was_trained(imcnas: Command) -> None:
    code, _, err = imcnas("train", "VGG4", *TINY, "--test", "--export", "mine")
    assert code == 0
    assert "Written: mine/model.onnx" in err
    row = json.loads(Path("mine/model.json").read_text())
    digits = load_dataset("digits")
    with torch.inference_mode():
        scores = load_network("mine")(torch.tensor(digits.images[digits.test]).float())
    right = (scores.argmax(1).numpy() == digits.labels[digits.test]).mean()
    assert row["accuracy"]["test_accuracy_frac"] == right
    assert "| test images" not in Path("mine/README.md").read_text()


def test_a_folder_in_use_is_refused_before_anything_is_trained(imcnas: Command) -> None:
    imcnas("train", "VGG4", *TINY, "--export", "mine")
    code, _, err = imcnas("train", "VGG4", *TINY, "--seed", "9", "--export", "mine")
    assert code == 2
    assert "mine: holds an export; give another name, or replace it with --force" in err
    assert "epoch" not in err
    assert imcnas("train", "VGG4", *TINY, "--seed", "9", "--export", "mine", "--force")[0] == 0
    assert json.loads(Path("mine/model.json").read_text())["seed"] == 9


def test_ctrl_c_keeps_what_was_finished_and_the_same_command_goes_on(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = TrainView.begin

    def interrupt(view: TrainView, request: Any) -> None:
        begin(view, request)
        if request.seed == 1:
            raise KeyboardInterrupt

    command = ("train", "VGG4", *TINY, "--seeds", "3")
    with monkeypatch.context() as stopping:
        stopping.setattr(TrainView, "begin", interrupt)
        code, out, err = imcnas(*command)
    assert code == 130
    assert "Stopped: 1 of 3 trainings are finished and kept in runs; the same command goes on" in err
    assert len([line for line in out.splitlines() if line.startswith("VGG4")]) == 1
    code, _, err = imcnas(*command)
    assert code == 0
    assert err.count("trained before") == 1


def test_a_training_that_fails_is_told_and_the_others_go_on(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = InlineTrainer.evaluate

    def fail(trainer: InlineTrainer, request: Any, *hears: Any) -> AccuracyReport:
        if request.seed == 0:
            raise TrainingFailed("training of VGG4 diverged")
        return train(trainer, request, *hears)

    monkeypatch.setattr(InlineTrainer, "evaluate", fail)
    code, out, err = imcnas("train", "VGG4", *TINY, "--seeds", "2", "--json")
    assert code == 1
    assert "imcnas: training of VGG4 diverged (seed 0)" in err
    failed, trained = rows(out)
    assert (failed["error"]["reason"], failed["seed"], trained["seed"]) == ("TRAINING_FAILED", 0, 1)


def test_a_network_that_does_not_fit_the_chip_is_trained_all_the_same(imcnas: Command) -> None:
    Path("small.toml").write_text("grid_rows = 1\ngrid_columns = 1\n")
    code, out, err = imcnas("train", "VGG4", *TINY, "--chip", "small.toml")
    assert code == 0
    assert "Note: VGG4: " in err
    assert "does not fit" in out


@pytest.mark.slow
def test_the_best_of_a_study_is_trained_with_what_the_study_had(imcnas: Command) -> None:
    imcnas("search", "--trials", "1", "--study", "mine", "--seed", "5", "--chip", "isaac", "--quiet")
    best = json.loads(Path("runs/mine/best.json").read_text())
    code, out, _ = imcnas("train", "--study", "mine", "--json", "--quiet")
    assert code == 0
    (row,) = rows(out)
    for key in ("candidate", "seed", "chip_name", "dataset", "recipe"):
        assert row[key] == best[key]
    assert row["accuracy"]["accuracy_frac"] == best["accuracy"]["accuracy_frac"]


class Elsewhere(InlineTrainer):
    """A trainer's client, with the trainer in it."""

    def __init__(self, address: str) -> None:
        assert address == "host:1"
        super().__init__()


def test_a_trainer_elsewhere_trains_and_judges_on_chips(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "Trainer", Elsewhere)
    code, out, _ = imcnas(
        "train", "VGG4", *TINY, "--trainer", "host:1", "--on-chip", "--draws", "1", "--json"
    )
    assert code == 0
    assert len(rows(out)[0]["on_chip"]["folded"]["draws_frac"]) == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "CANDIDATE: give either blocks such as VGG16-RES32, or --study NAME"),
        (("VGG4", "--study", "s"), "CANDIDATE: give either"),
        (("VGG4", "--trial", "1"), "--trial: is one of a study; add --study NAME"),
        (("VGX4",), "VGX4"),
        (
            ("VGG4", "VGG8", "--export", "mine"),
            "--export: got '2 trainings', wanted one candidate and",
        ),
        (("VGG4", "--draws", "3"), "--draws: is of --on-chip; add it"),
        (("VGG4", "--on-chip", "--exact-draws", "6"), "--exact-draws: got 6, wanted at most --draws, 5"),
        (("VGG4", "--trainer", "h:1", "--export", "mine"), "--export: needs the weights"),
        (("VGG4", "--trainer", "h:1", "--dataset", "npz:a.npz"), "--dataset: got 'npz:a.npz', wanted a name"),
        (("VGG4", "--dataset", "digit"), "did you mean digits"),
        (("VGG4", "--recipe", "quik"), "did you mean quick"),
        (("VGG4", "--chip", "isac"), "did you mean isaac"),
        (("VGG4", "--bits", "x"), "--bits: got 'x'"),
        (("--study", "s"), "run imcnas search first, or give their folder with --runs"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    imcnas: Command, arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = imcnas("train", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert not Path("runs").exists()


def test_a_terminal_gets_a_bar_and_a_line_for_what_ended() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, highlight=False, width=120)
    epochs = tuple(
        EpochReport(epoch=n, train_loss_nats=1.5, validation_accuracy_frac=0.25 * n, elapsed_s=1.0)
        for n in (1, 2)
    )
    with TrainView(console, quiet=False) as view:
        view.begin(request("VGG4", seed=7))
        for epoch in epochs:
            view.epoch(epoch)
        view.draw(ChipDraw(draw=0, exact=False, accuracy_frac=0.4))
        view._bar.refresh()
        drawn = screen.getvalue()
        view.end(
            AccuracyReport(
                network_key="k", accuracy_frac=0.5, accuracy_stderr_frac=0.1, validation_images=4,
                epochs=epochs, train_s=3.0, device="cpu", torch_version="t",
            )
        )  # fmt: skip
    assert "VGG4, seed 7" in drawn
    assert "chip 1  accuracy 0.400" in drawn
    assert "VGG4, seed 7: accuracy 0.500, 3.0 s" in screen.getvalue()


def test_a_narrow_terminal_breaks_no_figure_and_says_what_it_leaves_out(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_command, "CONSOLE", Console(width=40, highlight=False))
    out = imcnas("train", "VGG4-MVGG4", *TINY)[1]
    assert out.splitlines()[0].split() == ["network", "accuracy", "latency"]
    assert out.splitlines()[1].startswith("VGG4-MVGG4  0.")
    assert "A wider terminal shows energy, area" in out
