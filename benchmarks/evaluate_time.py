"""How long the oracle takes for one network, in process: the golden networks on the default chip."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from statistics import median

from benchmarks.conditions import conditions
from services.hw_oracle.cost import evaluate
from services.hw_oracle.importers import from_mnsim

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "mnsim2" / "cases.json.gz"
REPEATS = 20


def main() -> None:
    """Print the median, and the fastest and slowest network's median, in milliseconds."""
    cases = json.loads(gzip.decompress(GOLDEN.read_bytes()))
    default = [c for c in cases if c["config"] == "default.ini" and "error" not in c["expect"]]
    networks = [from_mnsim(case["layers"]) for case in default]
    medians = []
    for network in networks:
        seconds = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            evaluate(network)
            seconds.append(time.perf_counter() - begin)
        medians.append(1e3 * median(seconds))
    print(f"Conditions: {conditions()}; n = {len(networks)} networks, median of {REPEATS} calls each\n")
    print(f"evaluate(): {median(medians):.2f} ms ({min(medians):.2f} to {max(medians):.2f} ms)")


if __name__ == "__main__":
    main()
