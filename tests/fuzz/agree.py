"""The fast way of a network, off the wire through the kernel, beside the slow one that checks everything."""

from __future__ import annotations

from dataclasses import asdict
from math import isclose, isfinite
from typing import Any

from services.common.convert import from_pb
from services.common.errors import ImcnasError
from services.common.layers import LayerList
from services.common.pb.imcnas.v1 import network_pb2
from services.hw_oracle import cost, reference
from services.hw_oracle.compiled.pack import pack_chip
from services.hw_oracle.compiled.run import run_messages
from services.hw_oracle.compiled.wire import decode
from services.hw_oracle.convert import bodies_of, totals_to_pb
from services.hw_oracle.types import ChipConfig, Detail

TOLERANCE = 1e-10
"""Of sums of a hundred thousand times in another order."""

MOST_POINTS = 300_000
"""Of networks that are compared; the reference takes a tenth of a second for so many."""


def check_agreement(message: network_pb2.LayerList, chip: ChipConfig) -> bool:
    """Both ways cost a network and tell the same of it, or the slow one says what is wrong with it.

    What the fast way leaves to the slow one is sound, too. Returns whether both have costed it.
    """
    bodies, layers = bodies_of([message])
    (totals,) = run_messages(bodies, layers, pack_chip(chip))
    report = cost.cost_packed(decode(bodies, layers), chip, Detail.MODULES)
    assert (totals is None) == (report is None)
    try:
        network = from_pb(message, LayerList)
        if sum(shape.points for shape in network.shapes) > MOST_POINTS:
            return False
        wanted = reference.evaluate(network, chip)
    except ImcnasError:
        wanted = None
    assert wanted is not None or report is None, "the fast way costs what the slow one refuses"
    if wanted is None or report is None or totals is None:
        return False
    check_equal(asdict(report), asdict(wanted))
    short = totals_to_pb(totals, wanted.chip_hash)
    for field, value in short.ListFields():
        assert value == getattr(report, field.name), field.name
    return True


def check_equal(got: Any, wanted: Any, path: str = "report") -> None:
    """Compare two values of one form number by number; none of these is NaN or infinite."""
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys(), path
        for key in wanted:
            check_equal(got[key], wanted[key], f"{path}.{key}")
    elif isinstance(wanted, list | tuple):
        assert len(got) == len(wanted), path
        for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
            check_equal(a, b, f"{path}[{i}]")
    elif isinstance(wanted, float):
        assert isfinite(wanted), (path, wanted)
        assert isclose(got, wanted, rel_tol=TOLERANCE), (path, got, wanted)
    else:
        assert got == wanted, (path, got, wanted)
