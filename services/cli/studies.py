"""`imcnas studies`: list, show, export, compare and delete what searches have left."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.arguments import AsJson
from services.cli.console import CONSOLE, MESSAGES
from services.cli.json_rows import status_row
from services.cli.stores import StoreOption, existing_store
from services.common.errors import InvalidRequest, NotPossible, Violation, violation
from services.searcher.types import StudyState

if TYPE_CHECKING:
    from services.searcher.rows import StudyRecord
    from services.searcher.store import Store
    from services.searcher.types import StudyStatus, Trial

app = typer.Typer(
    no_args_is_help=True,
    help="""List, show, export, compare and delete studies: what searches have found.

For example:

  imcnas studies list

  imcnas studies export mine --format parquet --out mine.parquet

  imcnas studies compare first second""",
)

Runs = Annotated[Path, typer.Option(help="Folder of the studies.")]
Name = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study (imcnas studies list).")]


class Format(StrEnum):
    """What trials are exported as."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def study_and_trials(store: Store, name: str) -> tuple[StudyRecord, StudyStatus, tuple[Trial, ...]]:
    """Read a study as it stands, and its trials."""
    from services.searcher.status import study_status

    record = store.study(name)
    trials = store.trials(record)
    return record, study_status(record, trials), trials


def list_studies(runs: Path, store: str = "") -> None:
    """Print a line a study."""
    from services.searcher.types import TrialState

    with existing_store(store, runs) as opened:
        counts, records = opened.trial_counts(), opened.studies()
        width = max((len(record.config.name) for record in records), default=0)
        for record in records:
            done = counts[record.study_id][TrialState.COMPLETE] if record.study_id in counts else 0
            line = f"{record.config.name:{width}}  {record.state:11} {done}/{record.trials_wanted} trials"
            print(f"{line}  {record.failure}".rstrip())


@app.command("list")
def list_command(runs: Runs = Path("runs"), store: StoreOption = "", as_json: AsJson = False) -> None:
    """Name the studies, the oldest first, each on a line.

    For example:

      imcnas studies list

      imcnas studies list --json
    """
    if not as_json:
        list_studies(runs, store)
        return
    with existing_store(store, runs) as opened:
        for record in opened.studies():
            _, status, _ = study_and_trials(opened, record.study_id)
            print(json.dumps(status_row(status), allow_nan=False))


@app.command("show")
def show(study: Name, runs: Runs = Path("runs"), store: StoreOption = "", as_json: AsJson = False) -> None:
    """Show the front, the best network and the settings of a study; nothing is written.

    For example:

      imcnas studies show digits-hard-small-accuracy-per-latency-seed0
    """
    from services.cli.outcome import show_outcome
    from services.common.codec import to_jsonable
    from services.searcher.report import reading_notes

    with existing_store(store, runs) as opened:
        _, status, trials = study_and_trials(opened, study)
    if as_json:
        row = status_row(status) | {"config": to_jsonable(status.config)}
        print(json.dumps(row, allow_nan=False))
        return
    show_outcome(CONSOLE, status)
    for note in reading_notes(status, trials):
        CONSOLE.print(f"Note: {note}", markup=False)
    config = status.config
    limits = [f"{k} {v:g}" for k, v in to_jsonable(config.hardware_limits).items() if v is not None]
    CONSOLE.print(
        f"\n{config.strategy}, seed {config.seed}; recipe {config.recipe.name}, "
        f"{config.recipe.epochs} epochs; chip {config.chip_name}; {config.space.count():,} configurations"
        + f"; limits: {', '.join(limits)}"
        * bool(limits),
        markup=False,
    )
    for text in filter(None, (status.failure, status.note)):
        CONSOLE.print(text, markup=False)


@app.command("export")
def export(
    study: Name,
    format_: Annotated[
        Format | None, typer.Option("--format", help="Left out, what --out ends in, or csv.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; left out, standard output.")] = None,
    runs: Runs = Path("runs"),
    store: StoreOption = "",
) -> None:
    """Write a study's trials, a row each: csv, json (one object a line) or parquet.

    Names and units are the same in all three. Parquet needs
    pip install 'imcnas[parquet]' and a file to go to.

    For example:

      imcnas studies export mine > trials.csv

      imcnas studies export mine --out trials.parquet
    """
    from services.common.files import write_file
    from services.searcher.export import parquet, trials_json
    from services.searcher.report import trials_csv

    kind = format_ or _format_of(out)
    if kind is Format.PARQUET and out is None:
        text = "parquet is no text; name the file it goes to, such as --out trials.parquet"
        raise InvalidRequest.of(Violation("--out", text))
    with existing_store(store, runs) as opened:
        _, status, trials = study_and_trials(opened, study)
    if kind is Format.PARQUET:
        content = parquet(status, trials)
    else:
        text = trials_csv(status, trials) if kind is Format.CSV else trials_json(status, trials)
        if out is None:
            print(text, end="")
            return
        content = text.encode()
    if out is None:
        return
    try:
        write_file(out, content)
    except OSError as error:
        raise InvalidRequest.of(Violation("--out", f"cannot write {out} ({error.strerror})")) from error
    MESSAGES.print(f"Written: {out} ({len(trials):,} trials)", markup=False, soft_wrap=True)


@app.command("compare")
def compare_command(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY STUDY...", help="Names.")],
    runs: Runs = Path("runs"),
    store: StoreOption = "",
    as_json: AsJson = False,
) -> None:
    """Compare studies: best, front, and hypervolume against one reference, with what it took.

    The reference is the largest latency and energy of any network of
    these studies. imcnas report with the same names draws them.

    For example:

      imcnas studies compare tpe-seed0 random-seed0
    """
    from services.cli.studies_table import comparison_rows, show_comparison
    from services.searcher.compare import compare

    names = list(dict.fromkeys(studies))
    if len(names) < 2:
        raise InvalidRequest.of(violation("STUDY", names, "two studies or more"))
    with existing_store(store, runs) as opened:
        read = [study_and_trials(opened, name) for name in names]
    found = compare([(status, trials) for _, status, trials in read])
    if as_json:
        for row in comparison_rows(found):
            print(json.dumps(row, allow_nan=False))
        return
    show_comparison(CONSOLE, found)


@app.command("delete")
def delete(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names.")],
    runs: Runs = Path("runs"),
    store: StoreOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> None:
    """Delete studies with their trials, for good; a running one is refused.

    Reports stay, and so do results and weights of the trainings: another
    study over the same networks still knows them.

    For example:

      imcnas studies delete mine --yes
    """
    with existing_store(store, runs) as opened:
        records = [opened.study(name) for name in dict.fromkeys(studies)]
        if not yes:
            counts = ", ".join(f"{r.config.name} ({len(opened.trials(r))} trials)" for r in records)
            raise NotPossible(f"delete: this would delete {counts}; add --yes to do it")
        for record in records:
            opened.delete_study(record)
            print(f"Deleted: {record.config.name}")


@app.command("cancel")
def cancel(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names.")],
    searcher: Annotated[str, typer.Option(help="Searcher that runs them, host:port.")],
) -> None:
    """End searches that a searcher runs, once what they train has ended.

    What was found is kept, and the search can be gone on with. A search
    of this machine is ended by Ctrl-C where it runs.

    For example:

      imcnas studies cancel mine --searcher host:50071
    """
    from services.searcher.client import Searcher

    with Searcher(searcher) as remote:
        for name in dict.fromkeys(studies):
            state = remote.status(name).state
            remote.cancel(name)
            said = "ends when its running trials have" if state is StudyState.RUNNING else f"is {state}"
            print(f"{name}: {said}")


def _format_of(out: Path | None) -> Format:
    ending = out.suffix.lower().removeprefix(".") if out else "csv"
    if ending not in list(Format):
        wanted = "a name that ends in .csv, .json or .parquet, or --format"
        raise InvalidRequest.of(violation("--out", str(out), wanted))
    return Format(ending)
