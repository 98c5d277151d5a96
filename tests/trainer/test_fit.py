from __future__ import annotations

import dataclasses
import math
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from services.common.candidate import Head, candidate_layers, parse_candidate
from services.common.errors import InvalidCandidate, TrainingFailed
from services.common.layers import Shape
from services.common.network_json import network_key
from services.trainer import fit
from services.trainer.build import build_module
from services.trainer.data import Dataset, load_dataset
from services.trainer.fit import STEPS_PER_LOOK, Seeds, train
from services.trainer.resident import Resident
from services.trainer.types import AccuracyReport, EpochReport, EvaluationRequest, TrainRecipe, stderr_frac

SHORT = TrainRecipe(name="short", epochs=2)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(
    blocks: str = "VGG4", dataset: str | Dataset = "digits", recipe: TrainRecipe = SHORT, seed: int = 0
) -> tuple[list[EpochReport], AccuracyReport]:
    data = load_dataset(dataset) if isinstance(dataset, str) else dataset
    request = EvaluationRequest(
        candidate=parse_candidate(blocks), dataset=data.info.name, recipe=recipe, seed=seed
    )
    *epochs, report = train(request, Resident(data))
    assert isinstance(report, AccuracyReport)
    return [e for e in epochs if isinstance(e, EpochReport)], report


def learnt(epochs: list[EpochReport]) -> list[tuple[float, float]]:
    return [(e.train_loss_nats, e.validation_accuracy_frac) for e in epochs]


def test_digits_are_learnt_far_beyond_chance() -> None:
    epochs, report = trained("VGG16", recipe=TrainRecipe(name="short", epochs=8))
    assert report.accuracy_frac > 0.85  # chance is 0.1
    losses = [e.train_loss_nats for e in epochs]
    assert losses[0] > math.log(10) * 0.9  # a net that knows nothing: ln(classes)
    assert losses[-1] < losses[0] / 2
    assert losses == sorted(losses, reverse=True)


def test_report_says_what_was_trained_and_how_sure_it_is() -> None:
    epochs, report = trained()
    info = load_dataset("digits").info
    assert [e.epoch for e in epochs] == [1, 2]
    assert report.epochs == tuple(epochs)
    assert report.accuracy_frac == epochs[-1].validation_accuracy_frac
    assert report.validation_images == 400
    assert report.accuracy_frac * 400 == pytest.approx(round(report.accuracy_frac * 400))
    assert report.accuracy_stderr_frac == stderr_frac(report.accuracy_frac, 400)
    assert report.network_key == network_key(candidate_layers(parse_candidate("VGG4"), info.input_shape, 10))
    assert (report.device, report.torch_version) == ("cpu", torch.__version__)
    assert 0 < epochs[0].elapsed_s < epochs[1].elapsed_s <= report.train_s


@pytest.mark.parametrize(("right", "p"), [(0, 1 / 402), (200, 0.5), (399, 400 / 402), (400, 401 / 402)])
def test_the_standard_error_is_that_of_the_laplace_estimate_and_never_0(right: int, p: float) -> None:
    assert stderr_frac(right / 400, 400) == pytest.approx(math.sqrt(p * (1 - p) / 400))


def test_a_training_repeats_bit_for_bit_whatever_was_drawn_before() -> None:
    first, _ = trained("RES4-VGG4")
    torch.rand(3)
    np.random.default_rng().random()
    assert learnt(trained("RES4-VGG4")[0]) == learnt(first)


def test_a_data_set_that_crossed_processes_trains_the_same() -> None:
    """Pickling changes the stride of a lone channel, by which torch chooses its convolution."""
    travelled = pickle.loads(pickle.dumps(load_dataset("digits"), protocol=5))  # noqa: S301  # our own
    assert travelled.images.strides != load_dataset("digits").images.strides
    assert learnt(trained("RES4-MVGG4", travelled)[0]) == learnt(trained("RES4-MVGG4")[0])


def test_a_training_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    trained()
    assert torch.equal(torch.get_rng_state(), before)


def test_two_trainings_in_turns_do_not_disturb_each_other() -> None:
    data = load_dataset("digits")
    requests = [
        EvaluationRequest(candidate=parse_candidate(t), dataset="digits", recipe=SHORT)
        for t in ("VGG4", "MVGG4")
    ]
    turns = zip(*(train(r, Resident(data)) for r in requests), strict=True)
    together = [[e for e in run if isinstance(e, EpochReport)] for run in zip(*turns, strict=True)]
    assert [learnt(run) for run in together] == [learnt(trained(t)[0]) for t in ("VGG4", "MVGG4")]


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"blocks": "MVGG4"},
        {"dataset": "digits-hard"},
        {"recipe": dataclasses.replace(SHORT, version=2)},
    ],
)
def test_seed_network_data_and_recipe_all_decide_the_draws(other: dict[str, object]) -> None:
    assert learnt(trained(**other)[0]) != learnt(trained()[0])  # type: ignore[arg-type]


def test_configurations_of_one_network_are_one_training() -> None:
    """At 2x2 a VGG's pool is left out, so it is an MVGG."""
    assert learnt(trained("VGG4-VGG4-VGG4")[0]) == learnt(trained("VGG4-VGG4-MVGG4")[0])


def test_random_streams_are_independent_by_purpose() -> None:
    seeds = Seeds("an evaluation")
    draws = {p: seeds.generator(p).initial_seed() for p in ("init", "order", "shifts", "dropout")}
    assert len(set(draws.values())) == 4
    assert seeds.generator("init").initial_seed() == draws["init"]
    assert Seeds("another").generator("init").initial_seed() != draws["init"]


def test_shift_smoothing_and_single_image_batches_may_be_switched_off_or_on() -> None:
    recipe = TrainRecipe(
        name="bare", epochs=1, shift_px=0, label_smoothing_frac=0, momentum=0, batch_size=999
    )
    epochs, _ = trained(recipe=recipe)  # the last batch has one image
    assert math.isfinite(epochs[0].train_loss_nats)


def test_a_loss_that_is_not_finite_fails_the_training_and_says_where() -> None:
    data = load_dataset("digits")
    blank = np.full(data.images.shape, np.nan, dtype=np.float32)
    broken = dataclasses.replace(data, images=blank)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(TrainingFailed, match=r"VGG4 diverged in epoch 1 of 2: the loss is nan; .*rate"):
        trained(dataset=broken)


def test_images_that_no_candidate_takes_are_refused() -> None:
    data = load_dataset("digits")
    info = dataclasses.replace(data.info, input_shape=Shape(channels=1, height=8, width=6))
    with pytest.raises(InvalidCandidate, match="square"):
        trained(dataset=dataclasses.replace(data, info=info))


def test_weight_decay_shrinks_what_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[torch.nn.Module] = []

    def keep(*given: Any) -> torch.nn.Module:
        built.append(build_module(*given))
        return built[-1]

    monkeypatch.setattr(fit, "build_module", keep)
    # A recipe is part of the seed: without this the draws would differ as well.
    monkeypatch.setattr(fit, "Seeds", lambda evaluation: Seeds("the same"))
    for weight_decay in (0.0, 0.05):
        trained(recipe=dataclasses.replace(SHORT, weight_decay=weight_decay))
    free, decayed = (sum(p.detach().square().sum().item() for p in module.parameters()) for module in built)
    assert decayed < 0.9 * free


def test_dropout_is_part_of_a_training() -> None:
    data = load_dataset("digits")
    runs = []
    for dropout_frac in (0.0, 0.5):
        candidate = parse_candidate("VGG4", Head(dropout_frac=dropout_frac))
        request = EvaluationRequest(candidate=candidate, dataset="digits", recipe=SHORT)
        runs.append(learnt([e for e in train(request, Resident(data)) if isinstance(e, EpochReport)]))
    assert runs[0] != runs[1]


def test_a_training_that_diverges_ends_before_its_epoch_does() -> None:
    steps: list[int] = []
    recipe = TrainRecipe(name="wild", epochs=1, batch_size=2, learning_rate=10.0, momentum=0.99)
    request = EvaluationRequest(candidate=parse_candidate("VGG4-RES4"), dataset="digits", recipe=recipe)
    data = Resident(load_dataset("digits"))
    with pytest.raises(TrainingFailed, match="diverged in epoch 1 of 1"):
        list(train(request, data, stop=lambda: bool(steps.append(1))))
    assert len(steps) % STEPS_PER_LOOK == 0
    assert len(steps) < data.info.train_images / 2 - STEPS_PER_LOOK
