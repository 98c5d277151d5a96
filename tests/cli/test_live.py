"""The live views, fed with the events of a small search."""

import io

import pytest
from rich.console import Console

from services.cli.live import LineView, LiveView, clock, make_view
from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import Shape
from services.common.network_json import network_key
from services.common.space import load_space
from services.hw_oracle.cost import evaluate
from services.hw_oracle.types import ChipConfig
from services.searcher.events import EpochDone, Event, SearchStarted, TrialFinished, TrialStarted
from services.searcher.types import Proposal, StudyConfig, Trial, TrialState
from services.trainer.recipe import load_recipe
from services.trainer.types import AccuracyReport, DatasetInfo, EpochReport

IMAGE = Shape(channels=1, height=8, width=8)


def config() -> StudyConfig:
    data = DatasetInfo(
        name="digits", input_shape=IMAGE, classes=10, train_images=700, validation_images=100, test_images=1,
        fingerprint="f", description="",
    )  # fmt: skip
    return StudyConfig(
        name="s", dataset=data, space=load_space("small"), objective="accuracy", chip=ChipConfig(),
        chip_name="c", recipe=load_recipe("quick"),
    )  # fmt: skip


def trial(number: int, blocks: str, accuracy_frac: float | None = None, failure: str = "") -> Trial:
    candidate = parse_candidate(blocks)
    network = candidate_layers(candidate, IMAGE, 10)
    state = TrialState.FAILED if failure else TrialState.RUNNING
    report = None
    if accuracy_frac is not None:
        state = TrialState.COMPLETE
        report = AccuracyReport(
            network_key="k", accuracy_frac=accuracy_frac, accuracy_stderr_frac=0.01, validation_images=100,
            epochs=(), train_s=1.0, device="cpu", torch_version="2",
        )  # fmt: skip
    return Trial(
        number=number, candidate=candidate, network_key=network_key(network), state=state, attempt=0,
        proposal=Proposal.STRATEGY, infeasible_proposals=2, duplicate_proposals=1, cost=evaluate(network),
        accuracy=report, fitness=accuracy_frac, failure=failure, finished_at=float(number),
    )  # fmt: skip


def events() -> list[Event]:
    epoch = EpochReport(epoch=7, train_loss_nats=1.0, validation_accuracy_frac=0.5, elapsed_s=1.0)
    return [
        SearchStarted(study_id="i", config=config(), trials=(trial(0, "VGG8", 0.8),), trials_wanted=5),
        TrialStarted(study_id="i", trial=trial(1, "VGG16")),
        TrialStarted(study_id="i", trial=trial(2, "RES8-RES16")),
        EpochDone(study_id="i", number=2, report=epoch),
        TrialFinished(study_id="i", trial=trial(1, "VGG16", 0.9)),
        TrialStarted(study_id="i", trial=trial(3, "MVGG8")),
        TrialFinished(study_id="i", trial=trial(3, "MVGG8", failure="the loss became NaN")),
    ]


def test_the_panel_shows_progress_best_what_runs_and_the_last_results():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    view = LiveView(console)
    for event in events():
        view(event)
    view.say("Finishing what is running")
    with console.capture() as shown:
        console.print(view._render())
    text = shown.get()
    assert "3/5 trials" in text
    assert "1 failed" in text
    assert "9 proposals skipped" in text
    assert "0.9" in text.split("best")[1].split("\n")[0]
    assert "VGG16" in text.split("best")[1].split("\n")[0]
    assert "epoch 7/20" in text
    assert "RES8-RES16" in text
    assert "the loss became NaN" in text
    assert "Finishing what is running" in text


def test_a_log_gets_a_line_a_trial_and_a_star_for_a_new_best():
    out = io.StringIO()
    view = make_view(Console(file=out, width=200), quiet=False)
    assert isinstance(view, LineView)
    for event in events():
        view(event)
    lines = out.getvalue().splitlines()
    assert lines[0] == "resuming: 1 of 5 trials are there"
    assert lines[1].startswith("[2/5] 00:00 VGG16  accuracy 0.900")
    assert lines[1].endswith("*")
    assert "failed: the loss became NaN" in lines[2]


def test_a_quiet_search_shows_nothing():
    out = io.StringIO()
    view = make_view(Console(file=out), quiet=True)
    for event in events():
        view(event)
    assert out.getvalue() == ""


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (59.6, "01:00"), (3723, "1:02:03")])
def test_durations_read_as_a_clock(seconds: float, text: str):
    assert clock(seconds) == text
