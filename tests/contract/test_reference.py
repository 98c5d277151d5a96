"""docs/reference.md says all that the protos and the error tree say, and its links lead somewhere."""

from __future__ import annotations

import re
import runpy
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from services.common.errors import CLASSES, ImcnasError
from services.common.rpc.status import to_status

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference.md").read_text("utf-8")


@pytest.fixture(scope="module")
def files() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "protos" / "descriptors.binpb").read_bytes())


def test_the_committed_page_is_what_the_protos_make(files: FileDescriptorSet) -> None:
    script = runpy.run_path(str(ROOT / "protos" / "reference.py"), run_name="reference")
    assert script["page"](files) == PAGE, "run `make protos`"


def section(title: str) -> str:
    """Text from a heading, or from the line of a request or response, to the next one."""
    begin = re.search(rf"^(### {re.escape(title)}$|(Request|Response) `{title}`)", PAGE, re.MULTILINE)
    assert begin, title
    return re.split(r"^(?:##|Request|Response) ?", PAGE[begin.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_call_field_and_value_has_a_row_with_its_words(files: FileDescriptorSet) -> None:
    rows = 0
    for file in files.file:
        for service in file.service:
            for method in service.method:
                assert section(f"{service.name}.{method.name}").strip()
        for message in file.message_type:
            assert not message.nested_type
            assert not message.enum_type
            text = section(message.name)
            for field in message.field:
                rows += 1
                assert re.search(rf"^\| `{field.name}` \| \S.* \| \S.* \|$", text, re.MULTILINE), field.name
        for enum in file.enum_type:
            text = section(enum.name)
            for value in enum.value:
                rows += 1
                row = rf"^\| `{value.name}` \| {value.number} \| \S.* \|$"
                assert re.search(row, text, re.MULTILINE), value.name
    assert rows == len(re.findall(r"^\| `[a-zA-Z0-9_]+` \| ", PAGE, re.MULTILINE)) - len(CLASSES) + 1


def test_every_reason_has_the_code_and_the_delay_that_a_call_gets() -> None:
    codes = {code.value[0]: code.name for code in grpc.StatusCode}
    row = re.compile(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| .+ \|(.*)\| `(\w+)` \|$", re.MULTILINE)
    rows = {reason: rest for reason, *rest in row.findall(PAGE)}
    for reason, cls in CLASSES.items():
        if cls is not ImcnasError:  # the root is never raised
            status = to_status(cls("text"), "method")
            delay = any(detail.type_url.endswith("RetryInfo") for detail in status.details)
            code, told, name = rows.pop(reason)
            assert (code, bool(told.strip()), name) == (codes[status.code], delay, cls.__name__)
    assert not rows


def test_every_link_leads_to_one_heading_or_a_file() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = Counter(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)
    assert set(anchors.values()) == {1}
    links = set(re.findall(r"\]\(([^)]+)\)", PAGE))
    assert len(links) > 50
    for link in links:
        file, _, anchor = link.partition("#")
        assert (ROOT / "docs" / file).is_file() if file else anchor in anchors, link
