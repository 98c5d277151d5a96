"""`imcnas evaluate`: what a network costs on a chip."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.arguments import parse_bits, parse_image
from services.cli.networks import CANDIDATE_IMAGE, Format, Named, read_networks
from services.common.candidate import candidate_layers, parse_candidate
from services.common.errors import ImcnasError
from services.common.units import format_area, format_energy, format_latency, format_power

if TYPE_CHECKING:
    from services.hw_oracle.derived import DerivedFigures
    from services.hw_oracle.types import ChipConfig, CostReport

    Result = tuple[CostReport, DerivedFigures] | ImcnasError


class Detail(StrEnum):
    """How much of a report is shown."""

    TOTALS = "totals"
    LAYERS = "layers"
    MODULES = "modules"


def command(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="JSON or ONNX files, or candidates such as VGG16-RES32."),
    ],
    form: Annotated[Format, typer.Option("--format", help="What the files hold.")] = Format.AUTO,
    chip: Annotated[str, typer.Option(help="A preset, or a .toml or MNSIM .ini file.")] = "mnsim2_default",
    detail: Annotated[Detail, typer.Option(help="Totals, each layer, or each module.")] = Detail.TOTALS,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
    image: Annotated[
        str, typer.Option(help="Image shape for candidates (3x32x32), and ONNX files that leave it open.")
    ] = "",
    classes: Annotated[int, typer.Option(help="Classes for candidates.")] = 10,
    bits: Annotated[
        str, typer.Option(help="Bit widths for candidates and ONNX files: one, or inputs,weights,outputs.")
    ] = "9",
    oracle: Annotated[str, typer.Option(help="Ask a running oracle, host:port, instead.")] = "",
) -> None:
    """Tell the latency, energy, area and power of networks on a chip.

    A FILE holds one network or a list of them, as imcnas JSON or as the
    layer dictionaries of MNSIM 2.0, or is an ONNX file; docs/networks.md
    tells what each may hold.

    For example:

      imcnas evaluate VGG64-RES128     a candidate on CIFAR-sized images

      imcnas evaluate VGG16-RES32 --image 1x8x8 --detail layers

      imcnas evaluate networks.json --chip my_chip.ini --json

      imcnas evaluate model.onnx --bits 8,4,8     inputs, weights, outputs
    """
    from services.hw_oracle.chips import load_chip
    from services.hw_oracle.client import HwOracle

    config, shape, widths = load_chip(chip), parse_image(image) if image else None, parse_bits(bits)
    if not all(Path(file).exists() for file in files):
        candidate_layers(
            parse_candidate("VGG1"), shape or CANDIDATE_IMAGE, classes
        )  # images that fit no candidate are one mistake
    failed = False
    with HwOracle(oracle or None) as hardware:
        if oracle:
            hardware.info()  # it answers
        for file in files:
            for name, result in _evaluate(
                read_networks(file, form, shape, classes, widths), hardware, config
            ):
                failed |= isinstance(result, ImcnasError)
                if as_json:
                    print(json.dumps(_as_dict(name, result, detail), allow_nan=False), flush=True)
                elif isinstance(result, ImcnasError):
                    print(f"imcnas: {name}: {result}", file=sys.stderr)
                else:
                    _show(name, *result, detail)
    if failed:
        raise typer.Exit(1)


def _evaluate(networks: Iterator[Named], hardware: Any, chip: ChipConfig) -> Iterator[tuple[str, Result]]:
    from services.hw_oracle.derived import derive

    for item in networks:
        if isinstance(item.network, ImcnasError):
            yield item.name, item.network
            continue
        try:
            report = hardware.evaluate(item.network, chip)
            yield item.name, (report, derive(item.network, chip, report))
        except ImcnasError as error:
            yield item.name, error


_TOTALS = ("latency_ns", "energy_nj", "area_um2", "power_w", "average_power_w", "tiles", "pes", "crossbars")
_MODULES = ("latency", "energy", "area", "power")


def _as_dict(name: str, result: Result, detail: Detail) -> dict[str, Any]:
    if isinstance(result, ImcnasError):
        field = result.violations[0].field if result.violations else ""
        return {"name": name, "error": {"reason": result.reason, "message": str(result), "field": field}}
    report, figures = result
    whole = asdict(report)
    layers = whole["layers"]
    if detail is not Detail.MODULES:
        layers = [{k: v for k, v in layer.items() if k not in _MODULES} for layer in layers]
    row = {"name": name, **{key: getattr(report, key) for key in _TOTALS}, **asdict(figures)}
    row |= {key: whole[key] for key in ("model_version", "chip_hash")}
    if detail is Detail.MODULES:
        row["modules"] = {key: whole[key] for key in _MODULES}
    return {**row, "layers": layers}


def _three_digits(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.12g}"


def _show(name: str, report: CostReport, figures: DerivedFigures, detail: Detail) -> None:
    from rich.table import Table

    from services.cli.console import CONSOLE, bar

    pace, slowest = _three_digits(figures.throughput_ips), figures.bottleneck_layer
    rates = [_three_digits(x) for x in (figures.tops, figures.tops_per_w, figures.tops_per_mm2)]
    summary = Table(title=name, title_justify="left", box=None, show_header=False, pad_edge=False)
    for label, value in (
        ("latency", format_latency(report.latency_ns)),
        ("energy", format_energy(report.energy_nj)),
        ("area", format_area(report.area_um2)),
        ("average power", format_power(report.average_power_w)),
        ("power, all at once", format_power(report.power_w)),
        ("tiles", f"{report.tiles:,} ({report.pes:,} PEs, {report.crossbars:,} crossbars)"),
        ("cells with weights", f"{figures.utilization_frac:.1%}"),
        (
            "throughput",
            f"{pace} inferences/s; layer {slowest} works longest",
        ),
        ("operations", "{} TOPS, {} TOPS/W, {} TOPS/mm2".format(*rates)),
    ):
        summary.add_row(label, value)
    CONSOLE.print(summary)
    if detail is Detail.LAYERS:
        table = Table(
            "",
            "layer",
            "tiles",
            "begin",
            "finish",
            "busy",
            "energy",
            "share of energy",
            box=None,
            pad_edge=False,
        )
        for column in table.columns[2:7]:
            column.justify = "right"
        for index, layer in enumerate(report.layers):
            share = layer.energy_nj / report.energy_nj if report.energy_nj else 0.0
            table.add_row(
                str(index),
                layer.kind,
                str(layer.tiles),
                format_latency(layer.begin_ns),
                format_latency(layer.finish_ns),
                f"{layer.occupancy_frac:.0%}",
                format_energy(layer.energy_nj),
                bar(share),
            )
        CONSOLE.print(table)
    if detail is Detail.MODULES:
        table = Table("module", "energy", "share of energy", "busy time", box=None, pad_edge=False)
        latency = asdict(report.latency)
        for field, energy_nj in asdict(report.energy).items():
            module = field.removesuffix("_nj")
            share = energy_nj / report.energy_nj if report.energy_nj else 0.0
            table.add_row(
                module.replace("_", " "),
                format_energy(energy_nj),
                bar(share),
                format_latency(latency[f"{module}_ns"]),
            )
        CONSOLE.print(table)
    print()
