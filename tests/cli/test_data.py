"""`imcnas data`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Command
from tests.trainer.data.files import photographs, write_asl, write_cifar10, write_folder


def test_list_names_every_data_set_with_its_sizes_or_how_to_get_it(imcnas: Command, tmp_path: Path) -> None:
    write_cifar10(tmp_path / "data")
    write_folder(tmp_path / "data" / "pets")
    code, out, _ = imcnas("data", "list")
    assert code == 0
    for row in (
        "digits       1x8x8          10    1,000      400      397",
        "cifar10      3x32x32",
        "\npets ",
    ):
        assert row in out
    assert "asl          not here" in out
    assert "kaggle datasets download -d datamunge/sign-language-mnist --unzip -p data" in " ".join(
        out.split()
    )


def test_list_tells_a_damaged_file_among_the_others(imcnas: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.npz").write_bytes(b"half")
    (tmp_path / "data" / "sign_mnist_train.csv").write_text("")
    write_folder(tmp_path / "data" / "pets" / "test")
    code, out, _ = imcnas("data", "list", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["mine"]["state"] == "damaged"
    assert "mine.npz: cannot be read" in rows["mine"]["text"]
    assert rows["digits"]["info"]["train_images"] == 1000
    assert rows["ckplus"]["state"] == "not here"
    assert "begins with ''" in rows["asl"]["text"]
    assert "train: is missing" in rows["pets"]["text"]


def test_the_data_folder_is_a_setting(
    imcnas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "elsewhere" / "pets")
    monkeypatch.setenv("IMCNAS_TRAINER_DATA", str(tmp_path / "elsewhere"))
    assert "pets: pictures in class folders" in imcnas("data", "check", "pets")[1]


def test_check_reports_classes_normalisation_and_what_little_gets(imcnas: Command, tmp_path: Path) -> None:
    write_asl(tmp_path / "data")
    code, out, _ = imcnas("data", "check", "asl", "--figure", "sheet.png")
    assert code == 0
    assert "1x28x28, 24 classes" in out
    assert "shifted by up to 3 px" in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line}
    assert rows["A"] == ["12", "3", "3"]
    assert rows["groups"] == ["96", "24", "24"]
    assert "±" in out
    assert rows["with"][-2:] == ["0.0%", "0.0%"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"


def test_check_exits_with_1_where_variants_are_on_both_sides(imcnas: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=photographs(40, 5, 16), y=np.repeat(np.arange(40) % 2, 5))
    code, out, _ = imcnas("data", "check", "npz:mine.npz")
    assert code == 1
    assert "Look at this:" in out
    assert "accuracy would measure memory; name the groups" in out
    code, out, _ = imcnas("data", "check", "npz:mine.npz", "--json")
    row = json.loads(out)
    assert code == 1
    assert row["name"] == "mine"
    assert len(row["findings"]) == 2
    assert row["judged"]["validation"]["twins_frac"] > 0.9


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "cifr10"), "did you mean cifar10?"),
        (("check", "cifar10"), "looked for data/cifar-10-batches-bin). To get it: imcnas data fetch cifar10"),
        (("check", "../x"), "wanted a name (imcnas data list), or KIND:PATH; perhaps folder:../x"),
        (("check", "x.npz"), "perhaps npz:x.npz"),
        (("check", "npz:nope.npz"), "nope.npz: is missing, wanted files to read"),
        (("check", "zip:x"), "one of cifar10, asl, ckplus, folder, npz"),
        (("fetch", "asl"), "kaggle datasets download"),
        (("fetch", "ckplus"), "http://www.pitt.edu/~emotion/ck-spread.htm"),
        (("fetch", "nope"), "wanted one of digits"),
        (("check", "digits", "--figure", "no/such/place.png"), "--figure: cannot write no/such/place.png"),
    ],
)
def test_what_cannot_be_done_is_told_with_the_fix(
    imcnas: Command, arguments: tuple[str, ...], told: str
) -> None:
    code, _, err = imcnas("data", *arguments)
    assert code == 2
    assert told in err
    assert "Traceback" not in err


def test_fetch_takes_what_is_there(imcnas: Command) -> None:
    assert imcnas("data", "fetch", "digits") == (0, "digits is there: nothing to fetch\n", "")


@pytest.mark.slow
def test_a_search_trains_on_a_data_set_at_a_path_under_its_own_name(imcnas: Command, tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", images=20)
    code, _, err = imcnas(
        "search",
        "--dataset",
        "folder:pets",
        "--trials",
        "1",
        "--startup-trials",
        "1",
        "--max-macs",
        "3000000",
    )
    assert code == 0, err
    best = json.loads(next((tmp_path / "runs").glob("pets-*/best.json")).read_text())
    assert best["dataset"]["name"] == "pets"
    assert str(tmp_path) not in json.dumps(best)


@pytest.mark.parametrize("service", ["--trainer", "--searcher"])
def test_a_path_is_not_sent_to_a_service(imcnas: Command, service: str) -> None:
    code, _, err = imcnas("search", "--dataset", "folder:/etc", service, "127.0.0.1:1")
    assert code == 2
    assert "--dataset: got 'folder:/etc', wanted a name: a trainer elsewhere opens no path" in err
