"""The three rooms as three processes do what one process does, and tell Prometheus about it."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.e2e.conftest import SEARCH, Run, Service

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STUDY = ["--study", "both", "--trials", "5", "--workers", "1"]


def best(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "both/best.json").read_text())
    return {key: found[key] for key in ("blocks", "fitness", "network_key")} | {
        "accuracy": found["accuracy"]["accuracy_frac"],
        "cost": found["cost"],
        "chip": found["versions"]["chip_hash"],
    }


def rows(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "both/trials.csv").open() as file:
        return [(r["number"], r["blocks"], r["fitness"], r["latency_ns"]) for r in csv.DictReader(file)]


def scrape(service: Service) -> str:
    with urlopen(f"http://127.0.0.1:{service.metrics}/metrics", timeout=30) as response:  # loopback
        return str(response.read().decode())


def test_a_search_through_three_services_finds_what_one_process_finds(
    tmp_path: Path, imcnas: Run, serve: Callable[..., Service]
):
    alone = imcnas(*SEARCH, *STUDY, "--runs", "alone")
    assert alone.returncode == 0, alone.stderr

    oracle, trainer = serve("oracle"), serve("trainer", INLINE="true")
    searcher = serve(
        "searcher", ORACLE=oracle.address, TRAINER=trainer.address, STORE="served/studies.sqlite"
    )
    served = imcnas(*SEARCH, *STUDY, "--runs", "watched", "--searcher", searcher.address)
    assert served.returncode == 0, served.stderr
    remote = imcnas(
        *SEARCH, *STUDY, "--runs", "remote", "--oracle", oracle.address, "--trainer", trainer.address
    )
    assert remote.returncode == 0, remote.stderr

    assert len(rows(tmp_path / "alone")) == 5
    for other in ("watched", "remote"):
        assert best(tmp_path / other) == best(tmp_path / "alone")
        assert rows(tmp_path / other) == rows(tmp_path / "alone")

    assert 'imcnas_oracle_networks_total{result="ok"}' in scrape(oracle)
    trained = scrape(trainer)
    assert 'imcnas_trainer_evaluations_total{job="training",outcome="complete"} 10.0' in trained
    assert 'grpc_server_handled_total{grpc_code="OK",grpc_method="Evaluate"' in trained
    told = scrape(searcher)
    assert 'imcnas_search_trials_total{outcome="complete"} 5.0' in told
    assert "imcnas_search_ask_seconds_count 5.0" in told
    assert all("imcnas_build_info{" in scrape(s) for s in (oracle, trainer, searcher))


def test_a_trainer_that_cannot_be_reached_is_named(imcnas: Run):
    done = imcnas(*SEARCH, "--trainer", "127.0.0.1:1")
    assert done.returncode == 2
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
