"""Exported networks: the files agree with what was trained, run as the card says, and appear whole or not."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from services.common.candidate import Head, Projection, candidate_layers, parse_candidate
from services.common.errors import InvalidRequest, NotFound, NotPossible
from services.hw_oracle.importers import from_onnx
from services.trainer import export as export_file
from services.trainer import onnx_file
from services.trainer.analog_types import AnalogConfig, AnalogReport, ChipAccuracy
from services.trainer.build import build_module
from services.trainer.data import Dataset, load_dataset
from services.trainer.export import Exported, export, load_network
from services.trainer.inline import InlineTrainer
from services.trainer.resident import Resident
from services.trainer.trained import HardwareCost, Trained, trained_row
from tests.trainer.evaluators import request

COST = HardwareCost(
    latency_ns=1234.5, energy_nj=67.8, area_um2=9.1e6, power_w=2.5, average_power_w=0.05, tiles=3,
    chip_hash="c" * 64, model_version="1",
)  # fmt: skip
ANALOG = AnalogReport(
    float_frac=0.8, quantised_frac=0.79, folded=ChipAccuracy(draws_frac=(0.7, 0.78)), exact=None,
    folded_error=None, images=400, config=AnalogConfig(on_off_ratio=math.inf), seed=5,
)  # fmt: skip
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Learnt = tuple[Trained, bytes, Dataset]


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    """A small network with a residual, trained for an epoch or two."""
    asked = replace(request("VGG4-RES6", judge_test=True), keep_weights=True)
    with InlineTrainer() as trainer:
        report = trainer.evaluate(asked)
        weights = trainer.weights(asked)
    digits = load_dataset("digits")
    trained = Trained(
        request=asked, dataset=digits.info, report=report, chip="a_chip", hardware=COST, on_chip=ANALOG
    )
    return trained, weights, digits


@pytest.fixture(scope="module")
def exported(learnt: Learnt, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(tmp_path_factory.mktemp("exports") / "mine", *learnt)


def pixels(dataset: Dataset, part: str) -> torch.Tensor:
    return torch.tensor(dataset.images[dataset.parts[part]]).float()


def test_onnx_and_torch_give_the_accuracy_that_was_measured(exported: Exported, learnt: Learnt) -> None:
    trained, _, digits = learnt
    x, labels = pixels(digits, "validation"), digits.labels[digits.validation]
    session = onnxruntime.InferenceSession(exported.folder / "model.onnx", providers=["CPUExecutionProvider"])
    (scores,) = session.run(["scores"], {"pixels": x.numpy()})
    with torch.inference_mode():
        theirs = load_network(exported.folder)(x).numpy()
    for got in (scores, theirs):
        assert (got.argmax(1) == labels).mean() == trained.report.accuracy_frac
    assert np.abs(scores - theirs).max() <= 1e-4 * np.abs(theirs).max()
    assert exported.check.images == exported.check.same_class == 400


@pytest.mark.parametrize("count", [1, 3])
def test_the_batch_of_the_onnx_file_is_open(exported: Exported, learnt: Learnt, count: int) -> None:
    session = onnxruntime.InferenceSession(exported.folder / "model.onnx", providers=["CPUExecutionProvider"])
    x = pixels(learnt[2], "test")[:count].numpy()
    assert session.run(["scores"], {"pixels": x})[0].shape == (count, 10)


def test_the_oracle_reads_the_onnx_file_as_the_candidate(exported: Exported, learnt: Learnt) -> None:
    assert from_onnx(exported.folder / "model.onnx") == learnt[0].network


@pytest.mark.parametrize(
    ("blocks", "changes"),
    [
        ("RES4-MVGG4", {"projection": Projection.WHEN_CHANNELS_DIFFER}),
        ("VGG4-VGG4", {"head": Head(hidden_features=(), dropout_frac=0.0)}),
    ],
)
def test_other_heads_and_skips_are_written_as_what_they_are(blocks: str, changes: dict[str, Any]) -> None:
    candidate = replace(parse_candidate(blocks), **changes)
    digits = load_dataset("digits")
    module = build_module(candidate, digits.info.input_shape, 10)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.2, generator=torch.Generator().manual_seed(0))
    wrapped = export_file.Normalised(module, digits.mean, digits.deviation).eval()
    data, check = onnx_file.write_onnx(wrapped, pixels(digits, "validation")[:5], {})
    assert from_onnx(data) == candidate_layers(candidate, digits.info.input_shape, 10)
    assert check.images == 5


def test_the_onnx_file_says_what_it_is_and_nothing_of_the_machine(exported: Exported) -> None:
    model = onnx.load(exported.folder / "model.onnx")
    about = {item.key: item.value for item in model.metadata_props}
    assert about == {"candidate": "VGG4-RES6", "dataset": "digits", "classes": json.dumps(list("0123456789"))}
    assert str(Path(export_file.__file__).parents[2]).encode() not in model.SerializeToString()
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert [item.version for item in model.opset_import if not item.domain] == [exported.check.opset]


def test_the_safetensors_are_the_weights_that_were_kept(exported: Exported, learnt: Learnt) -> None:
    network = load_network(exported.folder).network
    assert (exported.folder / "model.safetensors").read_bytes() == learnt[1]
    for name, value in load_file(exported.folder / "model.safetensors").items():
        assert torch.equal(network.state_dict()[name], value)  # type: ignore[operator]


def test_the_networks_input_is_what_training_saw(exported: Exported, learnt: Learnt) -> None:
    digits = learnt[2]
    images = torch.tensor(digits.images[:4])
    seen = Resident(digits)._normalised(images)
    loaded = load_network(exported.folder)
    given = (images.float() - loaded.mean) / loaded.deviation
    assert torch.equal(given, seen)


@pytest.mark.parametrize("number", [0, 1])
def test_the_snippets_of_the_card_run_in_the_folder(
    exported: Exported, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = BLOCK.findall((exported.folder / "README.md").read_text("utf-8"))
    assert len(blocks) == 2
    monkeypatch.chdir(exported.folder)
    scope: dict[str, Any] = {}
    exec(compile(blocks[number], "card", "exec"), scope)  # noqa: S102  # our own words
    with torch.inference_mode():
        expected = load_network(".")(torch.zeros(2, 1, 8, 8))
    assert np.allclose(np.asarray(scope["scores"]), expected, atol=1e-5)
    assert capsys.readouterr().out


def test_the_card_tells_every_figure(exported: Exported, learnt: Learnt) -> None:
    trained, _, digits = learnt
    report, card = trained.report, (exported.folder / "README.md").read_text("utf-8")
    for text in (
        "# VGG4-RES6 on digits",
        f"| 400 validation images | {report.accuracy_frac:.4f} ± {report.accuracy_stderr_frac:.4f}",
        f"| 397 test images | {report.test_accuracy_frac:.4f} ± {trained.test_stderr_frac:.4f}",
        "| layers | ",
        "| latency | 1.23 us (1234.5 ns) |",
        "| energy | 67.8 nJ",
        "| area | 9.10 mm2, 3 tiles |",
        "50.0 mW on average, 2.50 W all at once",
        "| accuracy, quantised | 0.7900 (float 0.8000) |",
        "| accuracy on chip | 0.7400 ± 0.0400, worst 0.7000 (mean and deviation of 2 drawn) |",
        "| recipe learning_rate | 0.1 |",
        "| epochs | 2 ",
        "| seed | 0 |",
        f"`{digits.info.fingerprint}`",
        f"torch {torch.__version__}",
        "Apache-2.0",
    ):
        assert text in card


def test_the_json_is_the_row_of_the_candidate_and_reads_back(exported: Exported, learnt: Learnt) -> None:
    row = json.loads((exported.folder / "model.json").read_text("utf-8"))
    told = json.loads(json.dumps(trained_row(learnt[0])))
    assert {key: row[key] for key in told} == told
    assert row["on_chip"]["folded"]["worst_frac"] == 0.7
    assert row["on_chip"]["config"]["on_off_ratio"] == "inf"
    assert row["cost"]["latency_ns"] == 1234.5
    assert row["onnx_check"]["same_class"] == 400


def test_what_is_not_known_is_not_told(learnt: Learnt, tmp_path: Path) -> None:
    trained = Trained(
        request=learnt[0].request,
        dataset=learnt[0].dataset,
        report=replace(learnt[0].report, test_accuracy_frac=None),
    )
    card = export(tmp_path / "new", trained, *learnt[1:]).files[0].read_text("utf-8")
    assert "| test images | not judged; there are 397 |" in card
    assert "On the chip" not in card


def test_a_folder_that_holds_something_is_refused(learnt: Learnt, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"holds mine\.txt, which is not replaced"):
        export(tmp_path, *learnt)
    with pytest.raises(InvalidRequest, match="is a file, which is not replaced"):
        export(tmp_path / "mine.txt", *learnt, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_export_is_replaced_when_forced_and_nothing_else_is(
    learnt: Learnt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mine"
    export(folder, *learnt)
    (folder / "model.onnx").write_bytes(b"old")
    with pytest.raises(InvalidRequest, match="replace it with --force"):
        export(folder, *learnt)
    with monkeypatch.context() as failing:
        _differing(failing)
        with pytest.raises(NotPossible, match="nothing was written"):
            export(folder, *learnt, force=True)
    assert (folder / "model.onnx").read_bytes() == b"old"
    export(folder, *learnt, force=True)
    assert (folder / "model.onnx").stat().st_size > 1000
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"holds notes\.txt, which is not replaced"):
        export(folder, *learnt, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def _differing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "TOLERANCE", -1.0)


def _full(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [(_differing, NotPossible, "nothing was written"), (_full, InvalidRequest, "No space left on device")],
)
def test_what_fails_leaves_nothing_behind(
    learnt: Learnt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[pytest.MonkeyPatch], None],
    error: type[Exception],
    told: str,
) -> None:
    spoil(monkeypatch)
    with pytest.raises(error, match=told):
        export(tmp_path / "new", *learnt)
    assert not list(tmp_path.iterdir())


def test_weights_of_another_network_are_refused(learnt: Learnt, tmp_path: Path) -> None:
    trained, weights, digits = learnt
    other = replace(trained, request=replace(trained.request, candidate=parse_candidate("VGG8")))
    with pytest.raises(InvalidRequest, match="not those of VGG8"):
        export(tmp_path / "new", other, weights, digits)
    with pytest.raises(InvalidRequest, match="not those of VGG4-RES6"):
        export(tmp_path / "new", trained, weights[:-9], digits)
    with pytest.raises(InvalidRequest, match="not the images"):
        export(tmp_path / "new", trained, weights, load_dataset("digits-hard"))


def test_a_missing_library_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(NotPossible, match=r"needs onnxscript; run: pip install 'imcnas\[export\]'"):
        export_file.check_export(tmp_path / "new")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"candidate": {"blocks": []}}'])
def test_a_folder_that_no_export_wrote_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(NotFound, match=r"no model\.json is there"):
        load_network(tmp_path)
    (tmp_path / "model.json").write_text(content)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InvalidRequest, match=r"is damaged"):
        load_network(tmp_path)
