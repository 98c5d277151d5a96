"""`imcnas report`: show and draw what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import CONSOLE
from services.cli.stores import StoreOption, existing_store

if TYPE_CHECKING:
    from services.searcher.types import StudyStatus, Trial


def command(
    study: Annotated[str, typer.Argument(help="Name of a study; left out, the studies there are.")] = "",
    runs: Annotated[Path, typer.Option(help="Folder of the studies.")] = Path("runs"),
    store: StoreOption = "",
    out: Annotated[Path | None, typer.Option(help="Folder to write to (default: RUNS/STUDY).")] = None,
) -> None:
    """Show a study's front and best network, and write its figures, trials.csv and best.json.

    Works while the search runs, too.

    For example:

      imcnas report                    the studies there are

      imcnas report digits-hard-small-accuracy-per-latency-seed0
    """
    from services.searcher.status import study_status
    from services.searcher.types import TrialState

    with existing_store(store, runs) as opened:
        if not study:
            counts = opened.trial_counts()
            for record in opened.studies():
                done = counts[record.study_id][TrialState.COMPLETE] if record.study_id in counts else 0
                line = f"{record.config.name:50} {record.state:11} {done}/{record.trials_wanted} trials"
                print(f"{line}  {record.failure}".rstrip())
            return
        record = opened.study(study)
        trials = opened.trials(record)
    write_and_show(study_status(record, trials), trials, out or runs / record.config.name)


def write_and_show(status: StudyStatus, trials: Sequence[Trial], folder: Path) -> None:
    """Print the outcome, write the report's files, and say where they are."""
    from services.cli.outcome import show_outcome
    from services.searcher.report import write_report

    # Written first: whoever reads the output may leave before its end.
    files = write_report(status, trials, folder) if status.best else None
    show_outcome(CONSOLE, status)
    if files is None:
        return
    for note in files.notes:
        CONSOLE.print(f"Note: {note}", markup=False)
    CONSOLE.print("\nWritten:")
    for file in (files.trials, files.best, *files.figures):
        CONSOLE.print(f"  {file}", soft_wrap=True, markup=False)
