"""`imcnas sweep`: what a network costs as fields of the chip change."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.arguments import OracleAt, open_oracle
from services.cli.exits import INTERRUPTED
from services.cli.networks import Classes, Files, Form, Format, Image, Widths, read_files
from services.common.errors import ImcnasError, InvalidRequest, Violation
from services.common.layers import LayerList
from services.hw_oracle.chips import DEFAULT, load_chip

if TYPE_CHECKING:
    from services.hw_oracle.sweep import Outcome, Setting

_LARGE = 100
"""Combinations from which progress is shown."""


def command(
    files: Files,
    texts: Annotated[
        list[str],
        typer.Option("--set", metavar="FIELD=V1,V2...", help="A field of the chip, and its values."),
    ],
    form: Form = Format.AUTO,
    chip: Annotated[str, typer.Option(help="Where all else comes from: as in evaluate.")] = DEFAULT,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every combination as a row.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the sweep (.png, .svg, .pdf).")
    ] = None,
    image: Image = "",
    classes: Classes = 10,
    bits: Widths = "9",
    oracle: OracleAt = "",
) -> None:
    """Cost networks on every combination of the values of some fields of the chip.

    A FIELD is a path in the chip's tree, such as tile.pe.crossbar.rows,
    or any end of it that means one field: crossbar.rows, clock_mhz.
    adc.choice and dac.choice are the entries of MNSIM 2.0's tables.

    For example:

      imcnas sweep VGG64-RES128 --set crossbar.rows=128,256,512

      imcnas sweep VGG16 --set adc.choice=2,6 --set rows=128,256 --plot s.png

      imcnas sweep nets.json --set placement=shell,snake --csv s.csv
    """
    from services.cli.console import CONSOLE
    from services.cli.sweep_table import fronts, show_sweep
    from services.common.drawing import check_figure_path, save
    from services.hw_oracle.describe import NOT_MODELLED
    from services.hw_oracle.figure_sweep import sweep_figure
    from services.hw_oracle.sweep import count_outcomes, read_settings, subarrays_follow, sweep

    settings, config = read_settings(texts), load_chip(chip)
    if plot is not None:
        check_figure_path("--plot", plot)
    named = read_files(files, form, image, classes, bits)
    networks = [(item.name, item.network) for item in named if isinstance(item.network, LayerList)]
    unread = [item for item in named if isinstance(item.network, ImcnasError)]
    count = count_outcomes(settings, len(networks))
    with open_oracle(oracle) as hardware:
        outcomes, stopped = _run(sweep(networks, config, settings, hardware.evaluate), count, settings, table)
    done = [outcome for outcome in outcomes if outcome.error is None]
    if outcomes:
        show_sweep(CONSOLE, settings, outcomes)
        if subarrays_follow(config, settings):
            CONSOLE.print("crossbar.subarray_rows follows rows, as on this chip they are equal.", style="dim")
        if done:
            CONSOLE.print(NOT_MODELLED, style="dim")
    if plot is not None and done:
        save(sweep_figure(settings, done, fronts(done, "latency_ns", "energy_nj")), plot)
        print(f"Written: {plot}", file=sys.stderr)
    for item in unread:
        print(f"imcnas: {item.name}: {item.network}", file=sys.stderr)
    if stopped:
        print(f"imcnas: stopped after {len(outcomes):,} of {count:,}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if unread or len(done) < len(outcomes):
        raise typer.Exit(1)


def _run(
    sweep: Iterator[Outcome], count: int, settings: Sequence[Setting], table: Path | None
) -> tuple[list[Outcome], bool]:
    """Collect the outcomes, each written to `table` as it comes; say whether Ctrl-C stopped them."""
    from rich.progress import Progress

    from services.cli.console import MESSAGES
    from services.cli.sweep_table import csv_header, csv_row
    from services.hw_oracle.derived import TOTALS

    outcomes: list[Outcome] = []
    hidden = count < _LARGE or not MESSAGES.is_terminal
    try:
        with (
            nullcontext() if table is None else table.open("w", encoding="utf-8", newline="") as file,
            Progress(console=MESSAGES, transient=True, disable=hidden) as progress,
        ):
            rows = csv.writer(file, lineterminator="\n") if file else None
            if rows:
                rows.writerow(csv_header(settings, TOTALS))
            task = progress.add_task("combinations", total=count)
            for outcome in sweep:
                outcomes.append(outcome)
                progress.advance(task)
                if rows:
                    rows.writerow(csv_row(outcome, TOTALS))
    except KeyboardInterrupt:
        return outcomes, True
    except OSError as error:
        raise InvalidRequest.of(Violation("--csv", f"{table} cannot be written: {error}")) from error
    return outcomes, False
