"""The kernel where an index beyond an array raises, which machine code does not look at.

    NUMBA_DISABLE_JIT=1 python -m tests.fuzz.kernel_bounds        # as Python: slow, and overflows raise, too
    NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=/tmp/checked python -m tests.fuzz.kernel_bounds

It is given what is a network and what is none, as records and as messages, and must find what the reference
finds, or leave it to the reference.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from services.common.convert import to_pb
from services.common.errors import ImcnasError, InvalidInput
from services.common.layers import Bits, LayerList, Shape
from services.common.pb.imcnas.v1 import network_pb2
from services.common.space import load_space
from services.hw_oracle import reference
from services.hw_oracle.candidates import NumberedCandidates, cost_chunk
from services.hw_oracle.compiled import candidates, kernel, run, wire
from services.hw_oracle.compiled.pack import Packed, pack, pack_chip
from services.hw_oracle.compiled.records import OK
from services.hw_oracle.convert import bodies_of
from services.hw_oracle.types import ChipConfig, chip_hash
from tests.fuzz.extremes import extreme_networks
from tests.fuzz.messages import INTEGERS, changed, damaged
from tests.hw_oracle.networks import networks
from tests.hw_oracle.varied_chips import chips

PLAIN = os.environ.get("NUMBA_DISABLE_JIT") == "1"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
MOST_POINTS = 3_000 if PLAIN else 10**6

SMALL = networks(max_layers=4)
CHIPS = st.just(ChipConfig()) | chips(tight=True)
MESSAGES = SMALL.map(lambda network: to_pb(network, network_pb2.LayerList))


class Checked(np.ndarray):
    """An array in which no index is negative, either."""

    def __getitem__(self, key: Any) -> Any:
        self._check(key)
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check(key)
        super().__setitem__(key, value)

    def _check(self, key: Any) -> None:
        for index in key if isinstance(key, tuple) else (key,):
            parts = (index.start, index.stop) if isinstance(index, slice) else (index,)
            if any(part is not None and not isinstance(part, np.ndarray) and part < 0 for part in parts):
                raise IndexError(f"negative index {key}")
            if isinstance(index, slice) and index.stop is not None and index.stop > len(self):
                raise IndexError(f"slice {key} of {len(self)}")


class CheckedRecords(Checked, np.recarray):  # type: ignore[misc]
    """Records whose fields are attributes, as in compiled code."""


def checked(array: Any) -> Any:
    """Make a view of an array that checks its indices, in plain Python."""
    if not PLAIN or not isinstance(array, np.ndarray):
        return array
    return array.view(CheckedRecords if array.dtype.names else Checked)


def guard(module: Any, name: str) -> None:
    compiled = getattr(module, name)
    setattr(module, name, lambda *arguments: compiled(*map(checked, arguments)))


def few(network: LayerList) -> bool:
    return sum(shape.points for shape in network.shapes) <= MOST_POINTS


def example(**drawn: Any) -> Any:
    return lambda test: settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )(given(**drawn)(test))


@example(network=SMALL.filter(few) | extreme_networks().filter(few), chip=CHIPS)
def sound_networks(network: LayerList, chip: ChipConfig) -> None:
    (total,) = run.run(pack([network]), pack_chip(chip))
    try:
        wanted = reference.evaluate(network, chip)
    except ImcnasError:
        assert total["status"] != OK
        return
    if total["status"] == OK:
        assert wanted.chip_hash == chip_hash(chip)
        assert np.isclose(total["latency_ns"], wanted.latency_ns, rtol=1e-10)
        assert np.isclose(total["energy_nj"], wanted.energy_nj, rtol=1e-10)
        assert (total["tiles"], total["crossbars"]) == (wanted.tiles, wanted.crossbars)


@example(message=MESSAGES.flatmap(changed), chip=CHIPS)
def changed_messages(message: network_pb2.LayerList, chip: ChipConfig) -> None:
    bodies, layers = bodies_of([message])
    run.run_messages(bodies, layers, pack_chip(chip), most_work=20 * MOST_POINTS)
    wire.decode(bodies, layers)


@example(
    body=st.binary(max_size=100) | MESSAGES.flatmap(lambda m: damaged(m.SerializeToString())),
    room=st.integers(0, 5),
)
def any_bytes(body: bytes, room: int) -> None:
    run.run_messages([body, body], room, pack_chip(ChipConfig()), most_work=20 * MOST_POINTS)
    wire.decode([body, body], room)


@example(network=SMALL, data=st.data())
def changed_records(network: LayerList, data: st.DataObject) -> None:
    packed = pack([network])
    layers, inputs = packed.layers.copy(), packed.inputs.copy()
    for _ in range(data.draw(st.integers(1, 3))):
        numbers = data.draw(st.sampled_from([layers.view(np.int64), inputs]))
        numbers[data.draw(st.integers(0, len(numbers) - 1))] = data.draw(INTEGERS)
    changed_ = Packed(packed.images, packed.starts, layers, packed.input_starts, inputs)
    if few_points(layers):
        run.run(changed_, pack_chip(ChipConfig()))


def few_points(layers: Any) -> bool:
    """Whether no map can have grown: as Python the kernel takes long for large ones."""
    return not PLAIN or bool((layers["padding"] <= 3).all())


@example(
    depths=st.lists(st.integers(1, 4) | INTEGERS, max_size=4),
    choices=st.lists(st.integers(0, 8) | INTEGERS, max_size=8),
    side=st.sampled_from([1, 2, 3, 4, 8]),
)
def any_candidates(depths: list[int], choices: list[int], side: int) -> None:
    try:
        batch = NumberedCandidates(
            space=replace(load_space("small"), max_depth=4),
            input_shape=Shape(channels=1, height=side, width=side),
            classes=10,
            bits=Bits(),
            chip=ChipConfig(),
            depths=np.array(depths, np.int64),
            choices=np.array(choices, np.int64),
        )
    except InvalidInput:
        return
    for chunk in batch.chunks():
        cost_chunk(chunk)


def main() -> None:
    """Run every property."""
    warnings.simplefilter("error")  # numpy's, of integers that leave 64 bits
    if PLAIN:
        guard(kernel, "cost_networks")
        guard(wire, "_decode_all")
        guard(candidates, "_expand_all")
    for test in (sound_networks, changed_messages, any_bytes, changed_records, any_candidates):
        test()
        print(test.__name__, "holds", flush=True)  # noqa: T201  # a script


if __name__ == "__main__":
    main()
