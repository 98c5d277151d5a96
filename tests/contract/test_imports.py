"""What each file may load, seen from fresh interpreters."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "services"
DOORS = {"server", "client", "calls", "convert", "metrics", "__main__", "pool"}
WIRE = {"grpc", "google.protobuf", "prometheus_client"}
IMPORTER = "hw_oracle/importers/torch.py"  # inside its functions
TORCH = {
    "build",
    "checkpoint",
    "chips",
    "export",
    "fit",
    "inline",
    "onnx_file",
    "resident",
    "worker",
}  # files of the trainer
RAY = {"actor", "crew", "pool", "ray_connect"}
ANALOG = {str(file.relative_to(ROOT)) for file in (ROOT / "trainer" / "analog").glob("*.py")}
STORE = {f"searcher/{name}.py" for name in ("database", "rows", "store")}
STORE |= {str(file.relative_to(ROOT)) for file in (ROOT / "searcher" / "migrations").rglob("*.py")}
HEAVY = {"torch", "ray", "hyperopt", "sklearn", "sqlalchemy", "matplotlib"}


def modules(room: str, *, doors: bool = False) -> list[str]:
    files = [
        f
        for p in ("*.py", "compiled/*.py", "data/*.py", "importers/*.py", "page/*.py")
        for f in sorted((ROOT / room).glob(p))
    ]
    kept = [f for f in files if f.stem != "__init__" and (doors or f.stem not in DOORS | {"settings"})]
    return [".".join(("services", *f.relative_to(ROOT).with_suffix("").parts)) for f in kept]


def loaded_by(names: list[str]) -> set[str]:
    assert names
    code = (
        f"import importlib, json, sys\nfor n in {names!r}: importlib.import_module(n)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("room", ["common", "hw_oracle", "trainer", "searcher"])
def test_the_core_of_a_room_loads_no_wire_and_no_other_core(room: str):
    # torch and hyperopt load what they like themselves; the last test looks at their files
    own = {
        "trainer": TORCH | RAY,
        "searcher": {"tpe", "space"},
    }.get(room, set())
    names = [n for n in modules(room) if n.rsplit(".", 1)[1] not in own]
    allowed = {
        "common": {"sqlalchemy"},
        "searcher": {"sqlalchemy", "matplotlib"},
        "trainer": {"sklearn", "sqlalchemy"},
    }.get(room, set())
    loaded = loaded_by(names)
    assert not loaded & (WIRE | HEAVY - allowed)
    others = {"hw_oracle", "trainer", "searcher"} - {room}
    foreign = [m for m in loaded if m.startswith(tuple(f"services.{o}." for o in others))]
    doors = {"types", "analog_types", "client", "chip", "checked", "convert"}
    assert all(m.rsplit(".", 1)[1] in doors for m in foreign), foreign


@pytest.mark.slow
def test_a_client_needs_grpc_and_protobuf_alone():
    loaded = loaded_by([f"services.{room}.client" for room in ("hw_oracle", "trainer", "searcher")])
    assert not loaded & (HEAVY | {"numpy", "prometheus_client", "pydantic"})


@pytest.mark.slow
def test_the_oracle_serves_without_torch_and_ray():
    names = [*modules("hw_oracle", doors=True), "services.hw_oracle.importers"]
    assert not loaded_by(names) & {"torch", "ray", "onnx", "hyperopt", "sqlalchemy"}


@pytest.mark.slow
def test_the_command_shows_its_help_without_loading_anything_heavy():
    assert not loaded_by(["services.cli.__main__"]) & (HEAVY | {"numpy", "grpc", "PIL", "pooch"})


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("ray", {f"trainer/{name}.py" for name in RAY}),
        (
            "torch",
            {f"trainer/{name}.py" for name in TORCH | {"actor", "pool"}} | {IMPORTER, *ANALOG},
        ),
        ("hyperopt", {"searcher/space.py", "searcher/tpe.py"}),
        ("sqlalchemy", {"common/sql.py", "trainer/cache.py", *STORE}),
        ("alembic", {f for f in STORE if f.startswith("searcher/migrations/")}),
    ],
)
def test_a_library_is_imported_only_where_it_lives(library: str, homes: set[str]):
    found = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if line.strip().startswith((f"import {library}", f"from {library}"))
    }
    assert found <= homes, found - homes
    assert found
