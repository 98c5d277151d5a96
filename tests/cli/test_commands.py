"""What each command shows when all is well."""

import csv
import json
from pathlib import Path

import pytest

from services.hw_oracle.chips import load_chip
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import derive
from tests.cli.conftest import Command, network
from tests.postgres import Postgres


def test_every_command_teaches_by_examples(imcnas: Command):
    for command in ("search", "report", "evaluate", "compare", "sweep", "space"):
        code, out, _ = imcnas(command, "--help")
        assert code == 0
        assert f"imcnas {command} " in out.split("For example:")[1]
    assert imcnas("--version")[1].startswith("imcnas ")
    assert "IMCNAS_ORACLE_PORT" in imcnas("serve", "--help")[1]


def test_evaluate_gives_the_numbers_of_the_model(imcnas: Command):
    from services.common.candidate import candidate_layers, parse_candidate
    from services.common.layers import Shape

    code, out, _ = imcnas("evaluate", "VGG16-RES32", "--image", "1x8x8", "--json", "--detail", "modules")
    row = json.loads(out)
    net = candidate_layers(parse_candidate("VGG16-RES32"), Shape(channels=1, height=8, width=8), 10)
    report = evaluate(net, load_chip("mnsim2_default"))
    assert code == 0
    assert row["name"] == "VGG16-RES32"
    for key in ("latency_ns", "energy_nj", "area_um2", "power_w", "tiles", "crossbars"):
        assert row[key] == getattr(report, key)
    figures = derive(net, load_chip("mnsim2_default"), report)
    for key in (
        "throughput_ips",
        "tops",
        "tops_per_w",
        "tops_per_mm2",
        "utilization_frac",
        "bottleneck_layer",
    ):
        assert row[key] == getattr(figures, key)
    assert [x["kind"] for x in row["layers"]] == [x.kind for x in net.layers]
    assert row["modules"]["energy"]["adc_nj"] == report.energy.adc_nj


@pytest.mark.parametrize("detail", ["totals", "layers", "modules"])
def test_evaluate_shows_a_table_for_people(imcnas: Command, detail: str):
    code, out, _ = imcnas("evaluate", "VGG8", "--image", "1x8x8", "--detail", detail)
    assert code == 0
    assert "latency" in out
    assert "TOPS/mm2" in out
    assert ("conv2d" in out) == (detail == "layers")
    assert ("input demux" in out) == (detail == "modules")


def test_a_file_may_hold_several_named_networks_or_mnsims_own_form(imcnas: Command):
    sizes = {"Inputsize": [8, 8], "Outputsize": [8, 8], "Kernelsize": 3, "Stride": 1, "Padding": 1}
    bits = {"Inputbit": 9, "Weightbit": 9, "outputbit": 9}
    places = {"Inputchannel": 1, "Outputchannel": 8, "Inputindex": [-1], "Outputindex": []}
    mnsim = [{"type": "conv"} | sizes | bits | places]
    ours = json.loads(network())
    Path("nets.json").write_text(json.dumps([{"name": "a", **ours}, {"name": "b", "layers": mnsim}]))
    code, out, _ = imcnas("evaluate", "nets.json", "--json")
    a, b = map(json.loads, out.splitlines())
    assert code == 0
    assert (a.pop("name"), b.pop("name")) == ("a", "b")
    assert a == b
    Path("nets.json").write_text(json.dumps([{"name": "c", "layers": ours}, {"network": ours}]))
    c, d = map(json.loads, imcnas("evaluate", "nets.json", "--json")[1].splitlines())
    assert (c["name"], d["name"], d["latency_ns"]) == ("c", "nets[1]", c["latency_ns"])
    Path("one.json").write_text(json.dumps(mnsim))
    assert json.loads(imcnas("evaluate", "one.json", "--json")[1])["latency_ns"] == a["latency_ns"]


def test_space_counts_and_samples(imcnas: Command):
    assert "648,232,974" in imcnas("space")[1]
    out = imcnas("space", "small", "--image", "1x8x8", "--sample", "2")[1]
    assert "792 different ones" in out
    assert len(out.splitlines()[-2:]) == 2
    assert imcnas("space", "small", "--sample", "2", "--seed", "1") != imcnas(
        "space", "small", "--sample", "2"
    )


@pytest.mark.slow
def test_a_search_ends_with_the_front_the_figures_and_where_they_lie(imcnas: Command):
    code, out, err = imcnas(
        "search", "--dataset", "digits", "--trials", "3", "--objective", "accuracy/energy"
    )
    folder = Path("runs/digits-small-accuracy-per-energy-seed0")
    assert code == 0
    assert "[3/3]" in err
    assert "Pareto front" in out
    assert "Best by accuracy/energy" in out
    assert str(folder / "report.html") in out
    for name in ("accuracy.png", "accuracy_latency.png", "accuracy_energy.png"):
        assert (folder / "figures" / name).read_bytes().startswith(b"\x89PNG")
        assert str(folder / "figures" / name) in out
    best = json.loads((folder / "best.json").read_text())
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    top = max(rows, key=lambda row: float(row["fitness"]))
    assert (top["blocks"], float(top["fitness"])) == (best["blocks"], best["fitness"])
    assert best["fitness"] == pytest.approx(
        best["accuracy"]["accuracy_frac"] / (best["cost"]["energy_nj"] / 1e3)
    )

    made_again = json.loads(imcnas("evaluate", str(folder / "best.json"), "--json")[1])
    assert made_again["energy_nj"] == best["cost"]["energy_nj"]
    again, more = imcnas("report", folder.name, "--out", "elsewhere"), imcnas("report")
    assert again[0] == more[0] == 0
    assert Path("elsewhere/best.json").read_bytes() == (folder / "best.json").read_bytes()
    assert Path("elsewhere/figures/front.pdf").read_bytes().startswith(b"%PDF")
    assert "3/3 trials" in more[1]


@pytest.mark.slow
def test_studies_of_a_database_are_found_by_every_command_that_names_it(imcnas: Command, postgres: Postgres):
    store = ("--store", postgres.new_schema())
    Path("one.toml").write_text('name = "one"\nepochs = 1\n')
    asked = ("--dataset", "digits", "--trials", "1", "--recipe", "one.toml", "--study", "s", *store)
    assert imcnas("search", *asked)[0] == 0
    assert "1/1 trials" in imcnas("report", *store)[1]
    assert "Best by accuracy/latency" in imcnas("report", "s", *store)[1]
    assert "study 's' has no trial 1" in imcnas("train", "--study", "s", "--trial", "1", *store)[2]
    assert imcnas("report")[0] == 2
