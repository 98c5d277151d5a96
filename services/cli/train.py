"""`imcnas train`: train candidates, judge them on a chip, export one."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.console import CONSOLE, MESSAGES
from services.cli.json_rows import error_row
from services.cli.stores import StoreOption
from services.cli.train_plan import CHIP, DATASET, RECIPE
from services.common.errors import (
    ChipTooSmall,
    InvalidRequest,
    NotFound,
    TrainingFailed,
    Violation,
    violation,
)

if TYPE_CHECKING:
    from services.cli.train_plan import Plan
    from services.cli.train_view import TrainView
    from services.common.candidate import Candidate
    from services.hw_oracle.types import CostReport
    from services.trainer.analog_types import AnalogReport
    from services.trainer.data import Dataset
    from services.trainer.trained import HardwareCost, Trained
    from services.trainer.types import AccuracyReport, DatasetInfo, EvaluationRequest

EXIT_INTERRUPTED, DRAWS = 130, 5
ON_CHIP = "Accuracy on the chip"
FROM_STUDY = "A network that a search found"


def command(
    candidates: Annotated[
        list[str] | None, typer.Argument(help="Blocks such as VGG16-RES32, as imcnas report prints them.")
    ] = None,
    dataset: Annotated[
        str, typer.Option(help=f"Name (imcnas data list), or folder:PATH, npz:PATH, ... ({DATASET})")
    ] = "",
    recipe: Annotated[str, typer.Option(help=f"How they are trained. ({RECIPE})")] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs, instead of the recipe's; its schedule spans them.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of every random draw. (0)")] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="Trainings of each, with this seed and the next ones.")
    ] = 1,
    test: Annotated[
        bool, typer.Option("--test", help="Judge the test part, too: for a final figure.")
    ] = False,
    chip: Annotated[str, typer.Option(help=f"Preset, or a .toml or MNSIM .ini file. ({CHIP})")] = "",
    bits: Annotated[
        str, typer.Option(help="Bit widths on the chip: one, or inputs,weights,outputs. (9)")
    ] = "",
    export: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder for ONNX, safetensors, model card, JSON.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    on_chip: Annotated[
        bool, typer.Option("--on-chip", help="Judge them as the chip computes them.", rich_help_panel=ON_CHIP)
    ] = False,
    draws: Annotated[int, typer.Option(min=1, max=1000, help="Chips drawn.", rich_help_panel=ON_CHIP)] = 5,
    exact_draws: Annotated[
        int, typer.Option(min=0, help="Of these, computed exactly, too: slow.", rich_help_panel=ON_CHIP)
    ] = 0,
    study: Annotated[
        str, typer.Option(help="Its best, with its data, recipe, seed, chip.", rich_help_panel=FROM_STUDY)
    ] = "",
    trial: Annotated[
        int | None, typer.Option(min=0, help="Another of its trials.", rich_help_panel=FROM_STUDY)
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of results, weights and studies.")] = Path("runs"),
    store: StoreOption = "",
    trainer: Annotated[str, typer.Option(help="Train at a running trainer, host:port.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result only.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a training, for programs.")
    ] = False,
) -> None:
    """Train networks and tell their accuracy, and what they cost on a chip.

    What was trained once is known: the same command again answers from
    the runs folder, and --on-chip and --export take the weights kept
    there. docs/training.md tells more.

    For example:

      imcnas train VGG16-RES32                 handwritten digits, seconds

      imcnas train VGG16-RES32 VGG32 --recipe standard --seeds 5

      imcnas train VGG16-RES32 --on-chip --chip isaac

      imcnas train VGG16-RES32 --test --export vgg16-res32

      imcnas train --study digits-hard-small-accuracy-per-latency-seed0 --test
    """
    trainings = len(candidates or [study]) * seeds
    _check(candidates, dataset, trainings, trial, study, trainer, on_chip, draws, exact_draws, export, force)
    from services.cli.train_plan import make_plan
    from services.cli.train_view import TrainView

    plan = make_plan(candidates or (), study, trial, runs, store, dataset, recipe, epochs, seed, chip, bits)
    view = TrainView(MESSAGES, quiet)
    with ExitStack() as stack:
        source, images = open_source(stack, trainer, plan.dataset, runs, view, "" if dataset else study)
        data = images.info if images else source.dataset(plan.dataset)
        if plan.fingerprint not in ("", data.fingerprint):
            MESSAGES.print(f"Note: {data.name} is not what study {study} was run on", markup=False)
        costs = {candidate: hardware_cost(plan, candidate, data) for candidate in plan.candidates}
        chips = {"draws": draws, "exact_draws": exact_draws} if on_chip else None
        requests = plan.requests(data.name, seeds, keep_weights=images is not None, test=test)
        results: list[Trained] = []
        with reporting(results, len(requests), as_json, runs, trainer), view:
            for request in requests:
                train_one(
                    results, source, plan, request, data, costs[request.candidate], chips, view, as_json
                )
            if images and export and results:
                _export(source, results[0], images, export, force, view)
    if len(results) < len(requests):
        raise typer.Exit(1)


def _check(
    candidates: list[str] | None, dataset: str, trainings: int, trial: int | None, study: str, trainer: str,
    on_chip: bool, draws: int, exact_draws: int, export: Path | None, force: bool,
) -> None:  # fmt: skip
    """Refuse what does not go together, before anything starts."""
    wrong = []
    if bool(candidates) == bool(study):
        wrong.append(Violation("CANDIDATE", "give either blocks such as VGG16-RES32, or --study NAME"))
    if trial is not None and not study:
        wrong.append(Violation("--trial", "is one of a study; add --study NAME"))
    if export and trainings > 1:
        fix = "train them all, then export one by the same command with it alone: its training is kept"
        wrong.append(violation("--export", f"{trainings} trainings", "one candidate and one seed", fix))
    if not on_chip and (draws != DRAWS or exact_draws):
        wrong.append(Violation("--exact-draws" if exact_draws else "--draws", "is of --on-chip; add it"))
    if exact_draws > draws:
        wrong.append(violation("--exact-draws", exact_draws, f"at most --draws, {draws}"))
    if trainer and ":" in dataset:
        fix = "put the files into its data folder and ask by name (imcnas data --help)"
        wrong.append(violation("--dataset", dataset, "a name: a trainer elsewhere opens no path", fix))
    if trainer and export:
        wrong.append(
            Violation("--export", "needs the weights, which stay at the trainer; leave out --trainer")
        )
    if wrong:
        raise InvalidRequest.of(*wrong)
    if export:
        from services.trainer.export import check_export

        check_export(export, force=force)


def open_source(
    stack: ExitStack, trainer: str, dataset: str, runs: Path, view: TrainView, study: str = ""
) -> tuple[Any, Dataset | None]:
    """Choose who trains: a service; or this process, which has the images, or those `study` was run on."""
    if trainer:
        from services.trainer.client import Trainer

        return stack.enter_context(Trainer(trainer)), None
    from services.cli.arguments import find_dataset
    from services.cli.evaluations import embedded_artifacts, embedded_cache
    from services.trainer.inline import InlineTrainer

    name, registry = find_dataset(dataset)
    try:
        images = registry.load(name)  # before a folder is made for results
    except NotFound as error:
        if not study:
            raise
        # Studies keep no path: what was given as one is found by its name in the data folder alone.
        text = f"give the data that study {study} was run on, such as npz:PATH or folder:PATH"
        raise NotFound.of(*error.violations, Violation("--dataset", text)) from None
    cache, artifacts = embedded_cache(runs), embedded_artifacts(runs)
    evaluator = InlineTrainer(datasets=registry, cache=cache, artifacts=artifacts, on_cached=view.cached)
    return stack.enter_context(evaluator), images


def hardware_cost(plan: Plan, candidate: Candidate, data: DatasetInfo) -> HardwareCost | None:
    """Ask what a network costs on the chip, before it is trained; None where it does not fit."""
    from services.common.candidate import candidate_layers
    from services.hw_oracle.client import HwOracle

    network = candidate_layers(candidate, data.input_shape, data.classes, plan.bits)
    try:
        with HwOracle() as oracle:
            report = oracle.evaluate(network, plan.chip)
    except ChipTooSmall as error:
        MESSAGES.print(f"Note: {candidate}: {error}", markup=False)
        return None
    return summary_of(report)


def summary_of(report: CostReport) -> HardwareCost:
    """Give what a trained network's row tells of its cost."""
    from services.trainer.trained import HardwareCost

    return HardwareCost(**{field.name: getattr(report, field.name) for field in fields(HardwareCost)})


def train_one(
    results: list[Trained], source: Any, plan: Plan, request: EvaluationRequest, data: DatasetInfo,
    hardware: HardwareCost | None, chips: dict[str, int] | None, view: TrainView, as_json: bool,
) -> None:  # fmt: skip
    """Train and judge one network; a failure is told, and the others go on."""
    from services.trainer.trained import Trained, trained_row

    view.begin(request)
    try:
        report, analog = _judged(source, plan, request, chips, view)
    except TrainingFailed as error:
        if as_json:
            print(json.dumps(error_row(str(request.candidate), error) | {"seed": request.seed}), flush=True)
        MESSAGES.print(f"imcnas: {error} (seed {request.seed})", markup=False, soft_wrap=True)
        return
    view.end(report)
    if not request.judge_test:  # known from another time, but who did not ask is not to choose by it
        report = replace(report, test_accuracy_frac=None)
    trained = Trained(
        request=request, dataset=data, report=report, chip=plan.chip_name, bits=plan.bits,
        hardware=hardware, on_chip=analog,
    )  # fmt: skip
    results.append(trained)
    if as_json:
        print(json.dumps(trained_row(trained), allow_nan=False), flush=True)


def _judged(
    source: Any, plan: Plan, request: EvaluationRequest, chips: dict[str, int] | None, view: TrainView
) -> tuple[AccuracyReport, AnalogReport | None]:
    """Train a network, unless that is known, and judge it on chips where they are wanted."""
    if chips is None:
        return source.evaluate(request, view.epoch, view.queued), None
    from services.searcher.on_chip import analog_of_chip
    from services.trainer.analog_types import OnChipRequest

    analog = analog_of_chip(plan.chip, plan.bits)
    asked = OnChipRequest(evaluation=request, analog=analog, seed=request.seed, **chips)
    report = source.evaluate_on_chip(asked, view.epoch, view.queued, view.draw)
    return report.accuracy, report.analog


def _export(
    source: Any, trained: Trained, images: Dataset, folder: Path, force: bool, view: TrainView
) -> None:
    from services.trainer.export import export

    view.tell("exporting, and comparing ONNX with torch")
    written = export(folder, trained, source.weights(trained.request), images, force=force)
    for file in written.files:
        print(f"Written: {file}", file=sys.stderr)


@contextmanager
def reporting(results: list[Trained], wanted: int, as_json: bool, runs: Path, trainer: str) -> Iterator[None]:
    """Show what was trained, whatever ended it; at Ctrl-C, say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"{len(results)} of {wanted} trainings are finished and kept in {runs}"
        left = f"Stopped: {kept}; the same command goes on"
        if trainer:
            left = f"Left: the trainer at {trainer} trains on; the same command asks it again"
        MESSAGES.print(left, markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        if results and not as_json:
            from services.cli.train_table import show_trained

            show_trained(CONSOLE, results)
