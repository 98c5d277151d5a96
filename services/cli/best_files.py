"""What `imcnas best` leaves: a summary, and a folder a network."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from services.common.files import new_folder
from services.common.units import format_area, format_energy, format_latency

if TYPE_CHECKING:
    from services.common.candidate import Candidate
    from services.common.layers import LayerList
    from services.hw_oracle.types import ChipConfig, CostReport
    from services.trainer.data import Dataset
    from services.trainer.trained import Trained

SUMMARY, TABLE = "README.md", "summary.csv"

NOTES = """\
Accuracies are {spread}; {parts}. The networks were chosen by a search that saw the validation part; the
test part was judged here for the first time. Each folder holds the seed that validates best: its own test
accuracy, in its README.md, is one draw around the mean. Recipe {recipe}, {epochs} epochs. Costs are of one
inference on {chip}, by the model; hardware.txt in each folder tells of each layer."""

_WIDTH = 140

Files = Mapping[str, bytes]


def hardware_files(name: str, chip: str, config: ChipConfig, network: LayerList, report: CostReport) -> Files:
    """Tell what a network costs as `imcnas evaluate` does, for people and for programs."""
    from rich.console import Console

    from services.cli.cost_table import show_layers, show_modules, show_summary
    from services.cli.json_rows import report_row
    from services.hw_oracle.derived import derive
    from services.hw_oracle.describe import NOT_MODELLED

    figures, text = derive(network, config, report), io.StringIO()
    console = Console(file=text, width=_WIDTH, highlight=False)
    show_summary(console, name, chip, report, figures)
    console.print()
    show_layers(console, network, report)
    console.print()
    show_modules(console, report)
    console.print(f"\n{NOT_MODELLED}")
    lines = "\n".join(line.rstrip() for line in text.getvalue().splitlines())
    row = report_row(name, chip, network, report, figures, modules=True)
    return {
        "hardware.txt": f"{lines}\n".encode(),
        "hardware.json": (json.dumps(row, indent=2, allow_nan=False) + "\n").encode(),
    }


def write_best(
    folder: Path,
    study: str,
    results: Sequence[Trained],
    source: Any,
    images: Dataset,
    hardware: Mapping[Candidate, Files],
) -> list[Path]:
    """Write the summary and the networks, all or nothing; of each network the seed that validates best.

    Parameters
    ----------
    folder : Path
    study : str
    results : sequence of Trained
        Those of a network one after the other; at least one.
    source : Evaluator
        That has their weights.
    images : Dataset
    hardware : mapping
        Files of each network's cost.

    Returns
    -------
    list of Path
        The summary, its table, and each network's folder.
    """
    from services.trainer.export import export

    rows = []
    with new_folder(folder) as inside:
        for rank, trainings in enumerate(_by_network(results), start=1):
            chosen = max(trainings, key=lambda trained: trained.report.accuracy_frac)
            name = f"{rank}-{chosen.request.candidate}"[:100]
            files = hardware[chosen.request.candidate]
            export(inside / name, chosen, source.weights(chosen.request), images, beside=files)
            rows.append(_row(name, trainings, chosen))
        (inside / TABLE).write_text(_csv(rows), "utf-8")
        (inside / SUMMARY).write_text(_summary(study, results[0], rows), "utf-8")
    return [folder / SUMMARY, folder / TABLE, *(folder / row["folder"] for row in rows)]


def _by_network(results: Sequence[Trained]) -> list[list[Trained]]:
    return [list(group) for _, group in groupby(results, key=lambda trained: trained.request.candidate)]


def _row(name: str, trainings: Sequence[Trained], chosen: Trained) -> dict[str, Any]:
    """Tell of a network: means over its seeds, and the one that is exported."""
    tests = [t.report.test_accuracy_frac for t in trainings if t.report.test_accuracy_frac is not None]
    validations = [t.report.accuracy_frac for t in trainings]
    chips = [t.on_chip.folded.mean_frac for t in trainings if t.on_chip and t.on_chip.folded]
    cost = chosen.hardware
    return {
        "folder": name,
        "blocks": str(chosen.request.candidate),
        "seeds": len(trainings),
        "test_accuracy_frac": fmean(tests),
        "test_accuracy_deviation_frac": _deviation(tests),
        "validation_accuracy_frac": fmean(validations),
        "validation_accuracy_deviation_frac": _deviation(validations),
        "on_chip_accuracy_frac": fmean(chips) if chips else None,
        "exported_seed": chosen.request.seed,
        "exported_test_accuracy_frac": chosen.report.test_accuracy_frac,
        "exported_test_accuracy_stderr_frac": chosen.test_stderr_frac,
        "latency_ns": cost.latency_ns if cost else None,
        "energy_nj": cost.energy_nj if cost else None,
        "area_um2": cost.area_um2 if cost else None,
        "tiles": cost.tiles if cost else None,
    }


def _deviation(values: Sequence[float]) -> float | None:
    """Give the standard deviation between seeds; None of a single one."""
    return stdev(values) if len(values) > 1 else None


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, [*rows[0]], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _summary(study: str, first: Trained, rows: Sequence[Mapping[str, Any]]) -> str:
    """Write the summary for people."""
    data, request = first.dataset, first.request
    chip = any(row["on_chip_accuracy_frac"] is not None for row in rows)
    titles = [
        "network",
        "test",
        "validation",
        *(["on the chip"] if chip else []),
        "latency",
        "energy",
        "area",
        "tiles",
    ]
    table = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]
    for row in rows:
        cells = [
            f"[{row['blocks']}]({row['folder']}/README.md)",
            _share(row["test_accuracy_frac"], row["test_accuracy_deviation_frac"]),
            _share(row["validation_accuracy_frac"], row["validation_accuracy_deviation_frac"]),
            *([_share(row["on_chip_accuracy_frac"], None)] if chip else []),
            format_latency(row["latency_ns"]),
            format_energy(row["energy_nj"]),
            format_area(row["area_um2"]),
            f"{row['tiles']:,}",
        ]
        table.append(f"| {' | '.join(cells)} |")
    seeds = rows[0]["seeds"]
    spread = f"means of {seeds} seeds ± the deviation between them" if seeds > 1 else "of one seed"
    parts = f"{data.test_images:,} test and {data.validation_images:,} validation images of {data.name}"
    recipe = {"recipe": request.recipe.name, "epochs": request.epochs}
    notes = NOTES.format(spread=spread, parts=parts, chip=first.chip, **recipe)
    return "\n".join((f"# The best of study {study}", "", *table, "", notes, ""))


def _share(value: float, deviation: float | None) -> str:
    return f"{value:.4f}" if deviation is None else f"{value:.4f} ± {deviation:.4f}"
