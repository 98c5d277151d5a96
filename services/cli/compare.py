"""`imcnas compare`: networks, or chips, side by side."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.arguments import AsJson, OracleAt, open_oracle
from services.cli.json_rows import error_row
from services.cli.networks import Classes, Files, Form, Format, Image, Widths, read_files
from services.common.errors import ImcnasError, InvalidRequest, violation
from services.hw_oracle.chips import DEFAULT, load_chip

if TYPE_CHECKING:
    from services.cli.compare_table import Subject


def command(
    files: Files,
    form: Form = Format.AUTO,
    chips: Annotated[
        list[str] | None, typer.Option("--chip", help="As in evaluate; more than one for one network.")
    ] = None,
    as_json: AsJson = False,
    image: Image = "",
    classes: Classes = 10,
    bits: Widths = "9",
    oracle: OracleAt = "",
) -> None:
    """Compare networks on one chip, or one network on several chips.

    Totals side by side, then busy time, energy and area layer by layer.
    A ratio is to the first. Networks whose layers are of different kinds
    are aligned by kind, as lines of text are compared.

    For example:

      imcnas compare VGG64-RES128 VGG64-VGG128

      imcnas compare VGG64-RES128 --chip mnsim2_default --chip my_chip.toml

      imcnas compare nets.json --json
    """
    from services.cli.compare_table import Subject, show_comparison
    from services.cli.console import CONSOLE
    from services.hw_oracle.derived import derive
    from services.hw_oracle.describe import NOT_MODELLED

    for name, times in Counter(chips or ()).items():
        if times > 1:
            raise InvalidRequest.of(violation("--chip", f"{name} {times} times", "chips that differ"))
    configs = {name: load_chip(name) for name in chips or [DEFAULT]}
    named = read_files(files, form, image, classes, bits)
    if len(named) > 1 < len(configs):
        got = f"{len(named)} networks on {len(configs)} chips"
        wanted = "several networks on one chip, or one network on several chips"
        raise InvalidRequest.of(violation("--chip", got, wanted))
    if len(named) * len(configs) == 1:
        fix = "give another FILE, or two chips, each with --chip"
        raise InvalidRequest.of(
            violation("FILE", "one network on one chip", "two networks, or two chips", fix)
        )
    subjects: list[Subject] = []
    failures: list[dict[str, Any]] = []
    with open_oracle(oracle) as hardware:
        for item, (chip_name, chip) in product(named, configs.items()):
            name = item.name if len(configs) == 1 else f"{item.name} on {Path(chip_name).name}"
            try:
                if isinstance(item.network, ImcnasError):
                    raise item.network
                report = hardware.evaluate(item.network, chip)
            except ImcnasError as error:
                failures.append(error_row(name, error))
                print(f"imcnas: {name}: {error}", file=sys.stderr)
                continue
            figures = derive(item.network, chip, report)
            subjects.append(Subject(name=name, network=item.network, report=report, figures=figures))
    if as_json:
        print(json.dumps(_as_dict(subjects, failures), allow_nan=False))
    elif len(subjects) > 1:
        if len(configs) == 1:
            CONSOLE.print(f"on {Path(next(iter(configs))).name}", markup=False)
        show_comparison(CONSOLE, subjects)
        CONSOLE.print(NOT_MODELLED, style="dim")
    if failures:
        raise typer.Exit(1)


def _as_dict(subjects: Sequence[Subject], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Tell each subject's totals, those that failed, and the aligned layers, one for each subject or null."""
    from services.hw_oracle.align import align, alike
    from services.hw_oracle.derived import busy_ns, totals

    networks = [subject.network for subject in subjects]

    def layer(subject: Subject, index: int | None) -> dict[str, Any] | None:
        if index is None:
            return None
        cost = subject.report.layers[index]
        values = {"busy_ns": busy_ns(cost), "energy_nj": cost.energy_nj, "area_um2": cost.area_um2}
        return {"index": index, "kind": cost.kind, **values}

    rows = align(networks) if networks else []
    return {
        "subjects": [{"name": s.name, **totals(s.report, s.figures)} for s in subjects],
        "failed": failures,
        "aligned": "by index" if networks and alike(networks) else "by kind",
        "layers": [[layer(s, index) for s, index in zip(subjects, row, strict=True)] for row in rows],
    }
