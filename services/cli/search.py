"""`imcnas search`: run a search here, or watch one on a running searcher."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.arguments import STORE, AsJson, find_dataset, open_oracle
from services.cli.console import MESSAGES
from services.cli.exits import INTERRUPTED
from services.cli.search_settings import (
    DEFAULT_RECIPE,
    checked,
    choices,
    default_name,
    enqueued,
    front_within,
    hardware_limits,
    parse_rungs,
    stored_status,
)
from services.cli.stores import StoreOption
from services.common.errors import ImcnasError, InvalidRequest, Violation, violation
from services.common.units import parse_count
from services.hw_oracle.chips import DEFAULT
from services.searcher.types import OnChip, Strategy, StudyConfig, StudyState, TrainingLimits

if TYPE_CHECKING:
    from services.searcher.loop import StopSignal
    from services.searcher.rows import StudyRecord
    from services.searcher.store import Store
    from services.searcher.types import StudyStatus

MAX_HOURS_UNASKED = 24.0
SERVICES = "On other machines"
WARM = "A warm start"
ON_CHIP = "Accuracy on the chip"
LIMITS = "Limits: what is over one is never trained"


def command(
    dataset: Annotated[
        str, typer.Option(help="Data set by name (imcnas data list), or folder:PATH, npz:PATH, ...")
    ] = "digits-hard",
    space: Annotated[str, typer.Option(help="Search space: small, paper, or a .toml file.")] = "small",
    objective: Annotated[
        str,
        typer.Option(
            help="accuracy, accuracy/latency, accuracy/energy, or any expression of these and of area, "
            "average_power, tiles, params, macs; or a front: pareto(accuracy,latency,energy)."
        ),
    ] = "accuracy/latency",
    trials: Annotated[int, typer.Option(min=1, help="Trainings in the study; raise it to go on.")] = 30,
    workers: Annotated[int, typer.Option(min=1, max=1024, help="Trainings at once, one core each.")] = 1,
    study: Annotated[str, typer.Option(help="Name of the study; made from the settings if left out.")] = "",
    runs: Annotated[Path, typer.Option(help="Folder of the studies and their reports.")] = Path("runs"),
    store: StoreOption = "",
    seed: Annotated[int, typer.Option(help="Same seed and one worker: the same search.")] = 0,
    strategy: Annotated[
        Strategy, typer.Option(help="Who proposes: Hyperopt's TPE, evolution, or chance.")
    ] = Strategy.TPE,
    startup_trials: Annotated[int, typer.Option(help="Random trials before it learns from any.")] = 10,
    recipe: Annotated[
        str, typer.Option(help="How candidates are trained: a preset (imcnas recipes list), or a .toml file.")
    ] = DEFAULT_RECIPE,
    rungs: Annotated[
        str, typer.Option(help="Epochs after which only the best third goes on, such as 6,18 of staged's 54.")
    ] = "",
    chip: Annotated[str, typer.Option(help="Chip: a preset, or a .toml or MNSIM .ini file.")] = DEFAULT,
    max_latency: Annotated[
        str, typer.Option(help="Of one inference, such as 2ms.", rich_help_panel=LIMITS)
    ] = "",
    max_energy: Annotated[
        str, typer.Option(help="Of one inference, such as 30uJ.", rich_help_panel=LIMITS)
    ] = "",
    max_area: Annotated[str, typer.Option(help="Such as 60mm2.", rich_help_panel=LIMITS)] = "",
    max_power: Annotated[
        str, typer.Option(help="Of all modules at once, such as 8W.", rich_help_panel=LIMITS)
    ] = "",
    max_average_power: Annotated[
        str, typer.Option(help="Energy over latency, such as 40mW.", rich_help_panel=LIMITS)
    ] = "",
    max_tiles: Annotated[str, typer.Option(help="Such as 64.", rich_help_panel=LIMITS)] = "",
    max_params: Annotated[
        str, typer.Option(help="Weights and biases, such as 1M (0: no limit).", rich_help_panel=LIMITS)
    ] = "10M",
    max_macs: Annotated[
        str, typer.Option(help="Of one inference, such as 300M (0: no limit).", rich_help_panel=LIMITS)
    ] = "300M",
    on_chip: Annotated[
        bool, typer.Option("--on-chip", help="Go by the accuracy on drawn chips.", rich_help_panel=ON_CHIP)
    ] = False,
    draws: Annotated[
        int, typer.Option(min=1, max=1000, help="Chips drawn for each network.", rich_help_panel=ON_CHIP)
    ] = 3,
    fine_tune: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Epochs to learn to bear the chip.", rich_help_panel=ON_CHIP),
    ] = 0,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(
            help="Blocks to evaluate first, such as VGG16-RES32; may be repeated.", rich_help_panel=WARM
        ),
    ] = None,
    from_study: Annotated[
        str, typer.Option("--from", help="Study whose front is evaluated first.", rich_help_panel=WARM)
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Start even if it may take more than a day.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the result only.")] = False,
    as_json: AsJson = False,
    ray: Annotated[
        str, typer.Option(help="Address of a Ray cluster to train on.", rich_help_panel=SERVICES)
    ] = "",
    oracle: Annotated[str, typer.Option(help="Oracle, host:port.", rich_help_panel=SERVICES)] = "",
    trainer: Annotated[str, typer.Option(help="Trainer, host:port.", rich_help_panel=SERVICES)] = "",
    searcher: Annotated[
        str,
        typer.Option(help="Searcher, host:port: the search runs there, not here.", rich_help_panel=SERVICES),
    ] = "",
) -> None:
    """Search for networks that are accurate and cheap on the chip.

    Everything runs on this machine unless a service is named.
    Trials are kept as they finish: the same command again goes on where
    it stopped, and shows the result when nothing is left to do.

    For example:

      imcnas search                    a minute or two on handwritten digits

      imcnas search --objective accuracy/energy --trials 60 --workers 2

      imcnas search --objective "pareto(accuracy,latency)" --max-energy 5uJ

      imcnas search --on-chip --chip isaac

      imcnas search --recipe staged --rungs 6,18 --trials 60

      imcnas search --strategy evolution --from STUDY --enqueue VGG16-RES32

      imcnas search --oracle host:50051 --trainer host:50061
    """
    if searcher and (oracle or trainer or ray or store or workers != 1):
        text = "the searcher has an oracle, a trainer, workers and a store of its own; leave out "
        options = "--oracle, --trainer, --ray, --workers and --store"
        raise InvalidRequest.of(Violation("--searcher", text + options))
    from services.searcher.loop import StopSignal
    from services.searcher.store import Store

    limits = {
        "latency_ns": max_latency, "energy_nj": max_energy, "area_um2": max_area, "power_w": max_power,
        "average_power_w": max_average_power, "tiles": max_tiles,
    }  # fmt: skip
    limits = {name: text for name, text in limits.items() if text}
    training = TrainingLimits(
        max_macs=parse_count(max_macs, "--max-macs") or None,
        max_params=parse_count(max_params, "--max-params") or None,
    )
    wanted = choices(space, objective, strategy, chip, recipe, seed, startup_trials)
    wanted |= {"limits": training, "hardware_limits": hardware_limits(limits)}
    wanted["rungs"] = parse_rungs(rungs)
    if on_chip:
        wanted["on_chip"] = OnChip(draws=draws, fine_tune_epochs=fine_tune)
    wanted["enqueued"] = enqueued(enqueue or (), wanted["space"])
    opened = None if searcher else Store(store or runs / STORE)
    stop = StopSignal()
    try:
        with ExitStack() as stack:
            stack.callback(_leave_if_abandoned, stop)
            if opened:
                stack.enter_context(opened)
            source, named = _source(stack, searcher, trainer, ray, workers, dataset, runs)
            data = source.dataset(named)
            if from_study:
                other = source.status(from_study) if opened is None else stored_status(opened, from_study)
                wanted["enqueued"] += front_within(other, wanted["space"])
            name = study or default_name(data.name, space, chip, recipe, wanted, limits)
            config = StudyConfig(name=checked(name), dataset=data, **wanted)
            if opened is None:
                _watch(source, config, trials, runs, quiet, as_json)
            else:
                _run(stack, config, trials, workers, runs, quiet, as_json, oracle, source, opened, stop, yes)
    except KeyboardInterrupt:
        MESSAGES.print("Stopped by Ctrl-C; what was finished is kept, and the same command goes on")
        raise typer.Exit(INTERRUPTED) from None


def _leave_if_abandoned(stop: StopSignal) -> None:
    """End the process here: threads that still train must not meet an interpreter being taken down."""
    if stop.abandoned:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


def _source(
    stack: ExitStack, searcher: str, trainer: str, ray: str, workers: int, dataset: str, runs: Path
) -> tuple[Any, str]:
    """Choose who describes data sets and trains (a service, Ray, this process); name the data set to it."""
    if (searcher or trainer) and ":" in dataset:
        fix = "put the files into its data folder and ask by name (imcnas data --help)"
        raise InvalidRequest.of(
            violation("--dataset", dataset, "a name: a trainer elsewhere opens no path", fix)
        )
    if searcher:
        from services.searcher.client import Searcher

        return stack.enter_context(Searcher(searcher)), dataset
    if trainer:
        from services.trainer.client import Trainer

        return stack.enter_context(Trainer(trainer)), dataset
    from services.cli.evaluations import RESULTS, embedded_artifacts, embedded_cache
    from services.trainer.evaluator import Options

    name, datasets = find_dataset(dataset)
    datasets.load(name)  # before a folder is made for results
    looks: list[bool] = []
    options = Options(
        datasets=datasets,
        cache=embedded_cache(runs),
        artifacts=embedded_artifacts(runs),
        on_cached=looks.append,
    )

    def tell_known() -> None:
        if any(looks):
            told = f"{sum(looks)} of these {len(looks)} candidates had been trained before"
            MESSAGES.print(f"{told}, and were answered from {runs / RESULTS}", markup=False)

    stack.callback(tell_known)
    if workers > 1 or ray:
        from services.trainer.pool import RayTrainer

        with MESSAGES.status("Starting Ray"):
            return stack.enter_context(RayTrainer(workers, ray or None, **options)), name
    from services.trainer.inline import InlineTrainer

    return stack.enter_context(InlineTrainer(**options)), name


def _check_hours(seconds: float, yes: bool) -> None:
    """Refuse a day of training or more that was not asked for."""
    if seconds > MAX_HOURS_UNASKED * 3600 and not yes:
        fix = "add --yes to start, or lower --trials, --max-macs, or choose a smaller --space"
        raise InvalidRequest.of(Violation("--trials", f"may take {seconds / 3600:.0f} hours; {fix}"))


def _run(
    stack: ExitStack, config: StudyConfig, trials: int, workers: int, runs: Path, quiet: bool, as_json: bool,
    oracle: str, trainer: Any, store: Store, stop: StopSignal, yes: bool,
) -> None:  # fmt: skip
    """Run the search in this process and show its result."""
    from services.cli.live import clock, make_view
    from services.searcher.estimate import training_seconds
    from services.searcher.loop import run_search

    hardware = stack.enter_context(open_oracle(oracle))  # it answers, before anything is recorded
    seconds = training_seconds(config, trials, workers)
    _check_hours(seconds, yes)
    study = store.open_study(config, trials)
    if not (quiet or as_json):
        about = f"{trials} trials of {config.space.count():,} configurations by {config.strategy}"
        timing = f"{workers} at once; about {clock(seconds)} of training"
        MESSAGES.print(f"[bold]{config.name}[/bold]: {about}, {timing}")
    try:
        with make_view(MESSAGES, quiet, as_json) as view, _ctrl_c(stop, view.say):
            status = run_search(
                store, study, cost=lambda layers: hardware.evaluate(layers, config.chip),
                trainer=trainer, workers=workers, on_event=view, stop=stop,
            )  # fmt: skip
    except ImcnasError as error:
        if not _may_have_trials(store, study):  # nothing was trained: it could not start as asked
            raise
        MESSAGES.print(f"imcnas: {error}\nFinished trials are kept; {_how_to_resume(config)}", markup=False)
        raise typer.Exit(1) from None
    if stop.requested and status.state is not StudyState.FINISHED:
        done = status.complete + status.failed
        MESSAGES.print(f"Stopped: {done} of {trials} trials are kept; {_how_to_resume(config)}")
        MESSAGES.print(f"What it found so far: imcnas report {config.name}", markup=False)
        raise typer.Exit(INTERRUPTED)
    _finish(status, store.trials(study), runs, as_json)


def _may_have_trials(store: Store, study: StudyRecord) -> bool:
    try:
        return bool(store.trials(study))
    except ImcnasError:  # it is the store that failed
        return True


def _watch(searcher: Any, config: StudyConfig, trials: int, runs: Path, quiet: bool, as_json: bool) -> None:
    """Start the search on a searcher and show it until it ends; Ctrl-C leaves it running there."""
    from services.cli.live import make_view
    from services.searcher.events import SearchStarted, TrialFinished

    study_id = searcher.create(config, trials)
    wanted = searcher.status(study_id).trials_wanted
    if not (quiet or as_json):
        MESSAGES.print(f"[bold]{config.name}[/bold]: {wanted} trials, on the searcher's workers")
    finished = []
    try:
        with make_view(MESSAGES, quiet, as_json) as view:
            view(SearchStarted(study_id=study_id, config=config, trials=(), trials_wanted=wanted))
            for trial in searcher.watch(study_id):
                finished.append(trial)
                view(TrialFinished(study_id=study_id, trial=trial))
    except KeyboardInterrupt:
        MESSAGES.print("Left: the search goes on at the searcher; the same command watches it again")
        raise typer.Exit(INTERRUPTED) from None
    except ImcnasError as error:
        MESSAGES.print(
            f"imcnas: {error}\nThe searcher keeps the study; {_how_to_resume(config)}", markup=False
        )
        raise typer.Exit(1) from None
    _finish(searcher.status(study_id), tuple(sorted(finished, key=lambda t: t.number)), runs, as_json)


def _how_to_resume(config: StudyConfig) -> str:
    return f"the same command goes on with study {config.name}"


def _finish(status: StudyStatus, trials: Any, runs: Path, as_json: bool) -> None:
    from services.cli.report import view_of, write_and_show

    write_and_show(view_of(status, trials), runs / status.config.name, (".png",), as_json)
    if status.note:
        MESSAGES.print(f"Note: {status.note}", markup=False)
    if status.failure:
        MESSAGES.print(f"imcnas: {status.failure}", markup=False)
        raise typer.Exit(1)


@contextmanager
def _ctrl_c(stop: StopSignal, say: Callable[[str], None]) -> Iterator[None]:
    """First Ctrl-C: finish what is running. Second: stop now. Either way nothing finished is lost."""

    def handle(number: int, frame: object) -> None:
        if stop.requested or number == signal.SIGTERM:
            stop.abandon()
        else:
            stop.request()
            say("Finishing what is running; Ctrl-C again stops at once. Both keep every finished trial.")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
