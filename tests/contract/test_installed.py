"""What an installed imcnas carries beside its code."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from services.common import protos

ROOT = Path(__file__).parents[2]


def test_the_packaged_protos_are_the_contract() -> None:
    committed = ROOT / "protos"
    wanted = {p.relative_to(committed): p.read_bytes() for p in committed.rglob("*.proto")}
    assert {file: (protos.path() / file).read_bytes() for file in protos.files()} == wanted


def test_copies_compile_alone_to_the_contract(tmp_path: Path) -> None:
    copies = protos.copy(tmp_path / "third_party")
    assert protos.copy(tmp_path / "third_party") == copies  # again, over the first ones
    out = tmp_path / "set.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_source_info"]
    names = map(str, protos.files())
    subprocess.run(
        [*command, f"--descriptor_set_out={out}", *names], cwd=tmp_path / "third_party", check=True
    )
    committed = FileDescriptorSet.FromString((ROOT / "protos" / "descriptors.binpb").read_bytes())
    assert FileDescriptorSet.FromString(out.read_bytes()) == committed


@pytest.mark.slow
def test_a_wheel_carries_protos_types_presets_and_spaces(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "services", source / "services", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    carried = {name for name in ZipFile(wheel).namelist() if name.startswith("services/")}
    assert carried == {str(p.relative_to(source)) for p in (source / "services").rglob("*") if p.is_file()}
    for kind in (".proto", "_pb2.pyi", "py.typed", "paper.toml", "mnsim2_default.toml"):
        assert any(name.endswith(kind) for name in carried), kind
