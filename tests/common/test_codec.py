import json
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import codec
from services.common.codec import dumps, from_jsonable, loads, to_jsonable
from services.common.errors import InvalidInput
from services.common.readers import reader


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    size: int = 1
    share: float = 0.5
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    name: str
    leaf: Leaf = Leaf()
    leaves: tuple[Leaf, ...] = ()
    pair: tuple[int, str] = (0, "")
    limit: float | None = None
    flag: bool = False
    length: int = field(init=False, default=0)


finite = st.floats(allow_nan=False, allow_infinity=False)
leaves = st.builds(Leaf, size=st.integers(), share=finite, colour=st.sampled_from(Colour))
trees = st.builds(
    Tree,
    name=st.text(),
    leaf=leaves,
    leaves=st.lists(leaves, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), st.text()),
    limit=st.none() | finite,
    flag=st.booleans(),
)


@given(trees)
def test_what_is_read_equals_what_was_written(tree):
    again = loads(Tree, dumps(tree))
    assert again == tree
    assert repr(again) == repr(tree)  # equal types too: 1 == 1.0 == True


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.sampled_from(["red", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["size", "colour"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["name", "leaf", "leaves", "pair", "limit", "flag", "x"]), anything))
def test_the_fast_reader_takes_nothing_that_the_slow_one_refuses_or_reads_otherwise(obj):
    try:
        fast = reader(Tree)({"name": "x"} | obj)
    except Exception:
        return
    assert repr(codec._read(Tree, {"name": "x"} | obj, "")) == repr(fast)


def test_derived_fields_are_not_written():
    assert "length" not in to_jsonable(Tree(name="x"))


def test_absent_fields_take_their_defaults():
    assert from_jsonable(Tree, {"name": "x"}) == Tree(name="x")


def test_an_integer_is_read_as_the_float_that_is_wanted():
    assert type(from_jsonable(Leaf, {"share": 1}).share) is float


@pytest.mark.parametrize("scalar", [np.int64(3), np.float64(0.5), np.bool_(True), np.str_("x")])
def test_numpy_scalars_are_refused_where_they_are_written(scalar):
    with pytest.raises(TypeError, match="numpy"):
        to_jsonable(Tree(name="x", pair=(scalar, "")))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(Leaf(share=number))


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({}, "name: is missing, wanted a value"),
        ({"name": 3}, "name: got 3, wanted a value of type str"),
        ({"name": "x", "leaf": {"sise": 1}}, r"leaf\.sise: unknown field, .*did you mean size"),
        ({"name": "x", "leaves": [{}, {"colour": "rde"}]}, r"leaves\[1\]\.colour: .*did you mean red"),
        ({"name": "x", "pair": [1]}, "pair: .* a list of 2 values"),
        ({"name": "x", "limit": "much"}, "limit: got 'much'"),
        ({"name": "x", "flag": 1}, "flag: got 1, wanted a value of type bool"),
        ({"name": "x", "leaf": []}, "leaf: .* an object"),
        ({"name": "x", "leaves": {}}, "leaves: .* a list"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_path(obj, message):
    with pytest.raises(InvalidInput, match=message):
        from_jsonable(Tree, json.loads(json.dumps(obj)))
