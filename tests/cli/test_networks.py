"""What a FILE of `imcnas evaluate` may be."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CONV, Command, network
from tests.hw_oracle.importers.onnx_files import CONV as NODE
from tests.hw_oracle.importers.onnx_files import file, node

MNSIM = {"Inputbit": 9, "Weightbit": 9, "outputbit": 9, "type": "conv", "Inputchannel": 1}
MNSIM |= {"Inputsize": [8, 8], "Kernelsize": 3, "Padding": 1, "Outputchannel": 8}
WEIGHTS = {"w": (8, 1, 3, 3), "b": (8,)}
IMAGE = ("N", 1, 8, 8)


def evaluate(imcnas: Command, *arguments: str) -> list[dict[str, Any]]:
    _, out, err = imcnas("evaluate", *arguments, "--json")
    assert not err
    return [json.loads(line) for line in out.splitlines()]


def test_one_network_costs_the_same_in_every_form(imcnas: Command) -> None:
    Path("ours.json").write_text(network())
    Path("theirs.json").write_text(json.dumps([MNSIM]))
    Path("nested.json").write_text(json.dumps([[[MNSIM]], {"type": "relu"}]))
    Path("graph.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE))
    Path("graph").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE))  # known by its first byte
    rows = evaluate(imcnas, "ours.json", "theirs.json", "nested.json", "graph.onnx", "graph")
    assert [row.pop("name") for row in rows] == ["ours", "theirs", "nested", "graph", "graph"]
    assert all(row == rows[0] for row in rows)
    assert rows[0]["latency_ns"] > 0


@pytest.mark.parametrize("form", ["onnx", "imcnas", "mnsim"])
def test_a_form_that_is_said_is_not_guessed(imcnas: Command, form: str) -> None:
    Path("x.onnx").write_text(network())
    code, out, _ = imcnas("evaluate", "x.onnx", "--format", form, "--json")
    row = json.loads(out)
    assert (code, "error" in row) == ((0, False) if form == "imcnas" else (1, True))


def test_bits_are_those_of_candidates_and_onnx_files_and_json_keeps_its_own(imcnas: Command) -> None:
    Path("ours.json").write_text(network())
    Path("eight.json").write_text(
        network(layers=[CONV | {"bits": {"input_bits": 8, "weight_bits": 4, "output_bits": 6}}])
    )
    Path("graph.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE))
    files = ["ours.json", "eight.json", "graph.onnx", "VGG8"]
    nine, eight, default, candidate = evaluate(imcnas, *files)
    fixed, still, changed, changed_too = evaluate(imcnas, *files, "--bits", "8,4,6")
    assert (fixed, still) == (nine, eight)
    assert changed["energy_nj"] == eight["energy_nj"] < default["energy_nj"] == nine["energy_nj"]
    assert changed_too["energy_nj"] < candidate["energy_nj"]
    assert evaluate(imcnas, "graph.onnx", "--bits", "9") == [default]
    _, _, err = imcnas("evaluate", "ours.json", "--bits", "8", "--image", "1x9x9")
    assert err.count("has no effect") == 2


def test_networks_come_from_another_program(imcnas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(network()))
    (piped,) = evaluate(imcnas, "-")
    Path("ours.json").write_text(network())
    (read,) = evaluate(imcnas, "ours.json")
    assert (piped.pop("name"), read.pop("name")) == ("stdin", "ours")
    assert piped == read


@pytest.mark.parametrize(("name", "told"), [("x.toml", "--chip"), ("x.ini", "--chip"), ("x.pt", "ONNX")])
def test_a_file_of_another_kind_is_told_where_it_belongs(imcnas: Command, name: str, told: str) -> None:
    Path(name).write_bytes(b"\x80 clock_mhz = 500")
    code, _, err = imcnas("evaluate", name)
    assert code == 1
    assert told in err


def test_an_onnx_file_takes_the_image_that_it_leaves_open(imcnas: Command) -> None:
    Path("open.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=("N", 1, "H", "W")))
    (row,) = evaluate(imcnas, "open.onnx")
    assert "--image" in row["error"]["message"]
    Path("fixed.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE))
    opened, fixed = evaluate(imcnas, "open.onnx", "fixed.onnx", "--image", "1x8x8")
    assert opened["latency_ns"] == fixed["latency_ns"]
    (row,) = evaluate(imcnas, "fixed.onnx", "--image", "1x16x16")
    assert row["error"]["field"] == "input_shape"


def test_an_operation_that_is_not_supported_is_an_item_that_fails_by_its_name(imcnas: Command) -> None:
    Path("bad.onnx").write_bytes(
        file(NODE, node("Resize", ["c", "", "b"], ["y"], "up"), tensors=WEIGHTS, image=IMAGE)
    )
    Path("cut.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE)[:-40])
    code, out, err = imcnas("evaluate", "bad.onnx", "cut.onnx", "VGG8", "--json")
    bad, cut, good = map(json.loads, out.splitlines())
    assert (code, err) == (1, "")
    assert bad["error"]["reason"] == cut["error"]["reason"] == "INVALID_NETWORK"
    assert bad["error"]["field"] == "nodes['up'].Resize"
    assert "cut.onnx: cannot be read as ONNX" in cut["error"]["message"]
    assert good["tiles"] > 0


@pytest.mark.parametrize("text", ["0", "8,4", "8;4;8", "eight", "8,0,8"])
def test_bits_that_are_none_stop_the_command(imcnas: Command, text: str) -> None:
    code, _, err = imcnas("evaluate", "VGG8", "--bits", text)
    assert code == 2
    assert f"--bits: got '{text}', wanted one bit width, or those of inputs, weights and outputs" in err


def test_a_text_too_long_for_a_file_name_is_a_candidate(imcnas: Command) -> None:
    long = "-".join(["MVGG4096"] * 40)
    (row,) = evaluate(imcnas, long, "--image", "1x2x2", "--detail", "totals")
    assert row["name"] == long
    code, _, err = imcnas("evaluate", long[:-1] + "x")
    assert code == 1
    assert "blocks[39]: got 'MVGG409x'" in err


def test_a_file_that_is_not_there_leaves_the_others_results(imcnas: Command) -> None:
    Path("open.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=("N", 1, "H", "W")))
    code, out, _ = imcnas("evaluate", "open.onnx", "typo.onnx", "--image", "1x8x9", "--json")
    good, bad = map(json.loads, out.splitlines())
    assert (code, bad["error"]["reason"]) == (1, "NOT_FOUND")
    assert good["latency_ns"] > 0


@pytest.mark.parametrize("content", [{"layers": [CONV]}, [CONV], {"name": "x", "layers": [CONV]}])
def test_layers_with_a_kind_are_ours_and_what_lacks_is_named(imcnas: Command, content: Any) -> None:
    Path("x.json").write_text(json.dumps(content))
    (row,) = evaluate(imcnas, "x.json")
    message = row["error"]["message"]
    wanted = "network: got" if isinstance(content, list) else "network.input_shape: is missing"
    assert wanted in message
    assert "type" not in message


def test_an_object_without_layers_is_told_so(imcnas: Command) -> None:
    Path("x.json").write_text('{"name": "x", "model": 3}')
    (row,) = evaluate(imcnas, "x.json")
    assert row["error"]["message"].startswith("layers: is missing, wanted a list of layers")


def test_json_without_an_end_is_refused(imcnas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.cli.networks.MAX_CHARACTERS", 1000)
    monkeypatch.setattr("sys.stdin", io.StringIO(" " * 5000))
    Path("x.json").write_text(" " * 1001)
    for row in evaluate(imcnas, "-", "x.json"):
        assert "too long: wanted at most 1,000 characters" in row["error"]["message"]


def test_without_onnx_an_onnx_file_alone_fails_and_says_what_to_install(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("graph.onnx").write_bytes(file(NODE, tensors=WEIGHTS, image=IMAGE))
    monkeypatch.setitem(sys.modules, "onnx", None)
    code, out, _ = imcnas("evaluate", "graph.onnx", "VGG8", "--json")
    bad, good = map(json.loads, out.splitlines())
    assert code == 1
    assert "pip install 'imcnas[onnx]'" in bad["error"]["message"]
    assert good["tiles"] > 0


def test_a_closed_standard_input_is_told(imcnas: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    (row,) = evaluate(imcnas, "-")
    assert "the standard input is closed" in row["error"]["message"]
