"""Every mistake gets one clear message and its exit code, never a traceback."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CONV, IMAGE, Command, network


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["search", "--dataset", "digitz"], ["dataset", "'digitz'", "digits-hard", "did you mean digits"]),
        (["search", "--objective", "acuracy"], ["objective", "'acuracy'", "did you mean accuracy?"]),
        (["search", "--space", "papr"], ["space", "'papr'", "did you mean paper?"]),
        (["search", "--recipe", "quik"], ["recipe", "'quik'", "did you mean quick?"]),
        (["search", "--chip", "mnsim"], ["chip", "'mnsim'", "mnsim2_default"]),
        (["search", "--study", "a/b"], ["study", "'a/b'", "letters"]),
        (["search", "--study", "studies.sqlite"], ["--study", "another name"]),
        (["search", "--searcher", "localhost:1", "--workers", "2"], ["--searcher", "--workers"]),
        (["search", "--seed", "-1"], ["seed", "-1"]),
        (["search", "--startup-trials", "0"], ["startup_trials", "0", "1 or more"]),
        (["search", "--max-macs", "-5"], ["--max-macs", "0"]),
        (["search", "--max-macs", "10", "--trials", "1"], ["limits", "no candidate"]),
        (["search", "--trials", "0"], ["--trials"]),
        (["search", "--space", "paper", "--trials", "99999"], ["hours", "--yes"]),
        (["search", "--searcher", "localhost:1", "--oracle", "localhost:2"], ["--searcher", "leave out"]),
        (["search", "--trials", "1", "--runs", "/proc/nowhere"], ["/proc/nowhere", "folder"]),
        (["search", "--searcher", "localhost:1", "--store", "x"], ["--searcher", "--store"]),
        (["report", "--store", "mysql://ada:s3cret@db"], ["mysql://...", "postgresql://USER@HOST"]),
        (["report", "--store", "elsewhere.sqlite"], ["no studies in elsewhere.sqlite", "--store"]),
        (["report", "nothing"], ["runs/studies.sqlite", "imcnas search"]),
        (["space", "small", "--image", "8x8"], ["--image", "'8x8'", "3x32x32"]),
        (["space", "small", "--image", "1x8x9"], ["input_shape", "1x8x9", "resize"]),
        (["evaluate", "VGG8", "--chip", "missing.toml"], ["missing.toml"]),
        (["evaluate", "VGG8", "--image", "3x32x16"], ["input_shape", "3x32x16", "resize"]),
        (["evaluate", "VGG8", "--oracle", "127.0.0.1:1"], ["127.0.0.1:1"]),
        (["search", "--trials", "1", "--oracle", "127.0.0.1:1"], ["127.0.0.1:1"]),
        (["search", "--trials", "1", "--ray", "127.0.0.1:1"], ["Ray at 127.0.0.1:1"]),
        (["serve", "kitchen"], ["kitchen", "oracle"]),
    ],
)  # fmt: skip
def test_what_cannot_start_as_asked_exits_with_2_and_says_why(
    imcnas: Command, arguments: list[str], told: list[str]
):
    code, _, err = imcnas(*arguments)
    text = " ".join(err.replace("│", " ").split())
    assert (code, [t for t in told if t not in text]) == (2, []), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (network(layers=[CONV | {"kind": "conv"}]), "layers[0].kind"),
        (network(layers=[CONV | {"kernel_size": 9, "padding": 0}]), "layers[0].conv2d.kernel_size"),
        (network(input_shape=IMAGE | {"height": -8}), "input_shape.height"),
        (network(layers=[CONV | {"out_channels": -1}]), "layers[0].conv2d.out_channels"),
        (network(version=3), "version"),
        ("{", "bad.json"),
    ],
)
def test_a_bad_network_is_an_item_that_fails_and_the_others_go_on(imcnas: Command, content: str, field: str):
    Path("bad.json").write_text(content)
    Path("good.json").write_text(network())
    code, out, _ = imcnas("evaluate", "bad.json", "good.json", "--json")
    bad, good = map(json.loads, out.splitlines())
    assert code == 1
    assert bad["error"]["field"] == field
    assert good["latency_ns"] > 0
    code, _, err = imcnas("evaluate", "bad.json", "good.json")
    assert code == 1
    assert field in " ".join(err.split())
    assert "Traceback" not in err


def test_an_unknown_block_and_a_kernel_count_out_of_range_are_named(imcnas: Command):
    code, _, err = imcnas("evaluate", "VGG8-FOO3", "VGG8-VGG5000")
    assert code == 1
    assert "blocks[1]: got 'FOO3'" in err
    assert "blocks[1].kernels: got 5000" in err


def test_a_network_too_large_for_the_chip_is_told_how_many_tiles_it_needs(imcnas: Command):
    Path("small_chip.toml").write_text("grid_rows = 16\ngrid_columns = 16\n")
    code, out, _ = imcnas("evaluate", "-".join(["VGG512"] * 4), "--chip", "small_chip.toml", "--json")
    error = json.loads(out)["error"]
    assert (code, error["reason"]) == (1, "CHIP_TOO_SMALL")
    assert "256" in error["message"]


def test_a_study_that_exists_with_other_settings_is_not_touched(imcnas: Command):
    first = ["search", "--dataset", "digits", "--trials", "1", "--study", "mine", "--quiet"]
    assert imcnas(*first)[0] == 0
    code, _, err = imcnas(*first, "--objective", "accuracy", "--seed", "4")
    assert code == 2
    text = " ".join(err.split())
    assert "objective: stored 'accuracy/latency', asked 'accuracy'" in text
    assert "seed: stored 0, asked 4" in text
    assert "--study NAME" in text


def test_a_study_that_is_not_there_is_named(imcnas: Command):
    assert imcnas("search", "--dataset", "digits", "--trials", "1", "--study", "mine", "--quiet")[0] == 0
    code, _, err = imcnas("report", "yours")
    assert code == 2
    assert "'yours'" in err
