from dataclasses import replace

import pytest

from services.common.candidate import candidate_layers
from services.common.errors import InvalidRequest
from services.searcher.objective import fitness, parse_objective
from services.searcher.types import Objective


@pytest.fixture
def cost(world, make_config):
    config = make_config()
    network = candidate_layers(config.space.candidate_at(0), config.dataset.input_shape, 10)
    return replace(world.cost(network), latency_ns=2e6, energy_nj=4e3)


def test_fitness_is_accuracy_over_milliseconds_or_microjoules(cost):
    # 0.9 at 2 ms and 4 uJ
    assert fitness(Objective.ACCURACY, 0.9, cost) == 0.9
    assert fitness(Objective.ACCURACY_PER_LATENCY, 0.9, cost) == pytest.approx(0.45)
    assert fitness(Objective.ACCURACY_PER_ENERGY, 0.9, cost) == pytest.approx(0.225)


@pytest.mark.parametrize("objective", Objective)
def test_every_objective_is_read_from_its_own_name(objective):
    assert parse_objective(f" {str(objective).upper().replace('/', ' / ')} ") is objective


def test_an_unknown_objective_is_answered_with_the_one_probably_meant():
    with pytest.raises(InvalidRequest, match=r"objective: .*did you mean accuracy/latency\?"):
        parse_objective("accuracy/latancy")
