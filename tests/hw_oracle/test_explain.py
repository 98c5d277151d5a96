"""What is explained is what is reported, and every equation gives the number beside it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given, settings

from services.common.errors import InvalidRequest
from services.common.layers import (
    LAYER_KINDS,
    Add,
    Bits,
    Concat,
    Conv2d,
    LayerList,
    Linear,
    Multiply,
    Pool2d,
    Shape,
)
from services.hw_oracle.cost import evaluate
from services.hw_oracle.derived import busy_ns
from services.hw_oracle.digital import multiplexer_stages
from services.hw_oracle.explain import explain
from services.hw_oracle.types import ChipConfig, GroupedMapping
from services.hw_oracle.worksheet import FUNCTIONS, Term
from tests.hw_oracle.networks import networks
from tests.hw_oracle.varied_chips import chips

FUNCTION = {
    "ceil": math.ceil, "floor": math.floor, "log2": math.log2, "max": max, "min": min, "sqrt": math.sqrt,
    "power_of_two": lambda x: 2.0 ** math.ceil(math.log2(x)), "stages": multiplexer_stages,
}  # fmt: skip

EVERY_KIND = LayerList(
    input_shape=Shape(channels=8, height=9, width=7),
    layers=(
        Conv2d(inputs=(-1,), out_channels=40, kernel_size=3, stride=2, padding=1),
        Conv2d(inputs=(0,), out_channels=40, kernel_size=3, padding=1, groups=20),
        Conv2d(inputs=(0,), out_channels=40, kernel_size=1),
        Add(inputs=(0, 1, 2)),
        Pool2d(inputs=(3,), kernel_size=2, stride=2, padding=1),
        Pool2d(inputs=(4,), kernel_size=3, stride=3),
        Multiply(inputs=(4, 5)),
        Concat(inputs=(4, 6)),
        Linear(inputs=(7,), out_features=300, bits=Bits(input_bits=4, weight_bits=5, output_bits=6)),
        Linear(inputs=(8,), out_features=10),
    ),
)


def worked_again(term: Term) -> float:
    """Work the equation out from the numbers that are given with it."""
    plain = re.sub(r"(?<![\w.])[A-Za-z_][\w.]*", lambda m: m[0].replace(".", "__"), term.equation)
    names = {symbol.replace(".", "__"): value for symbol, value in term.given}
    return float(eval(plain, {"__builtins__": {}}, names | FUNCTION))  # noqa: S307  # our own equations


def by_symbol(terms: tuple[Term, ...]) -> dict[str, Term]:
    found = {term.symbol: term for term in terms}
    assert len(found) == len(terms)  # a symbol names one quantity
    return found


def check(network: LayerList, chip: ChipConfig, index: int) -> None:
    cost, terms = evaluate(network, chip).layers[index], explain(network, chip, index)
    for term in terms:
        if term.equation:
            scale = cost.finish_ns if term.unit == "ns" else 0.0  # a wait is a difference of large times
            again = pytest.approx(term.value, rel=1e-11, abs=1e-11 * scale)
            assert worked_again(term) == again, term
    found: dict[str, Any] = {symbol: term.value for symbol, term in by_symbol(terms).items()}
    assert found["busy_ns"] == pytest.approx(busy_ns(cost), rel=1e-9, abs=1e-9 * cost.finish_ns)
    for name in ("power_w", "energy_nj", "area_um2", "begin_ns", "finish_ns", "occupancy_frac", "tiles"):
        assert found.get(name, 0) == pytest.approx(getattr(cost, name), rel=1e-12), name


def test_the_chosen_network_has_every_kind_of_layer():
    assert {layer.kind for layer in EVERY_KIND.layers} == set(LAYER_KINDS)
    assert set(FUNCTION) == set(FUNCTIONS)


@pytest.mark.parametrize("index", range(len(EVERY_KIND.layers)))
@pytest.mark.parametrize("grouped", GroupedMapping)
def test_the_terms_of_every_kind_of_layer_add_up_to_the_report(index: int, grouped: GroupedMapping):
    check(EVERY_KIND, ChipConfig(grouped_mapping=grouped), index)


@settings(max_examples=150)
@given(network=networks(max_layers=5), chip=chips())
def test_every_equation_gives_the_reported_number_on_any_chip(network: LayerList, chip: ChipConfig):
    for index in range(len(network.layers)):
        check(network, chip, index)


def test_a_term_reads_as_one_would_write_it():
    term = by_symbol(explain(EVERY_KIND, ChipConfig(), 0))["adc_conversion_ns"]
    assert term.equation == "(adc.bits + 2) / adc.rate_gsps"
    assert term.with_numbers() == "(6 + 2) / 1 GS/s"
    assert (term.value, term.unit) == (8.0, "ns")


@pytest.mark.parametrize("clock_mhz", [333, 777])
def test_a_layer_that_never_waits_waits_exactly_0(clock_mhz: float):
    network = LayerList(
        input_shape=Shape(channels=3, height=64, width=64),
        layers=(Conv2d(inputs=(-1,), out_channels=8, kernel_size=3),),
    )
    chip = ChipConfig(clock_mhz=clock_mhz)
    (cost,) = evaluate(network, chip).layers
    assert cost.finish_ns - cost.begin_ns != busy_ns(cost)  # sums of 3,844 points, in two orders
    terms = {term.symbol: term for term in explain(network, chip, 0)}
    assert terms["waiting_ns"].value == 0


def test_a_layer_that_is_not_there_is_refused():
    for index in (-1, len(EVERY_KIND.layers)):
        with pytest.raises(InvalidRequest, match=r"layer: got .*, wanted 0 to 9"):
            explain(EVERY_KIND, ChipConfig(), index)
