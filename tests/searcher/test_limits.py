import re

import pytest

from services.common.candidate import candidate_layers
from services.common.errors import InvalidRequest
from services.common.layers import Conv2d, LayerList, Linear, Shape
from services.searcher.limits import over_hardware_limit, over_limit
from services.searcher.types import HardwareLimits, TrainingLimits

# 3 kernels of 3x3 on 1x4x4 give 3x2x2: 4 points x 27 weights = 108 MACs and 30 parameters; the linear
# has 12 x 2 = 24 MACs and 26 parameters: 132 MACs, 56 parameters.
# Memory: 12 bytes x (16 + 12 + 2 values) x 10 images + 16 bytes x 56 = 4496.
NETWORK = LayerList(
    input_shape=Shape(channels=1, height=4, width=4),
    layers=(Conv2d(inputs=(-1,), out_channels=3, kernel_size=3), Linear(inputs=(0,), out_features=2)),
)
NONE = {"max_macs": None, "max_params": None, "max_training_memory_bytes": None}


@pytest.mark.parametrize(
    ("name", "need"), [("max_macs", 132), ("max_params", 56), ("max_training_memory_bytes", 4496)]
)
def test_a_network_may_reach_each_limit_and_not_exceed_it(name, need):
    assert over_limit(NETWORK, TrainingLimits(**NONE | {name: need}), batch_size=10) is None
    excess = over_limit(NETWORK, TrainingLimits(**NONE | {name: need - 1}), batch_size=10)
    assert excess == f"needs {need:,}, {name} is {need - 1:,}"


def test_no_limit_lets_everything_pass():
    assert over_limit(NETWORK, TrainingLimits(**NONE), batch_size=10**9) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("latency_ns", "costs .*s, max_latency_ns is .*s"),
        ("energy_nj", "costs .*J, max_energy_nj is .*J"),
        ("area_um2", "costs .* mm2, max_area_um2 is .* mm2"),
        ("power_w", "costs .*W, max_power_w is .*W"),
        ("average_power_w", "costs .* mW, max_average_power_w is .* mW"),
        ("tiles", "costs 7 tiles, max_tiles is 6 tiles"),
    ],
)
def test_a_cost_may_reach_each_limit_and_not_exceed_it(world, make_config, name, told):
    config = make_config()
    network = candidate_layers(config.space.candidate_at(0), config.dataset.input_shape, 10)
    cost = world.cost(network)
    value = getattr(cost, name)
    assert over_hardware_limit(cost, HardwareLimits(**{f"max_{name}": value})) is None
    below = value - 1 if name == "tiles" else value * 0.99
    excess = over_hardware_limit(cost, HardwareLimits(**{f"max_{name}": below}))
    assert re.fullmatch(told, excess)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_lets_nothing_pass_is_refused_by_its_name(value):
    with pytest.raises(InvalidRequest, match=r"hardware_limits\.max_energy_nj: got .*, wanted a number"):
        HardwareLimits(max_energy_nj=value)
