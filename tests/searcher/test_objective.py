from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.candidate import candidate_layers
from services.common.errors import InvalidRequest, TrainingFailed
from services.common.layers import macs, params
from services.searcher.expression import QUANTITIES
from services.searcher.objective import FRONT, PAPER, measures, parse_objective
from services.searcher.ranking import fitness_of

VALUES = {
    "accuracy": 0.9, "latency": 2.0, "energy": 4.0, "area": 50.0, "average_power": 2.0,
    "tiles": 10.0, "params": 1000.0, "macs": 2000.0,
}  # fmt: skip


@pytest.fixture
def candidate(make_config):
    return make_config().space.candidate_at(0)


@pytest.fixture
def network(candidate, make_config):
    data = make_config().dataset
    return candidate_layers(candidate, data.input_shape, data.classes)


@pytest.fixture
def cost(world, network):
    return replace(world.cost(network), latency_ns=2e6, energy_nj=4e3, area_um2=50e6, tiles=10)


def test_the_papers_fitness_is_accuracy_over_milliseconds_or_microjoules(make_config, candidate, cost):
    # 0.9 at 2 ms and 4 uJ
    for objective, fitness in zip(PAPER, (0.9, 0.45, 0.225), strict=True):
        got = fitness_of(make_config(objective=objective), candidate, cost, 0.9)
        assert got == pytest.approx(fitness)


def test_quantities_are_measured_in_the_units_of_objectives(network, cost):
    got = measures(tuple(QUANTITIES), 0.9, cost, lambda: network)
    assert got == pytest.approx(VALUES | {"params": params(network), "macs": macs(network)})
    assert got["average_power"] == pytest.approx(got["energy"] / got["latency"])  # mW = uJ / ms


@pytest.mark.parametrize(
    ("text", "written", "unit", "value"),
    [
        (" Accuracy / LATENCY ", "accuracy/latency", "1/ms", 0.45),
        ("accuracy/(latency*energy)", "accuracy/(latency*energy)", "1/(ms uJ)", 0.1125),
        ("accuracy / average_power", "accuracy/average_power", "ms/uJ", 0.45),
        ("accuracy - 0.1 * latency / 500us", "accuracy-0.1*latency/(500*us)", "", 0.5),
        ("accuracy - max(0, energy/2uJ - 1)", "accuracy-max(0,energy/(2*uJ)-1)", "", -0.1),
        ("accuracy**2 / sqrt(area)", "accuracy**2/sqrt(area)", "1/mm2^1/2", 0.81 / 50**0.5),
        ("log(accuracy / 0.9) - tiles*1e-3", "log(accuracy/0.9)-tiles*0.001", "", -0.01),
        ("-(1 - accuracy) * params / macs", "-(1-accuracy)*params/macs", "", -0.05),
        ("accuracy*1.5mW/average_power", "accuracy*(1.5*mW)/average_power", "", 0.675),
    ],
)
def test_an_expression_is_computed_in_its_unit_and_always_written_alike(text, written, unit, value):
    objective = parse_objective(text)
    assert (objective.text, objective.unit) == (written, unit)
    assert objective.fitness(VALUES) == pytest.approx(value)
    assert parse_objective(written) == objective


def test_a_front_minimises_every_quantity_but_accuracy_and_ranks_by_accuracy_alone():
    front = parse_objective("Pareto(Accuracy, energy, tiles)")
    assert front.text == "pareto(accuracy,energy,tiles)"
    assert front.uses == ("accuracy", "energy", "tiles")
    assert front.point(VALUES) == (4.0, 10.0, -0.9)
    assert front.fitness(VALUES) == 0.9
    assert parse_objective(FRONT).point(VALUES) == (2.0, 4.0, -0.9)
    assert parse_objective("accuracy").point(VALUES) == (-0.9,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accuracy/latancy", r"did you mean latency\?"),
        ("accuracy + latency", r"accuracy \(a number\) and latency \(ms\); add only what has the same unit"),
        ("min(accuracy, energy)", "compare only what has the same unit"),
        ("accuracy * log(latency)", r"log\(latency / \(1 ms\)\)"),
        ("accuracy**latency", "powers that are plain numbers"),
        ("accuracy**2**9**9**9", "powers in halves from -8 to 8"),
        ("energy", "without it nothing needs training"),
        ("pareto(accuracy)", "one or more other quantities"),
        ("pareto(accuracy, accuracy)", "each once"),
        ("pareto(accuracy, latancy)", r"did you mean latency\?"),
        ("accuracy if latency else 1", "and not 'accuracy if latency else 1'"),
        ("__import__('os').system('true')", "and not"),
        ("accuracy.__class__", "and not"),
        ("(lambda: 1)()", "and not"),
        ("accuracy, latency", "and not"),
        ("exp(accuracy)", "to be min, max, log or sqrt"),
        ("accuracy * 1e400", "numbers below 1e300"),
        ("accuracy /", "an expression such as"),
        ("(" * 150, "an expression such as"),
        ("accuracy" * 100, "at most 200 characters"),
        ("", "an expression such as"),
    ],
)
def test_what_is_no_objective_is_refused_with_what_is_wrong(text, told):
    with pytest.raises(InvalidRequest, match=f"(?s)objective: got.*{told}"):
        parse_objective(text)


@given(st.text("accurylten/*+-()1.pow ms", max_size=40) | st.text(max_size=40))
def test_any_text_is_an_objective_or_refused(text):
    with suppress(InvalidRequest):
        objective = parse_objective(text)
        assert parse_objective(objective.text) == objective


def test_where_an_objective_has_no_value_the_trial_fails_and_says_where():
    objective = parse_objective("log(accuracy - 0.9) / latency")
    told = r"log\(accuracy-0\.9\)/latency has no value at accuracy 0\.9, latency 2"
    with pytest.raises(TrainingFailed, match=told):
        objective.fitness(VALUES)
