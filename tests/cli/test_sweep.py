"""`imcnas sweep`: the table, the CSV file, the plot, and what fails."""

import csv
from io import StringIO
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.sweep_table import show_sweep
from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import Shape
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import TOTALS, derive, totals
from services.hw_oracle.fields import full_path, read_value, with_fields
from services.hw_oracle.sweep import Outcome, Setting, sweep
from services.hw_oracle.types import ChipConfig
from tests.cli.conftest import Command

SMALL = ("VGG16-RES32", "--image", "1x8x8")


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_csv_file_has_every_combination_and_reads_back_as_the_model_said(imcnas: Command):
    code, out, _ = imcnas(
        "sweep", *SMALL, "--set", "adc.choice=2,6", "--set", "crossbar.rows=128,256",
        "--set", "adcs=derived,64", "--csv", "s.csv",
    )  # fmt: skip
    assert code == 0
    assert "crossbar.subarray_rows follows rows" in out
    rows, net = (
        rows_of("s.csv"),
        candidate_layers(parse_candidate(SMALL[0]), Shape(channels=1, height=8, width=8), 10),
    )
    paths = [full_path(name) for name in ("adc.choice", "crossbar.rows", "adcs")]
    assert list(rows[0]) == ["network", *paths, *TOTALS, "error"]
    assert len(rows) == 8
    for row in rows:
        values = {path: read_value(path, row[path]) for path in paths}
        values["tile.pe.crossbar.subarray_rows"] = values["tile.pe.crossbar.rows"]
        chip = with_fields(ChipConfig(), values)
        report = evaluate(net, chip)
        assert {name: float(row[name]) for name in TOTALS} == totals(report, derive(net, chip, report))
        assert (row["network"], row["error"]) == (SMALL[0], "")


def test_the_best_of_each_column_has_a_star(imcnas: Command):
    _, out, _ = imcnas("sweep", *SMALL, "--set", "crossbar.rows=128,256,512", "--csv", "s.csv")
    lines = {line.split()[0]: line for line in out.splitlines() if line[:3].isdigit()}
    rows = rows_of("s.csv")
    fastest = min(rows, key=lambda row: float(row["latency_ns"]))["tile.pe.crossbar.rows"]
    assert [name for name, line in lines.items() if line.split()[3] == "★"] == [fastest]
    assert sum(line.count("★") for line in lines.values()) >= 5


def test_a_combination_that_fails_is_a_row_with_its_reason_and_the_rest_goes_on(imcnas: Command):
    code, out, _ = imcnas(
        "sweep",
        *SMALL,
        "--set",
        "crossbar.rows=128,100",
        "--set",
        "crossbar.subarray_rows=64",
        "--csv",
        "s.csv",
    )
    good, bad = rows_of("s.csv")
    assert code == 1
    assert "failed" in next(line for line in out.splitlines() if line.startswith("100"))
    reason = "chip.tile.pe.crossbar.subarray_rows: got 64, wanted a divisor of rows = 100"
    assert f"crossbar.rows=100 crossbar.subarray_rows=64: {reason}" in " ".join(out.split())
    assert bad["error"] == reason
    assert (bad["latency_ns"], good["error"]) == ("", "")
    assert float(good["latency_ns"]) > 0


def test_a_sweep_of_nothing_but_failures_draws_nothing(imcnas: Command):
    code, out, err = imcnas(
        "sweep", *SMALL, "--set", "grid_rows=1", "--set", "grid_columns=1", "--plot", "p.png"
    )
    assert code == 1
    assert "the network needs" in out
    assert not Path("p.png").exists()
    assert "Written" not in err


def test_several_networks_one_unreadable_are_swept_and_drawn(imcnas: Command):
    code, out, err = imcnas(
        "sweep", "VGG8", "FOO", "MVGG8", "--image", "1x8x8", "--set", "clock_mhz=100,1000", "--plot", "p.svg"
    )
    assert code == 1
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["VGG8", "VGG8", "MVGG8", "MVGG8"]
    assert "FOO: blocks[0]" in err
    assert Path("p.svg").read_bytes().startswith(b"<?xml")


def test_a_long_table_shows_what_no_other_combination_beats(imcnas: Command):
    clocks = ",".join(str(10 * n) for n in range(1, 36))
    _, out, _ = imcnas(
        "sweep", *SMALL, "--set", f"clock_mhz={clocks}", "--set", "rows=128,256", "--csv", "s.csv"
    )
    assert "Shown of 70 combinations: the front of latency, energy and area (2), and the best of" in out
    assert len(rows_of("s.csv")) == 70
    assert [line.split()[0] for line in out.splitlines() if line[:3].isdigit()] == ["350", "350"]


def outcome(place: int, **totals: float) -> Outcome:
    return Outcome(network="net", values=(place,), totals=dict.fromkeys(TOTALS, 1.0) | totals)


def show(outcomes: list[Outcome], width: int) -> list[str]:
    console = Console(file=StringIO(), width=width)
    clock = Setting(name="clock_mhz", path="clock_mhz", values=tuple(range(len(outcomes))))
    show_sweep(console, [clock], outcomes)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO


def test_the_best_of_each_column_is_shown_however_long_the_front():
    # 100 on the front of latency, energy and area, and the best power behind them all
    front = [outcome(n, latency_ns=100 + n, energy_nj=200 - n, average_power_w=2) for n in range(100)]
    lines = show([*front, outcome(100, latency_ns=5e3, energy_nj=5e3, average_power_w=1)], 160)
    rows = [line for line in lines if line[:1].isdigit()]
    assert len(rows) == 60
    assert rows[-1].startswith("100")
    assert "1.00 W ★" in rows[-1] or "1 W ★" in rows[-1]
    assert {rows[0].split()[0], rows[-2].split()[0]} == {"0", "99"}  # least latency, least energy
    assert "area (59 of 100), and the best" in " ".join(lines)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_columns_that_do_not_fit_are_named_and_no_number_is_cut(width: int):
    lines = show([outcome(n, latency_ns=123.4 + n, energy_nj=456.7) for n in range(3)], width)
    text = " ".join(lines)
    assert "…" not in text
    assert "123 ns ★" in text
    heading = text.split("★")[0]
    for name in ("latency", "energy", "area", "TOPS/W", "power", "tiles", "inferences/s", "TOPS/mm2"):
        assert (name in heading) != (name in text.partition("for want of width:")[2])


def test_ctrl_c_shows_and_keeps_what_is_done(imcnas: Command, monkeypatch: pytest.MonkeyPatch):
    def stopped(*arguments):
        yield from islice(sweep(*arguments), 2)
        raise KeyboardInterrupt

    monkeypatch.setattr("services.hw_oracle.sweep.sweep", stopped)
    code, out, err = imcnas(
        "sweep", *SMALL, "--set", "clock_mhz=1,2,3,4", "--csv", "s.csv", "--plot", "p.png"
    )
    assert code == 130
    assert "stopped after 2 of 4" in err
    assert len(rows_of("s.csv")) == 2
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["1", "2"]
    assert Path("p.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "crosbar.rows=1"], ["crosbar.rows", "did you mean tile.pe.crossbar.rows?"]),
        (["--set", "technology_nm=90"], ["technology_nm", "buffer.technology_nm", "tile.pooling"]),
        (["--set", "adc.choice=10"], ["tile.pe.adc.choice", "'10'", "1, 2, 3"]),
        (["--set", "rows"], ["--set", "'rows'", "FIELD=VALUE"]),
        (["--set", "rows=1", "--set", "crossbar.rows=2"], ["--set", "once"]),
        (["--set", "rows=1", "--plot", "p.bmp"], ["--plot", ".png"]),
        (["--set", "rows=1", "--csv", "no/s.csv"], ["--csv", "no/s.csv"]),
        (["--set", "rows=1", "--chip", "x"], ["chip", "'x'"]),
        ([], ["--set"]),
    ],
)
def test_what_cannot_start_as_asked_exits_with_2_and_says_why(
    imcnas: Command, arguments: list[str], told: list[str]
):
    code, _, err = imcnas("sweep", "VGG8", *arguments)
    text = " ".join(err.replace("│", " ").split())
    assert (code, [t for t in told if t not in text]) == (2, []), err
    assert "Traceback" not in err
