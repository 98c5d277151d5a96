"""Where the time of a search goes: suggestion, hardware cost, training, overhead, in seconds a trial.

Runs the main job, `imcnas search` on digits-hard over the small space, as a user would, for several seeds
with one worker (trainings in the process) and with two (Ray actors), and prints a table for RESULTS.md.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.conditions import conditions

PARTS = ("suggestion", "hardware cost", "training", "overhead", "wall time")
"""Means a trial. Overhead is what is left of a worker's time: events, commits, waiting for the loop."""


def run(seed: int, workers: int, trials: int, runs: Path) -> dict[str, float]:
    """Run one search; give the seconds a trial of each part, and the whole command's seconds."""
    command = [sys.executable, "-m", "services.cli", "search", "--dataset", "digits-hard", "--space", "small"]
    command += ["--objective", "accuracy/latency", "--trials", str(trials), "--workers", str(workers)]
    begin = time.perf_counter()
    subprocess.run(
        [*command, "--seed", str(seed), "--study", "s", "--runs", str(runs), "--quiet"],
        check=True,
        capture_output=True,
    )
    command_s = time.perf_counter() - begin
    with (runs / "s" / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))

    def mean(column: str) -> float:
        return sum(float(row[column]) for row in rows) / len(rows)

    first, last = min(float(r["started_at"]) for r in rows), max(float(r["finished_at"]) for r in rows)
    parts = {"suggestion": mean("ask_s"), "hardware cost": mean("cost_s"), "training": mean("train_s")}
    wall_s = (last - first) / len(rows)
    overhead_s = wall_s * workers - sum(parts.values())
    return parts | {"overhead": overhead_s, "wall time": wall_s, "command": command_s}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    print(f"Conditions: {conditions()}; n = {options.seeds} searches of {options.trials} trials each\n")
    print("| workers | " + " | ".join(f"{part} (s)" for part in PARTS) + " | whole command (s) |")
    print("|---" * (len(PARTS) + 2) + "|")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            found = [
                run(seed, workers, options.trials, Path(folder, str(seed))) for seed in range(options.seeds)
            ]
        cells = []
        for part in (*PARTS, "command"):
            values = sorted(f[part] for f in found)
            cells.append(f"{median(values):.4g} ({values[0]:.4g} to {values[-1]:.4g})")
        print(f"| {workers} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
