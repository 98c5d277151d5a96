"""Random messages of any kind, from their descriptors: from scratch, or by changing sound ones."""

from __future__ import annotations

from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

INTEGERS = st.sampled_from(
    [
        *(0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 63, 64, 65, 255, 256, 257, 1023, 1024, 4096, 4097, 10_001),
        *(65535, 65536, 65537, 2**20, 2**20 + 1, 2**22, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1),
        *(-1, -2, -3, -64, -(2**31), -(2**62), -(2**63)),
    ]
)
"""Numbers next to limits, most of which are no limits of anything."""

FLOATS = (
    st.sampled_from(
        [0.0, -0.0, 1.0, 0.5, 500.0, 5e-324, 2.2e-308, 1e-9, 1e9, 1e300, -1e300, *map(float, ("nan", "inf"))]
    )
    | st.floats()
)
TEXTS = st.sampled_from(
    ["", "mnsim2_default", "MNSIM2_default", "../mnsim2_default", "\0", "é\U0001f600"]
) | (st.text(max_size=200))
LENGTHS = st.sampled_from([0, 0, 1, 1, 1, 2, 2, 3, 5])
MOST_DEEP = 6


def new(descriptor: Descriptor) -> Message:
    """Make an empty message."""
    return message_factory.GetMessageClass(descriptor)()


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, depth: int = 0) -> Message:
    """Any message at all: fields there or not, of any value."""
    message = new(descriptor)
    for field in descriptor.fields:
        if draw(st.integers(0, 3)):
            _fill(draw, message, field, depth)
    return message


def _fill(draw: st.DrawFn, message: Message, field: FieldDescriptor, depth: int) -> None:
    name, held = field.name, getattr(message, field.name)
    if field.message_type is not None:
        if depth >= MOST_DEEP:
            return
        inner = messages(field.message_type, depth + 1)
        if field.is_repeated:
            held.extend(draw(inner) for _ in range(draw(LENGTHS)))
        else:
            held.CopyFrom(draw(inner))
    elif field.is_repeated:
        held.extend(draw(_values(field)) for _ in range(draw(LENGTHS | st.sampled_from([64, 65]))))
    else:
        setattr(message, name, draw(_values(field)))


def _values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_INT64:
            return INTEGERS | st.integers(-(2**63), 2**63 - 1)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return FLOATS
        case FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.CPPTYPE_STRING:
            return TEXTS
        case FieldDescriptor.CPPTYPE_ENUM:
            known = [value.number for value in field.enum_type.values]
            return st.sampled_from([*known, *known, len(known), -1, -(2**31), 2**31 - 1])
    raise NotImplementedError(field.full_name)


@st.composite
def changed(draw: st.DrawFn, sound: Message, most: int = 3) -> Message:
    """Change some fields of a message, anywhere in its tree."""
    message = new(sound.DESCRIPTOR)
    message.CopyFrom(sound)
    for _ in range(draw(st.integers(1, most))):
        _change(draw, message)
    return message


def _change(draw: st.DrawFn, message: Message) -> None:
    while True:  # walk to a node
        inner = _children(message)
        if not inner or not draw(st.integers(0, 4)):
            break
        message = draw(st.sampled_from(inner))
    if not message.DESCRIPTOR.fields:
        return
    field = draw(st.sampled_from(list(message.DESCRIPTOR.fields)))
    held = getattr(message, field.name)
    if field.is_repeated and len(held):
        at = draw(st.integers(0, len(held) - 1))
        match draw(st.integers(0, 2)):
            case 0:
                del held[at]
            case 1 if field.message_type is None:
                held[at] = draw(_values(field))
            case _:
                held.append(held[at])
    elif draw(st.integers(0, 5)):
        _fill(draw, message, field, MOST_DEEP - 2)
    else:
        message.ClearField(field.name)


def _children(message: Message) -> list[Message]:
    found: list[Message] = []
    for field, value in message.ListFields():
        if field.message_type is not None:
            found += value if field.is_repeated else [value]
    return found


@st.composite
def damaged(draw: st.DrawFn, raw: bytes) -> bytes:
    """Change, cut and repeat bytes."""
    made = bytearray(raw)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(made)))
        match draw(st.integers(0, 3)):
            case 0:
                made[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            case 1:
                del made[at:]
            case 2:
                made[at:at] = made[at // 2 : at]
            case _:
                made[at:at] = draw(st.binary(max_size=10))
    return bytes(made)
