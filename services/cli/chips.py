"""`imcnas chips`: the chips there are, what one is made of, and its file in one form or the other."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from services.cli.arguments import AsJson
from services.common.errors import InvalidChip, InvalidRequest, Violation, violation

app = typer.Typer(
    no_args_is_help=True,
    help="""Show, check and convert chips.

A chip is a preset by name, a .toml file, or an MNSIM 2.0 SimConfig .ini;
docs/chips.md shows how to write one.

For example:

  imcnas chips list

  imcnas chips show isaac

  imcnas chips convert SimConfig.ini -o mine.toml""",
)

CHIP = typer.Argument(metavar="CHIP", help="A preset, or a .toml or MNSIM .ini file.")


class ChipFormat(StrEnum):
    """How a chip's file is written."""

    TOML = "toml"
    INI = "ini"


@app.command("list")
def list_presets() -> None:
    """Name the presets, each on a line.

    For example:

      imcnas chips list
    """
    from services.cli.chip_view import SUMMARY, summary
    from services.cli.console import CONSOLE
    from services.hw_oracle.chips import PRESETS, read_chip

    presets = [read_chip(name) for name in PRESETS]
    for line in (SUMMARY, *(summary(p.name, p.title, p.chip) for p in presets)):
        print(line if len(line) <= CONSOLE.width else f"{line[: CONSOLE.width - 3]}...")


@app.command("show")
def show(
    chip: Annotated[str, CHIP],
    as_json: AsJson = False,
) -> None:
    """Show every field of a chip, what differs from the default chip, and what follows.

    For example:

      imcnas chips show isaac

      imcnas chips show SimConfig.ini --json
    """
    from services.cli.chip_view import changed_from, chip_lines, ignored_lines
    from services.cli.console import CONSOLE
    from services.hw_oracle.chip_figures import chip_figures
    from services.hw_oracle.chips import read_chip
    from services.hw_oracle.types import ChipConfig, chip_hash

    named = read_chip(chip)
    figures, content = chip_figures(named.chip), chip_hash(named.chip)
    if as_json:
        row: dict[str, Any] = {
            "name": named.name,
            "title": named.title,
            "notes": named.notes,
            "chip_hash": content,
            "chip": asdict(named.chip),
        }
        row |= {
            "changed_from": changed_from(asdict(ChipConfig()), asdict(named.chip)),
            "derived": asdict(figures),
            "ignored": list(map(asdict, named.ignored)),
        }
        print(json.dumps(row, allow_nan=False))
        return
    print(f"{named.name}: {named.title}" if named.title else named.name)
    print(f"chip hash {content}\n")
    if named.notes:
        print(f"{named.notes}\n")
    for line, changed in chip_lines(named.chip, figures):
        CONSOLE.print(line, style="bold" if changed else None, markup=False, soft_wrap=True)
    for line in ignored_lines(named.ignored):
        print(line)


@app.command("validate")
def validate(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Chips, in .toml or .ini files.")],
) -> None:
    """Say of each file that it is a chip, or everything that is wrong with it.

    Exits with 1 if any is wrong, with 2 if there is no such file.

    For example:

      imcnas chips validate mine.toml SimConfig.ini
    """
    from services.cli.chip_view import ignored_lines
    from services.cli.mistakes import print_mistakes
    from services.hw_oracle.chips import read_chip
    from services.hw_oracle.types import chip_hash

    failed = False
    for file in files:
        try:
            named = read_chip(file)
        except InvalidChip as error:
            failed = True
            print_mistakes(file, error)
        else:
            print(f"{file}: ok, chip {chip_hash(named.chip)}")
            for line in ignored_lines(named.ignored):
                print(line)
    if failed:
        raise typer.Exit(1)


@app.command("convert")
def convert(
    chip: Annotated[str, CHIP],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write (default: standard output).")
    ] = None,
    to: Annotated[
        ChipFormat | None, typer.Option(help="Form to write (default: as OUTPUT ends, else the other one).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it exists.")] = False,
) -> None:
    """Write a chip as TOML, or as a SimConfig.ini that MNSIM 2.0 runs with.

    What the new form cannot say, and what had no effect in the old one, is
    told on standard error. Numbers are written exactly.

    For example:

      imcnas chips convert SimConfig.ini                 as TOML, to the terminal

      imcnas chips convert mine.toml -o SimConfig.ini
    """
    from services.cli.chip_view import ignored_lines
    from services.hw_oracle.chip_toml import chip_to_toml
    from services.hw_oracle.chips import read_chip
    from services.hw_oracle.simconfig_write import beyond_simconfig, simconfig_from_chip

    form = to or _form(chip, output)
    if output and output.exists() and not (force and output.is_file()):
        fix = "choose another name" if force else "choose another name, or give --force to replace it"
        raise InvalidRequest.of(Violation("--output", f"{output} exists; {fix}"))
    named = read_chip(chip)
    text = chip_to_toml(named.chip) if form is ChipFormat.TOML else simconfig_from_chip(named.chip)
    for line in ignored_lines(named.ignored):
        print(line, file=sys.stderr)
    for note in beyond_simconfig(named.chip) if form is ChipFormat.INI else ():
        print(f"Note: {note}", file=sys.stderr)
    _write(text, output)


def _form(chip: str, output: Path | None) -> ChipFormat:
    if output is None:
        return ChipFormat.INI if chip.endswith(".toml") else ChipFormat.TOML
    ending = output.suffix.removeprefix(".")
    if ending not in list(ChipFormat):
        raise InvalidRequest.of(
            violation("--output", str(output), "a name that ends in .toml or .ini, or --to")
        )
    return ChipFormat(ending)


def _write(text: str, output: Path | None) -> None:
    from services.common.files import write_file

    if output is None:
        print(text, end="")
        return
    try:
        write_file(output, text.encode())
    except OSError as error:
        raise InvalidRequest.of(Violation("--output", f"cannot write {output}: {error}")) from None
