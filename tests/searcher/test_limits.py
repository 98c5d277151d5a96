import pytest

from services.common.layers import Conv2d, LayerList, Linear, Shape
from services.searcher.limits import over_limit
from services.searcher.types import TrainingLimits

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
