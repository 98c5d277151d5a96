"""What a served oracle costs and how soon it answers: server CPU a call or network, p50 and p99; cache off.

Server and client are processes of their own, each on a core of its own. An echo behind the same door, which
parses the same request and sends the same response, takes turns with the oracle: its CPU is what gRPC takes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.networks import CLASSES, IMAGE, paper_candidates, paper_networks
from services.common.layers import Bits
from services.common.pb.imcnas.v1.hw_oracle_pb2_grpc import HwOracleServiceStub
from services.common.rpc.channel import Connection
from services.common.space import load_space, number_blocks
from services.hw_oracle.client import HwOracle
from services.hw_oracle.convert import batches_to_pb, candidates_to_pb, evaluate_to_pb
from services.hw_oracle.types import Detail

PRESET = "mnsim2_default"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    pid: int
    address: str
    started_s: float

    def cpu_s(self) -> float:
        """Time its threads have taken of a core."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_mb(self) -> float:
        """Memory it holds."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


@contextmanager
def served(*command: str) -> Iterator[Served]:
    """Run a server on the first core, meanwhile."""
    names = ("PORT", "HEALTH_PORT", "METRICS_PORT", "CACHED_LAYERS")
    environment = os.environ | {f"IMCNAS_ORACLE_{name}": "0" for name in names}
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=subprocess.PIPE, text=True
    )
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    try:
        port = re.search(r"port (\d+)", process.stdout.readline()).group(1)
        address = f"127.0.0.1:{port}"
        with HwOracle(address) as oracle:
            oracle.evaluate(paper_networks(1)[0], PRESET, Detail.TOTALS)
        yield Served(process.pid, address, time.perf_counter() - begin)
    finally:
        process.terminate()
        process.wait(30)


def measure(server: Served, call: Callable[[Any], Any], requests: list[Any], seconds: float) -> list[Any]:
    """Call for so long, one call at a time; the server's CPU a call, and the latencies."""
    latencies, begin, cpu_s = [], time.perf_counter(), server.cpu_s()
    while time.perf_counter() - begin < seconds:
        sent = time.perf_counter()
        call(requests[len(latencies) % len(requests)])
        latencies.append(time.perf_counter() - sent)
    return [(server.cpu_s() - cpu_s) / len(latencies), *latencies]


def percentile(values: list[float], share: float) -> float:
    """Value that so large a share of `values` does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="Of one turn.")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    print(
        f"Conditions: {conditions()}; {options.turns} turns of {options.seconds:g} s each, "
        "one client, one call at a time\n"
    )
    networks, space = paper_networks(1000), load_space("paper")
    unary = [evaluate_to_pb(n, PRESET, Detail.TOTALS) for n in networks]
    batches = [next(batches_to_pb(networks[i : i + 100], PRESET, Detail.TOTALS)) for i in range(0, 1000, 100)]
    numbers = number_blocks(space, paper_candidates(1000))
    (many,) = candidates_to_pb(space, *numbers, IMAGE, CLASSES, PRESET, Bits())
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.NamedTemporaryFile() as file, served("services.hw_oracle") as oracle:
        with HwOracle(oracle.address) as client:
            client.evaluate(networks[0], PRESET, Detail.TOTALS)
        connection = Connection(oracle.address, 60)
        stub = HwOracleServiceStub(connection.channel)
        response = connection.call(stub.Evaluate, unary[0])
        Path(file.name).write_bytes(response.SerializeToString())
        print(f"Oracle: first answer {oracle.started_s:.2f} s after its start, {oracle.resident_mb():.0f} MB")
        with served("benchmarks.echo_oracle", file.name) as echo:
            other = Connection(echo.address, 60)
            echo_stub = HwOracleServiceStub(other.channel)
            ways = {
                "echo of Evaluate": (echo, lambda r: other.call(echo_stub.Evaluate, r), unary, 1),
                "Evaluate": (oracle, lambda r: connection.call(stub.Evaluate, r), unary, 1),
                "BatchEvaluate of 100": (
                    oracle, lambda r: connection.call(stub.BatchEvaluate, r), batches, 100,
                ),
                "EvaluateCandidates of 1000": (
                    oracle, lambda r: connection.call(stub.EvaluateCandidates, r), [many], 1000,
                ),
            }  # fmt: skip
            found: dict[str, list[list[float]]] = {way: [] for way in ways}
            for turn in range(options.turns):
                for way in list(ways) if turn % 2 else list(reversed(ways)):
                    server, call, requests, _count = ways[way]
                    found[way].append(measure(server, call, requests, options.seconds))
            print(f"Request {unary[0].ByteSize()} bytes, response {response.ByteSize()} bytes\n")
            print("| call | calls | server CPU a call (us) | networks/s of a core | p50 (ms) | p99 (ms) |")
            print("|---|---|---|---|---|---|")
            for way, turns in found.items():
                cpus = [1e6 * turn[0] for turn in turns]
                latencies = [1e3 * latency for turn in turns for latency in turn[1:]]
                print(
                    f"| {way} | {len(latencies):,} | {median(cpus):.0f} ({min(cpus):.0f} to {max(cpus):.0f}) "
                    f"| {ways[way][3] * 1e6 / median(cpus):,.0f} | {percentile(latencies, 0.5):.2f} "
                    f"| {percentile(latencies, 0.99):.2f} |"
                )
            ratios = [
                mine[0] / theirs[0]
                for mine, theirs in zip(found["Evaluate"], found["echo of Evaluate"], strict=True)
            ]
            print(
                f"\nEvaluate takes {median(ratios):.2f} times the echo's CPU "
                f"({min(ratios):.2f} to {max(ratios):.2f}); the oracle holds {oracle.resident_mb():.0f} MB"
            )
        connection.close()


if __name__ == "__main__":
    main()
