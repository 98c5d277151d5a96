"""`imcnas compare`: networks or chips side by side."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

SMALL = ("--image", "1x8x8")


def test_networks_on_one_chip_with_ratios_to_the_first(imcnas: Command):
    code, out, _ = imcnas("compare", "VGG8", "VGG16", *SMALL)
    first, second = (
        json.loads(line) for line in imcnas("evaluate", "VGG8", "VGG16", *SMALL, "--json")[1].splitlines()
    )
    lines = out.splitlines()
    assert code == 0
    assert lines[:3] == ["on mnsim2_default", "A  VGG8", "B  VGG16"]
    energy = next(line for line in lines if line.startswith("energy"))
    assert energy.split()[-1] == f"{second['energy_nj'] / first['energy_nj']:.3g}"
    assert "Layers aligned by index." in out
    assert [line for line in lines if line in ("busy time", "energy", "area")] == [
        "busy time",
        "energy",
        "area",
    ]
    assert out.count("conv2d 3x3 8→8 | conv2d 3x3 16→16") == 3


def test_one_network_on_several_chips(imcnas: Command):
    Path("fast.toml").write_text("clock_mhz = 1000\n")
    code, out, _ = imcnas("compare", "VGG8", *SMALL, "--chip", "mnsim2_default", "--chip", "fast.toml")
    assert code == 0
    assert out.splitlines()[:2] == ["A  VGG8 on mnsim2_default", "B  VGG8 on fast.toml"]
    latency = next(line for line in out.splitlines() if line.startswith("latency"))
    assert float(latency.split()[-1]) < 1


def test_networks_of_different_kinds_are_aligned_by_kind_and_gaps_are_marked(imcnas: Command):
    _, out, _ = imcnas("compare", "VGG8", "VGG8-RES8", "MVGG8", *SMALL)
    assert "Layers aligned by kind" in out
    assert "A/B/C" in out
    add = next(line for line in out.splitlines() if "add 8" in line)
    assert add.startswith("–/")
    assert add.split().count("–") == 2


def test_json_has_each_subjects_totals_and_the_aligned_layers(imcnas: Command):
    code, out, _ = imcnas("compare", "VGG8", "VGG8-RES8", *SMALL, "--json")
    told = json.loads(out)
    alone = [
        json.loads(line) for line in imcnas("evaluate", "VGG8", "VGG8-RES8", *SMALL, "--json")[1].splitlines()
    ]
    assert code == 0
    assert list(told) == ["subjects", "failed", "aligned", "layers"]
    assert told["aligned"] == "by kind"
    for column, (subject, row) in enumerate(zip(told["subjects"], alone, strict=True)):
        assert subject == {key: row[key] for key in subject}
        layers = [pair[column] for pair in told["layers"] if pair[column]]
        assert [layer["index"] for layer in layers] == list(range(len(row["layers"])))
        assert [layer["energy_nj"] for layer in layers] == [layer["energy_nj"] for layer in row["layers"]]
        assert max(layers, key=lambda x: x["busy_ns"])["index"] == row["bottleneck_layer"]
    assert all({layer["kind"] for layer in pair if layer} for pair in told["layers"])


def test_what_fails_is_told_and_the_others_are_compared(imcnas: Command):
    code, out, err = imcnas("compare", "VGG8", "FOO", "VGG16", *SMALL)
    assert code == 1
    assert "FOO: blocks[0]" in err
    assert out.splitlines()[1:3] == ["A  VGG8", "B  VGG16"]
    code, out, _ = imcnas("compare", "VGG8", "FOO", *SMALL, "--json")
    told = json.loads(out)
    assert code == 1
    assert told["failed"][0]["error"]["reason"] == "INVALID_CANDIDATE"
    assert [subject["name"] for subject in told["subjects"]] == ["VGG8"]
    assert imcnas("compare", "FOO", "BAR", "--json")[0] == 1
    assert imcnas("compare", "VGG8", "FOO")[1] == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["VGG8"], ["FILE", "another FILE, or two chips"]),
        (["VGG8", "--chip", "c.toml", "--chip", "c.toml"], ["--chip: got 'c.toml 2 times'", "differ"]),
        (
            ["VGG8", "VGG16", "--chip", "mnsim2_default", "--chip", "c.toml"],
            ["--chip", "2 networks on 2 chips"],
        ),
        (["VGG8", "VGG16", "--chip", "x"], ["chip", "'x'"]),
    ],
)
def test_what_is_no_comparison_is_refused(imcnas: Command, arguments: list[str], told: list[str]):
    Path("c.toml").write_text("clock_mhz = 1000\n")
    code, out, err = imcnas("compare", *arguments)
    assert (code, out, [t for t in told if t not in err]) == (2, "", []), err


def test_more_networks_than_there_are_letters_are_told_and_left_out(
    imcnas: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.cli.console.CONSOLE.width", 2000)
    code, out, _ = imcnas("compare", *(f"VGG{k}" for k in range(1, 31)), *SMALL)
    assert code == 0
    assert "Z  VGG26" in out
    assert "and 4 more" in out
