"""`imcnas report`: show and draw what searches found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import CONSOLE
from services.cli.stores import StoreOption, existing_store

if TYPE_CHECKING:
    from services.searcher.page.view import StudyView
    from services.searcher.types import StudyStatus, Trial

RUNS = typer.Option(help="Folder of the studies.")


def command(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="STUDY...", help="Names; left out, the studies there are.")
    ] = None,
    runs: Annotated[Path, RUNS] = Path("runs"),
    store: StoreOption = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to (RUNS/STUDY; of several RUNS/STUDY+STUDY).")
    ] = None,
) -> None:
    """Show what a study found, and write it as a page.

    The page, report.html, is one file that opens anywhere, without a
    network: front, progress, the best networks layer by layer, every
    trial. Beside it lie its figures (PNG, SVG, PDF), trials.csv and
    best.json. Several studies are laid side by side. It works while a
    search runs, too.

    For example:

      imcnas report                    the studies there are

      imcnas report digits-hard-small-accuracy-per-latency-seed0

      imcnas report first second --out side-by-side
    """
    from functools import partial

    from services.cli.studies import list_studies, study_and_trials

    if not studies:
        list_studies(runs, store)
        return
    names = list(dict.fromkeys(studies))
    views = []
    with existing_store(store, runs) as opened:
        for name in names:
            record, status, trials = study_and_trials(opened, name)
            views.append(view_of(status, trials, partial(opened.trial, record)))
    if len(views) == 1:
        write_and_show(views[0], out or runs / views[0].config.name)
        return
    from services.cli.studies_table import show_comparison
    from services.common.drawing import FORMATS
    from services.searcher.compare import compare
    from services.searcher.page.files import write_page

    files = write_page(views, out or runs / _joined([view.config.name for view in views]), FORMATS)
    show_comparison(CONSOLE, compare([(view.status, view.trials) for view in views]))
    _say_written([files.page, *files.figures])


def view_of(
    status: StudyStatus, trials: Sequence[Trial], with_layers: Callable[[int], Trial] | None = None
) -> StudyView:
    """Gather what a page tells; without `with_layers` the oracle of this process tells what layers cost."""
    from dataclasses import replace
    from functools import partial

    from services.hw_oracle.client import HwOracle
    from services.searcher.page.view import network_of, study_view

    config, known = status.config, {trial.number: trial for trial in trials}
    with HwOracle() as oracle:

        def asked(number: int) -> Trial:
            network = network_of(config, known[number].candidate)
            return replace(known[number], cost=oracle.evaluate(network, config.chip))

        cost = partial(oracle.evaluate, chip=config.chip)
        return study_view(status, trials, with_layers or asked, cost)


def write_and_show(view: StudyView, folder: Path, formats: Sequence[str] = (), as_json: bool = False) -> None:
    """Print the outcome, write page, figures, table and best, and say where they are."""
    from services.cli.json_rows import status_row
    from services.cli.outcome import show_outcome
    from services.common.drawing import FORMATS
    from services.searcher.page.files import write_page
    from services.searcher.report import write_report

    # Written first: whoever reads the output may leave before its end.
    tables = write_report(view.status, view.trials, folder)
    files = write_page([view], folder, formats or FORMATS)
    best = [tables.best] if tables.best else []
    written = [files.page, tables.trials, *best, *files.figures]
    if as_json:
        row = {"event": "finished"} | status_row(view.status) | {"notes": tables.notes}
        print(json.dumps(row | {"files": [str(file) for file in written]}, allow_nan=False))
        return
    show_outcome(CONSOLE, view.status)
    for note in tables.notes:
        CONSOLE.print(f"Note: {note}", markup=False)
    _say_written(written)


def _say_written(files: Sequence[Path]) -> None:
    CONSOLE.print("\nWritten:")
    named: dict[Path, list[str]] = {}
    for file in files:
        named.setdefault(file.with_suffix(""), []).append(file.suffix)
    for stem, endings in named.items():
        first, *others = endings
        more = f" ({', '.join(others)})" if others else ""
        CONSOLE.print(f"  {stem}{first}{more}", soft_wrap=True, markup=False)


def _joined(names: Sequence[str]) -> str:
    """Name a folder after several studies; no study can have a name with a plus."""
    whole = "+".join(names)
    return whole if len(whole) <= 160 else f"{names[0]}+{len(names) - 1}-more"
