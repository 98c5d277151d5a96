"""`imcnas evaluate`: what programs read, what people read, and the figures."""

import json
from pathlib import Path

import pytest

from services.cli.json_rows import MODULES
from services.common.candidate import candidate_layers, parse_candidate
from services.common.layers import Shape
from services.hw_oracle.chips import load_chip
from services.hw_oracle.explain import explain
from tests.cli.conftest import CONV, Command, network

SMALL = ("--image", "1x8x8")


def test_json_has_the_totals_first_and_the_layers_last_whatever_the_detail(imcnas: Command):
    rows = {}
    for detail in ("totals", "layers", "modules"):
        code, out, err = imcnas("evaluate", "VGG8", "VGG8-RES8", *SMALL, "--json", "--detail", detail)
        assert (code, err) == (0, "")
        rows[detail] = [json.loads(line) for line in out.splitlines()]
    for row in (row for two in rows.values() for row in two):
        first = ["name", "latency_ns", "energy_nj", "area_um2", "power_w"]
        assert list(row)[:5] == first
        assert list(row)[-1] == "layers"
        assert {"tiles", "crossbars"} <= set(row)
        assert row["area_um2"] == pytest.approx(sum(layer["area_um2"] for layer in row["layers"]))
        assert row["energy_nj"] == pytest.approx(sum(layer["energy_nj"] for layer in row["layers"]))
    assert [row["name"] for row in rows["totals"]] == ["VGG8", "VGG8-RES8"]
    assert rows["totals"] == rows["layers"]
    assert "adc_ns" in rows["modules"][0]["layers"][0]["latency"]
    for row, full in zip(rows["layers"], rows["modules"], strict=True):
        kept = [{k: v for k, v in x.items() if k not in MODULES} for x in full["layers"]]
        assert row == {k: v for k, v in full.items() if k != "modules"} | {"layers": kept}


def test_json_tells_an_error_in_its_place_and_the_exit_code_is_1(imcnas: Command):
    Path("nets.json").write_text(
        json.dumps(
            [{"name": "bad", "layers": [{"type": "convv"}]}, {"name": "good", **json.loads(network())}]
        )
    )
    code, out, err = imcnas("evaluate", "nets.json", "--json")
    bad, good = map(json.loads, out.splitlines())
    assert (code, err) == (1, "")
    assert list(bad) == ["name", "error"]
    assert list(bad["error"]) == ["reason", "message", "field"]
    assert (bad["name"], bad["error"]["reason"]) == ("bad", "INVALID_NETWORK")
    assert bad["error"]["field"] in bad["error"]["message"]
    assert good["name"] == "good"


@pytest.mark.parametrize("width", [80, 104, 136, 200])
def test_the_table_has_bars_of_busy_time_and_energy_that_fit_the_terminal(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch, width: int
):
    monkeypatch.setattr("services.cli.console.CONSOLE._width", width)
    _, out, _ = imcnas("evaluate", "VGG16-RES32", *SMALL)
    lines = out.splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if line.startswith("#"))
    assert head.split().count("share") == (3 if width >= 136 else 2)
    assert ("begin" in head) == (width >= 104)
    rows = [line for line in lines if line[:1].isdigit()]
    assert len(rows) == 11
    assert max(rows, key=lambda row: row.count("█")).startswith("1 ")  # works longest, takes most energy
    assert "…" not in out


@pytest.mark.parametrize("width", [30, 40, 60])
@pytest.mark.parametrize("detail", ["layers", "modules"])
def test_numbers_are_never_cut_and_columns_that_are_left_out_are_named(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch, width: int, detail: str
):
    command = ("evaluate", "VGG16-RES32", *SMALL, "--detail", detail)
    whole = [line.split() for line in imcnas(*command)[1].splitlines()]
    monkeypatch.setattr("services.cli.console.CONSOLE._width", width)
    _, out, _ = imcnas(*command)
    assert "…" not in out
    assert "Left out, for want of" in out or (width, detail) == (60, "modules")
    busy = {" ".join(row[-2:]) for row in whole if row[-1:] in (["us"], ["ns"])}  # the last of modules
    assert all(time in out for time in busy)


def test_each_report_ends_with_what_is_not_modelled(imcnas: Command):
    said = "Not modelled: accuracy (too few ADC bits"
    _, out, _ = imcnas("evaluate", "VGG8", "MVGG8", *SMALL, "--detail", "totals")
    assert out.count(said) == 2
    assert said not in imcnas("evaluate", "VGG8", *SMALL, "--json")[1]
    assert said in imcnas("sweep", "VGG8", *SMALL, "--set", "clock_mhz=100")[1]
    assert said in imcnas("compare", "VGG8", "MVGG8", *SMALL)[1]


def test_a_layer_is_explained_to_people_and_to_programs(imcnas: Command):
    code, out, _ = imcnas("evaluate", "VGG8", *SMALL, "--explain", "1")
    assert code == 0
    assert "Layer 1, conv2d 3x3 8→8" in out
    assert "adc_conversion_ns = (adc.bits + 2) / adc.rate_gsps = (6 + 2) / 1 GS/s = 8 ns" in out
    row = json.loads(imcnas("evaluate", "VGG8", *SMALL, "--explain", "1", "--json")[1])
    net = candidate_layers(parse_candidate("VGG8"), Shape(channels=1, height=8, width=8), 10)
    terms = explain(net, load_chip("mnsim2_default"), 1)
    assert row["explained"]["layer"] == 1
    assert [(t["symbol"], t["equation"], t["value"]) for t in row["explained"]["terms"]] == [
        (t.symbol, t.equation, t.value) for t in terms
    ]
    assert row["explained"]["terms"][-1]["value"] == row["layers"][1]["area_um2"]


def test_a_layer_that_is_not_there_is_the_items_error(imcnas: Command):
    code, out, _ = imcnas("evaluate", "VGG8", "VGG8-VGG8", *SMALL, "--explain", "8", "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 1
    assert "wanted 0 to 6" in first["error"]["message"]
    assert second["explained"]["layer"] == 8


def test_figures_of_one_network_have_the_name_given_and_of_several_their_names_in_it(imcnas: Command):
    Path("nets.json").write_text(
        json.dumps([{"name": "a/b", **json.loads(network())}, {"name": "a b", **json.loads(network())}])
    )
    assert imcnas("evaluate", "VGG8", *SMALL, "--timeline", "t.svg", "--floorplan", "f.png")[0] == 0
    code, _, err = imcnas("evaluate", "nets.json", "--floorplan", "f.pdf")
    assert code == 0
    assert "Written: f-a_b-2.pdf" in err
    found = {path.name: path.read_bytes()[:5] for path in Path().glob("*.[psv]*")}
    assert sorted(found) == ["f-a_b-2.pdf", "f-a_b.pdf", "f.png", "t.svg"]
    assert found["f.png"].startswith(b"\x89PNG")
    assert found["t.svg"] == b"<?xml"


def test_a_figure_that_cannot_be_written_is_its_networks_failure_and_the_others_go_on(imcnas: Command):
    Path("t-VGG8.svg").mkdir()
    code, out, err = imcnas("evaluate", "VGG8", "MVGG8", *SMALL, "--timeline", "t.svg", "--json")
    assert (code, len(out.splitlines())) == (1, 2)
    assert "imcnas: VGG8: t-VGG8.svg: cannot be written" in err
    assert Path("t-MVGG8.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--timeline", "t.gif"], ["--timeline", "'t.gif'", ".png, .svg or .pdf"]),
        (["--timeline", "dd.png"], ["--timeline", "'dd.png'", "there is a folder of that name"]),
        (["--floorplan", "no/f.png"], ["--floorplan", "no/f.png", "folder"]),
        (["--floorplan", "f.png", "--chip", "none.toml"], ["--floorplan", "placement", "shell"]),
        (["--explain", "0", "--oracle", "127.0.0.1:1"], ["--oracle", "leave out"]),
        (["--explain", "first"], ["--explain", "integer"]),
    ],
)
def test_what_cannot_be_drawn_or_explained_is_refused_before_any_work(
    imcnas: Command, arguments: list[str], told: list[str]
):
    Path("none.toml").write_text('placement = "none"\n')
    Path("dd.png").mkdir()
    code, out, err = imcnas("evaluate", "VGG8", *arguments)
    text = " ".join(err.replace("│", " ").split())
    assert (code, out, [t for t in told if t not in text]) == (2, "", []), err


def test_names_are_shown_as_they_are(imcnas: Command):
    name = "[red]$x_1$[/red]"
    Path("nets.json").write_text(json.dumps([{"name": name, **json.loads(network(layers=[CONV]))}]))
    assert name in imcnas("evaluate", "nets.json")[1]
    assert name in imcnas("compare", "nets.json", "nets.json")[1]
    assert name in imcnas("sweep", "nets.json", "nets.json", "VGG8", "--set", "clock_mhz=1")[1]
