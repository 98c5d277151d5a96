"""A caller built against the committed contract goes on working."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

PROTOS = Path(__file__).parents[2] / "protos"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", PROTOS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def committed() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((PROTOS / "descriptors.binpb").read_bytes())


def test_todays_contract_breaks_nothing_that_is_committed(
    generator: ModuleType, committed: FileDescriptorSet
) -> None:
    assert generator.breaking_changes(committed, generator.descriptors()) == []


def test_the_committed_stubs_and_copies_are_what_the_protos_make(
    generator: ModuleType, tmp_path: Path
) -> None:
    def texts(folder: Path) -> dict[Path, str]:
        files = (p for p in folder.rglob("*") if p.suffix in (".py", ".pyi", ".proto"))
        return {p.relative_to(folder): p.read_text("utf-8") for p in files}

    generator.generate(tmp_path)
    assert texts(tmp_path) == texts(generator.STUBS), "run `make protos`"


def file_of(files: FileDescriptorSet, name: str) -> FileDescriptorProto:
    return next(f for f in files.file if f.name == f"imcnas/v1/{name}.proto")


def first_message(files: FileDescriptorSet) -> list[FieldDescriptorProto]:
    return file_of(files, "network").message_type[0].field  # type: ignore[return-value]


def remove_a_field(files: FileDescriptorSet) -> None:
    del first_message(files)[0]


def renumber_a_field(files: FileDescriptorSet) -> None:
    first_message(files)[0].number = 99


def rename_a_field(files: FileDescriptorSet) -> None:
    first_message(files)[0].name = "other"


def retype_a_field(files: FileDescriptorSet) -> None:
    first_message(files)[0].type = FieldDescriptorProto.TYPE_DOUBLE


def repeat_a_field(files: FileDescriptorSet) -> None:
    first_message(files)[0].label = FieldDescriptorProto.LABEL_REPEATED


def remove_a_message(files: FileDescriptorSet) -> None:
    del file_of(files, "trainer").message_type[-1]


def remove_an_enum_value(files: FileDescriptorSet) -> None:
    del file_of(files, "candidate").enum_type[0].value[-1]


def remove_a_method(files: FileDescriptorSet) -> None:
    del file_of(files, "trainer").service[0].method[0]


def remove_a_service(files: FileDescriptorSet) -> None:
    del file_of(files, "trainer").service[0]


def stop_streaming(files: FileDescriptorSet) -> None:
    file_of(files, "trainer").service[0].method[0].server_streaming = False


def move_a_field_out_of_its_oneof(files: FileDescriptorSet) -> None:
    messages = file_of(files, "hw_oracle").message_type
    request = next(m for m in messages if m.name == "HwOracleServiceEvaluateRequest")
    request.field[1].ClearField("oneof_index")


@pytest.mark.parametrize(
    "change",
    [
        remove_a_field,
        renumber_a_field,
        rename_a_field,
        retype_a_field,
        repeat_a_field,
        remove_a_message,
        remove_an_enum_value,
        remove_a_method,
        remove_a_service,
        stop_streaming,
        move_a_field_out_of_its_oneof,
    ],
)
def test_a_change_that_breaks_callers_is_found(
    generator: ModuleType, committed: FileDescriptorSet, change: Callable[[FileDescriptorSet], None]
) -> None:
    changed = FileDescriptorSet.FromString(committed.SerializeToString())
    change(changed)
    assert generator.breaking_changes(committed, changed)


def test_an_addition_is_no_breaking_change(generator: ModuleType, committed: FileDescriptorSet) -> None:
    more = FileDescriptorSet.FromString(committed.SerializeToString())
    file = file_of(more, "trainer")
    file.message_type[0].field.add(name="new", number=99, type=FieldDescriptorProto.TYPE_STRING)
    file.message_type.add(name="NewMessage")
    file.enum_type.add(name="NewEnum").value.add(name="NEW_ENUM_UNSPECIFIED", number=0)
    file.service[0].method.add(name="New", input_type=".imcnas.v1.Shape", output_type=".imcnas.v1.Shape")
    assert generator.breaking_changes(committed, more) == []
