"""Write docs/reference.md: every call, message and enum of the protos, and every reason of an error.

Run as ``python protos/reference.py`` once the protos are made (`make protos` does both). What the page says
of the wire are the protos' own comments, and of errors the docstrings of services/common/errors.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

from services.common.errors import CLASSES, ImcnasError
from services.common.rpc.status import CODES, RETRY_AFTER_S, RETRY_CODES

DESCRIPTORS = Path(__file__).with_name("descriptors.binpb")
PAGE = Path(__file__).parents[1] / "docs" / "reference.md"

HEAD = """\
# Reference of the services

<!-- Written by protos/reference.py from the protos' comments: change those, then `make protos`. -->

Every call, message and error of package `imcnas.v1`; [services.md](services.md) is the guide: ports, limits,
clients.

A field that is `optional` may be left out, which is not the same as 0: its text says what then holds. Of a
*one of* at most one field is set. An enum that is not set is its value 0.
"""

ERRORS = """\
## Errors

Each is a google.rpc.Status, in the trailer `grpc-status-details-bin`: ErrorInfo with the reason and the
domain `imcnas`, BadRequest with the path of each field at fault, RetryInfo where the table says so. The
same reasons stand in an [ErrorReport](#errorreport), where one of many things failed. A status without an
ErrorInfo is gRPC's own: the service did not get to answer.

| reason | gRPC code | what happened | RetryInfo | in Python |
|---|---|---|---|---|
"""

# Numbers of the fields of descriptor.proto, of which the paths of comments are made.
MESSAGE, ENUM, SERVICE, FIELD, VALUE, METHOD, ONEOF = 4, 5, 6, 2, 2, 2, 8

F = FieldDescriptorProto


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its comments by path."""

    file: FileDescriptorProto
    comments: dict[tuple[int, ...], str]

    def comment(self, *path: int) -> str:
        """Comment on what stands there, as one line of Markdown."""
        text = " ".join(self.comments.get(path, "").split())
        return text.replace("|", r"\|").replace("*", r"\*").replace("<", "&lt;")


def read(files: FileDescriptorSet) -> list[Source]:
    """Find every file's comments."""
    return [
        Source(f, {tuple(at.path): at.leading_comments for at in f.source_code_info.location})
        for f in files.file
    ]


def page(files: FileDescriptorSet) -> str:
    """Make the whole page."""
    sources = read(files)
    # the oracle first, then as the files are named
    sources.sort(key=lambda source: ("hw_oracle" not in source.file.name, source.file.name))
    return "\n".join([HEAD, *_calls(sources), *_errors(), *_services(sources), *_types(sources)])


def _calls(sources: Sequence[Source]) -> Iterator[str]:
    """Everything there is, as a table of contents."""
    yield "## Calls\n\n| call | kind | what it does |\n|---|---|---|"
    for source in sources:
        for i, service in enumerate(source.file.service):
            yield f"| **{_link(service.name)}** | | {source.comment(SERVICE, i)} |"
            for j, method in enumerate(service.method):
                link = f"[{method.name}](#{_slug(f'{service.name}.{method.name}')})"
                yield f"| {link} | {_kind(method)} | {source.comment(SERVICE, i, METHOD, j)} |"
    yield ""
    yield "What they are made of, by file:\n"
    own = _of_calls(sources)
    for source in sources:
        names = [m.name for m in source.file.message_type if m.name not in own]
        names += [e.name for e in source.file.enum_type]
        yield f"- `{source.file.name}`: {', '.join(map(_link, names))}"
    yield ""


def _errors() -> Iterator[str]:
    """List the reasons, as the tree has them."""
    rows = []
    for reason, cls in CLASSES.items():
        if cls is ImcnasError:
            continue
        code = CODES[cls]
        retry = f"{RETRY_AFTER_S} s" if code in RETRY_CODES else ""
        rows.append(f"| `{reason}` | {code.name} | {getdoc(cls)} | {retry} | `{cls.__name__}` |\n")
    yield ERRORS + "".join(rows)


def _services(sources: Sequence[Source]) -> Iterator[str]:
    """Each call with its request and response."""
    messages = {
        f".{source.file.package}.{m.name}": (source, i, m)
        for source in sources
        for i, m in enumerate(source.file.message_type)
    }
    own = _of_calls(sources)
    for source in sources:
        for i, service in enumerate(source.file.service):
            yield f"## {service.name}\n\n{source.comment(SERVICE, i)}\n"
            for j, method in enumerate(service.method):
                yield f"### {service.name}.{method.name}\n"
                yield f"{_kind(method).capitalize()}. {source.comment(SERVICE, i, METHOD, j)}\n"
                for title, type_name in (("Request", method.input_type), ("Response", method.output_type)):
                    at, index, message = messages[type_name]
                    if message.name in own:
                        yield f"{title} `{message.name}`: {at.comment(MESSAGE, index)}\n"
                        yield from _fields(at, index, message)
                    else:
                        yield f"{title} {_link(message.name)}.\n"


def _types(sources: Sequence[Source]) -> Iterator[str]:
    """Messages that no call has for itself, and enums."""
    own = _of_calls(sources)
    for source in sources:
        yield f"## {source.file.name}\n"
        for i, message in enumerate(source.file.message_type):
            if message.name not in own:
                yield f"### {message.name}\n\n{source.comment(MESSAGE, i)}\n"
                yield from _fields(source, i, message)
        for i, enum in enumerate(source.file.enum_type):
            yield f"### {enum.name}\n\n{source.comment(ENUM, i)}\n"
            yield from _values(source, i, enum)


def _fields(source: Source, index: int, message: DescriptorProto) -> Iterator[str]:
    if not message.field:
        return
    yield "| field | type | meaning |\n|---|---|---|"
    told = -1  # of the oneofs, the last that has its row
    for j, field in enumerate(message.field):
        choice = ""
        if field.HasField("oneof_index") and not field.proto3_optional:
            name = message.oneof_decl[field.oneof_index].name
            choice = f", of *{name}*"
            if field.oneof_index != told:
                told = field.oneof_index
                yield f"| *{name}* | one of | {source.comment(MESSAGE, index, ONEOF, told)} |"
        yield f"| `{field.name}` | {_type(field)}{choice} | {source.comment(MESSAGE, index, FIELD, j)} |"
    yield ""


def _values(source: Source, index: int, enum: EnumDescriptorProto) -> Iterator[str]:
    yield "| value | number | meaning |\n|---|---|---|"
    for j, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {source.comment(ENUM, index, VALUE, j)} |"
    yield ""


def _type(field: FieldDescriptorProto) -> str:
    """Its type, with what a caller must know of its label."""
    many = "repeated " if field.label == F.LABEL_REPEATED else ""
    maybe = "optional " if field.proto3_optional else ""
    name = field.type_name.rpartition(".")[2]
    return many + maybe + (_link(name) if name else F.Type.Name(field.type).removeprefix("TYPE_").lower())


def _kind(method: MethodDescriptorProto) -> str:
    kinds = {
        (False, False): "unary",
        (False, True): "server stream",
        (True, False): "client stream",
        (True, True): "bidirectional stream",
    }
    return kinds[method.client_streaming, method.server_streaming]


def _of_calls(sources: Sequence[Source]) -> set[str]:
    """Name the requests and responses that are shown with their call alone, as no field has their type."""
    methods = [m for source in sources for service in source.file.service for m in service.method]
    fields = [f for source in sources for message in source.file.message_type for f in message.field]
    of_calls = {name for m in methods for name in (m.input_type, m.output_type)}
    return {name.rpartition(".")[2] for name in of_calls - {f.type_name for f in fields}}


def _link(name: str) -> str:
    return f"[{name}](#{_slug(name)})"


def _slug(heading: str) -> str:
    """Anchor of a heading of one word, as GitHub and most renderers make it."""
    return heading.lower().replace(".", "")


def main() -> None:
    """Write the page."""
    files = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    PAGE.write_text(page(files), "utf-8")


if __name__ == "__main__":
    main()
