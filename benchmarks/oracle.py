"""How fast the chip model is in process: one network, batches, a million candidates; no cache anywhere.

Beside the kernel stand, in the same run, the numpy reference and the floor of its recursion: a compiled scan
``finish(t) = max(ready(t), finish(t - 1)) + D(t)`` of as many points as the networks have.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median, quantiles
from typing import Any

import numba
import numpy as np

from benchmarks.conditions import conditions
from benchmarks.networks import CLASSES, IMAGE, golden_networks, paper_networks
from services.common.layers import LayerList
from services.common.space import load_space
from services.hw_oracle import cost, reference
from services.hw_oracle.compiled.candidates import expand
from services.hw_oracle.compiled.pack import Packed, pack, pack_chip
from services.hw_oracle.compiled.run import CHUNK, run, run_parallel
from services.hw_oracle.types import ChipConfig, Detail

CHIP = ChipConfig()


@numba.njit
def scan(ready: Any, finish: Any, duration_ns: float) -> None:
    """Run the plain recursion, one point after the other."""
    end = 0.0
    for t in range(len(ready)):
        end = max(ready[t], end) + duration_ns
        finish[t] = end


def microseconds(calls: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Median time of each call over some repeats, the calls taking turns; a first turn is not counted."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, own in zip(calls, times, strict=True):
            begin = time.perf_counter()
            call()
            own.append(1e6 * (time.perf_counter() - begin))
    return [median(own) for own in times]


def row(what: str, values: Sequence[float]) -> None:
    """Print a table's row: median, quartiles, extremes."""
    low, middle, high = quantiles(values, n=4)
    print(f"| {what} | {middle:.1f} | {low:.1f} to {high:.1f} | {min(values):.1f} to {max(values):.1f} |")


def one_by_one(name: str, networks: list[LayerList], repeats: int) -> None:
    """Print the time of a network in each way."""
    packed, chip = [pack([n]) for n in networks], pack_chip(CHIP)
    points = [sum(shape.points for shape in n.shapes) for n in networks]
    ready = [np.arange(count) * 1.5 for count in points]
    finish = np.empty(max(points))
    print(f"\n{name}: {len(networks)} networks, mean {sum(points) / len(points):,.0f} points\n")
    print("| one network at a time | median (us) | quartiles | extremes |")
    print("|---|---|---|---|")
    row("scan floor", microseconds([lambda r=r: scan(r, finish, 1.0) for r in ready], repeats))
    row("kernel", microseconds([lambda p=p: run(p, chip) for p in packed], repeats))
    row("pack", microseconds([lambda n=n: pack([n]) for n in networks], repeats))
    for detail in Detail:
        calls = [lambda n=n, d=detail: cost.evaluate(n, CHIP, d) for n in networks]
        row(f"evaluate(), {detail}", microseconds(calls, repeats))
    some = networks[:50]
    calls = [lambda n=n: reference.evaluate(n, CHIP) for n in some]
    row(f"numpy reference, {len(some)} networks, 3 calls each", microseconds(calls, 3))


def rate(what: str, count: int, work: Callable[[], Any], repeats: int = 5) -> None:
    """Print how many networks a second of wall time and of one core's time."""
    walls, cpus = [], []
    for _ in range(repeats):
        begin, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(count / (time.perf_counter() - begin))
        cpus.append(count / (time.process_time() - cpu))
    spread = f"{min(walls):,.0f} to {max(walls):,.0f}"
    print(f"| {what} | {count:,} | {median(walls):,.0f} ({spread}) | {median(cpus):,.0f} |")


def candidates(count: int, seed: int) -> Iterator[Packed]:
    """Draw candidates of depth 7, and expand them chunk by chunk."""
    space, rng = load_space("paper"), np.random.default_rng(seed)
    for first in range(0, count, CHUNK):
        depths = np.full(min(CHUNK, count - first), 7)
        yield expand(space, IMAGE, CLASSES, depths, rng.integers(0, 18, depths.sum()))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--million", type=int, default=1_000_000, help="Candidates of the long run.")
    options = parser.parse_args()
    print(f"Conditions: {conditions()}; each time the median of {options.repeats} calls, taken in turns")
    networks, chip = paper_networks(1000), pack_chip(CHIP)
    one_by_one("Golden networks, default chip", golden_networks(), options.repeats)
    one_by_one("Random networks of `paper` at 3x32x32", networks, options.repeats)
    print("\n| batches of random `paper` networks | n | networks/s, wall | networks/s of a core |")
    print("|---|---|---|---|")
    packed = pack(networks)
    rate("kernel, one thread", len(networks), lambda: run(packed, chip))
    rate("candidates expanded, one thread", 10_000, lambda: [run(p, chip) for p in candidates(10_000, 0)])
    rate("evaluate_batch, totals", len(networks), lambda: cost.evaluate_batch(networks, CHIP))
    begin_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    done = sum(len(totals) for totals in run_parallel(candidates(options.million, 1), chip))
    took_s = time.perf_counter() - begin
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin_kb) / 1024
    print(f"\n{done:,} candidates on all cores: {took_s:.1f} s, memory grew by {grown_mb:.1f} MB")


if __name__ == "__main__":
    main()
