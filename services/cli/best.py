"""`imcnas best`: the best of a search, trained for good, judged on the test part, to take away."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from services.cli.console import MESSAGES
from services.cli.stores import StoreOption, existing_store
from services.common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from services.cli.train_plan import Plan
    from services.common.candidate import Candidate
    from services.searcher.types import StudyStatus
    from services.trainer.data import Dataset
    from services.trainer.trained import Trained
    from services.trainer.types import DatasetInfo, EvaluationRequest

FINAL, SEEDS, MAX_HOURS_UNASKED = "final", 3, 24.0


def command(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study (imcnas studies list).")],
    export: Annotated[Path, typer.Option(metavar="DIR", help="New folder for a summary and the networks.")],
    top: Annotated[int, typer.Option(min=1, max=100, help="How many networks.")] = 1,
    front: Annotated[
        bool, typer.Option("--front", help="Of the front, at even distances, not of the highest fitness.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Trainings of each.")] = SEEDS,
    dataset: Annotated[
        str, typer.Option(help="The study's data, where they are in a place of their own: npz:PATH, ...")
    ] = "",
    recipe: Annotated[str, typer.Option(help="How they are trained: a preset, or a .toml file.")] = FINAL,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs, instead of the recipe's.")] = None,
    on_chip: Annotated[bool, typer.Option("--on-chip", help="Judge them on drawn chips, too.")] = False,
    draws: Annotated[int, typer.Option(min=1, max=1000, help="Chips drawn.")] = 5,
    runs: Annotated[Path, typer.Option(help="Folder of results, weights and studies.")] = Path("runs"),
    store: StoreOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Start even if it may take more than a day.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result only.")] = False,
) -> None:
    """Train the best networks of a search for good, and export them.

    Each is trained with the recipe `final` from several seeds, none of
    them the search's; only here the test part is judged. Of each network
    the seed that validates best is exported: ONNX, safetensors, a model
    card, and what it costs on the chip, layer by layer. What was trained
    is kept: after Ctrl-C the same command goes on.

    For example:

      imcnas best mine --export mine-best

      imcnas best mine --top 5 --front --seeds 5 --export front
    """
    from services.cli.best_files import write_best
    from services.cli.train import open_source, reporting, train_one
    from services.cli.train_plan import make_plan
    from services.cli.train_view import TrainView
    from services.common.files import check_new_folder
    from services.trainer.export import check_export

    check_new_folder(export)
    check_export(export / "1")
    plan = make_plan((), study, None, runs, store, "", recipe, epochs, None, "", "")
    networks = _chosen(study, runs, store, top, front)
    # The search chose by its own seed's draws: a final figure is not to profit from their luck.
    plan = replace(plan, candidates=networks, seed=plan.seed + 1)
    view = TrainView(MESSAGES, quiet)
    with ExitStack() as stack:
        source, here = open_source(stack, "", dataset or plan.dataset, runs, view, "" if dataset else study)
        images = cast("Dataset", here)  # without a trainer elsewhere they are
        if images.info.fingerprint != plan.fingerprint:
            text = f"{images.info.name} is not what study {study} was run on; "
            text += "its test part may have been trained on: give back the data of the study"
            raise InvalidRequest.of(Violation("--dataset", text))
        costs = {network: _cost(plan, network, images.info) for network in networks}
        requests = plan.requests(images.info.name, seeds, keep_weights=True, test=True)
        _tell_time(requests, plan, images.info, yes, quiet)
        chips = {"draws": draws, "exact_draws": 0} if on_chip else None
        results: list[Trained] = []
        with reporting(results, len(requests), False, runs, ""), view:
            for request in requests:
                hardware = costs[request.candidate][0]
                train_one(results, source, plan, request, images.info, hardware, chips, view, False)
            if results:
                hardware_of = {network: files for network, (_, files) in costs.items()}
                written = write_best(export, study, results, source, images, hardware_of)
    for file in written if results else ():
        print(f"Written: {file}")
    if len(results) < len(requests):
        raise typer.Exit(1)


def _chosen(study: str, runs: Path, store: str, top: int, front: bool) -> tuple[Candidate, ...]:
    """Choose networks: those of the highest fitness, or some of the front at even distances."""
    from services.cli.studies import study_and_trials

    with existing_store(store, runs) as opened:
        _, status, trials = study_and_trials(opened, study)
    if front:
        return _along(status, top)
    ranked = sorted(
        (trial for trial in trials if trial.fitness is not None),
        key=lambda trial: (-(trial.fitness or 0.0), trial.number),
    )
    return tuple(trial.candidate for trial in ranked[:top])


def _along(status: StudyStatus, count: int) -> tuple[Candidate, ...]:
    front = status.front
    if len(front) <= count:
        return tuple(trial.candidate for trial in front)
    if count == 1:
        return (front[len(front) // 2].candidate,)
    return tuple(front[round(i * (len(front) - 1) / (count - 1))].candidate for i in range(count))


def _cost(plan: Plan, network: Candidate, data: DatasetInfo) -> Any:
    """Ask what a network costs, in short and as files; it fits the chip, as the search trained it."""
    from services.cli.best_files import hardware_files
    from services.cli.train import summary_of
    from services.common.candidate import candidate_layers
    from services.hw_oracle.client import HwOracle

    layers = candidate_layers(network, data.input_shape, data.classes, plan.bits)
    with HwOracle() as oracle:
        report = oracle.evaluate(layers, plan.chip)
    return summary_of(report), hardware_files(str(network), plan.chip_name, plan.chip, layers, report)


def _tell_time(
    requests: Sequence[EvaluationRequest], plan: Plan, data: DatasetInfo, yes: bool, quiet: bool
) -> None:
    from services.cli.live import clock
    from services.common.candidate import candidate_layers
    from services.common.layers import macs
    from services.searcher.estimate import training_time_s

    seconds = sum(
        training_time_s(
            macs(candidate_layers(r.candidate, data.input_shape, data.classes, plan.bits)), data, r.recipe
        )
        for r in requests
    )
    if seconds > MAX_HOURS_UNASKED * 3600 and not yes:
        fix = "add --yes to start, or lower --top, --seeds or --epochs"
        raise InvalidRequest.of(Violation("best", f"may take {seconds / 3600:.0f} hours; {fix}"))
    if not quiet:
        networks, epochs = len(plan.candidates), requests[0].epochs
        count = f"{len(requests)} trainings of {epochs} epochs ({networks} networks)"
        MESSAGES.print(f"{count}; about {clock(seconds)} where none is known", markup=False)
