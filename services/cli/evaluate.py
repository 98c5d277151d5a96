"""`imcnas evaluate`: what a network costs on a chip."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.arguments import AsJson, OracleAt, open_oracle
from services.cli.json_rows import error_row, report_row, terms_row
from services.cli.networks import Classes, Files, Form, Format, Image, Named, Widths, read_files
from services.common.errors import ImcnasError, InvalidRequest, Violation
from services.common.layers import LayerList
from services.hw_oracle.chips import DEFAULT, load_chip
from services.hw_oracle.types import Detail

if TYPE_CHECKING:
    from services.hw_oracle.derived import DerivedFigures
    from services.hw_oracle.types import ChipConfig, CostReport
    from services.hw_oracle.worksheet import Term


def command(
    files: Files,
    form: Form = Format.AUTO,
    chip: Annotated[str, typer.Option(help="A preset, or a .toml or MNSIM .ini file.")] = DEFAULT,
    detail: Annotated[Detail, typer.Option(help="Totals, each layer, or each module.")] = Detail.LAYERS,
    explain: Annotated[
        int | None, typer.Option(metavar="LAYER", help="Tell each term of this layer's cost.")
    ] = None,
    timeline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw when each layer works (.png, .svg, .pdf).")
    ] = None,
    floorplan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw where each layer is (.png, .svg, .pdf).")
    ] = None,
    as_json: AsJson = False,
    image: Image = "",
    classes: Classes = 10,
    bits: Widths = "9",
    oracle: OracleAt = "",
) -> None:
    """Tell the latency, energy, area and power of networks on a chip.

    A FILE holds one network or a list of them, as imcnas JSON or as the
    layer dictionaries of MNSIM 2.0, or is an ONNX file; docs/networks.md
    tells what each may hold.

    With --json each network gives a line with its totals and layers, or its error.
    Exit codes: 0 all were told, 1 some failed, 2 could not start as asked.

    For example:

      imcnas evaluate VGG64-RES128     a candidate on CIFAR-sized images

      imcnas evaluate VGG16-RES32 --image 1x8x8 --detail modules

      imcnas evaluate networks.json --chip my_chip.ini --json

      imcnas evaluate VGG64-RES128 --explain 1     each term, with its equation

      imcnas evaluate VGG64-RES128 --timeline when.png --floorplan where.png

      imcnas evaluate model.onnx --bits 8,4,8     inputs, weights, outputs

      make_networks | imcnas evaluate - --json     from another program
    """
    from services.cli.figures import FigureFiles

    config = load_chip(chip)
    named = read_files(files, form, image, classes, bits)
    drawn = FigureFiles(timeline=timeline, floorplan=floorplan)
    drawn.check(config)
    if oracle and (explain is not None or drawn):
        wanted = "--explain, --timeline and --floorplan work in this process; leave out --oracle"
        raise InvalidRequest.of(Violation("--oracle", wanted))
    failed = False
    with open_oracle(oracle) as hardware:
        for name, result in _evaluate(named, hardware, config, explain):
            failed |= isinstance(result, ImcnasError)
            if as_json:
                print(json.dumps(_row(name, chip, result, detail), allow_nan=False), flush=True)
            elif isinstance(result, ImcnasError):
                print(f"imcnas: {name}: {result}", file=sys.stderr)
            else:
                _show(name, chip, result, detail)
            if not isinstance(result, ImcnasError):
                about, part = f"{name} on {Path(chip).name}", name if named[1:] else ""
                try:
                    for file in drawn.write(result.network, config, result.report, about, part):
                        print(f"Written: {file}", file=sys.stderr)
                except ImcnasError as error:
                    failed = True
                    print(f"imcnas: {name}: {error}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluated:
    network: LayerList
    report: CostReport
    figures: DerivedFigures
    explained: tuple[int, tuple[Term, ...]] | None


def _evaluate(
    networks: Sequence[Named], hardware: Any, chip: ChipConfig, explained: int | None
) -> Iterator[tuple[str, _Evaluated | ImcnasError]]:
    from services.hw_oracle.derived import derive
    from services.hw_oracle.explain import explain

    for item in networks:
        if isinstance(item.network, ImcnasError):
            yield item.name, item.network
            continue
        try:
            report = hardware.evaluate(item.network, chip)
            terms = None if explained is None else (explained, explain(item.network, chip, explained))
            figures = derive(item.network, chip, report)
            yield item.name, _Evaluated(network=item.network, report=report, figures=figures, explained=terms)
        except ImcnasError as error:
            yield item.name, error


def _row(name: str, chip: str, result: _Evaluated | ImcnasError, detail: Detail) -> dict[str, Any]:
    if isinstance(result, ImcnasError):
        return error_row(name, result)
    row = report_row(name, chip, result.network, result.report, result.figures, detail is Detail.MODULES)
    return row | ({} if result.explained is None else {"explained": terms_row(*result.explained)})


def _show(name: str, chip: str, result: _Evaluated, detail: Detail) -> None:
    from services.cli.console import CONSOLE
    from services.cli.cost_table import show_layers, show_modules, show_summary
    from services.cli.explain_table import show_terms
    from services.hw_oracle.describe import NOT_MODELLED, layer_text

    show_summary(CONSOLE, name, chip, result.report, result.figures)
    if result.explained is not None:
        index, terms = result.explained
        show_terms(CONSOLE, f"Layer {index}, {layer_text(result.network, index)}", terms)
    elif detail is Detail.LAYERS:
        show_layers(CONSOLE, result.network, result.report)
    elif detail is Detail.MODULES:
        show_modules(CONSOLE, result.report)
    CONSOLE.print(NOT_MODELLED, style="dim")
    print()
