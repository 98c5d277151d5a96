from dataclasses import replace
from random import Random

import pytest

from services.common.candidate import BlockType, candidate_layers, parse_blocks
from services.common.errors import ChipTooSmall
from services.common.layers import macs
from services.common.network_json import network_key
from services.common.space import SearchSpace, load_space
from services.searcher.propose import Proposer, SpaceExhausted, mutations, proposal_seed
from services.searcher.ranking import best_trial, fitness_of
from services.searcher.strategies import draw_blocks
from services.searcher.types import Proposal, Strategy, TrainingLimits, Trial, TrialState

# VGG on 1x2x2 has no pool, so it is the network of MVGG: 4 configurations, 2 networks.
TWINS = SearchSpace(
    block_types=(BlockType.VGG, BlockType.MVGG), kernel_counts=(4, 8), min_depth=1, max_depth=1
)


def network_of(config, candidate):
    return candidate_layers(candidate, config.dataset.input_shape, config.dataset.classes)


def complete(world, config, proposed, number, accuracy_frac=0.9):
    return Trial(
        number=number,
        candidate=proposed.candidate,
        network_key=proposed.network_key,
        state=TrialState.COMPLETE,
        proposal=proposed.proposal,
        attempt=proposed.attempt,
        infeasible_proposals=0,
        duplicate_proposals=0,
        cost=proposed.cost,
        fitness=fitness_of(config, proposed.candidate, proposed.cost, accuracy_frac),
    )


def history_of(world, config, size, seed=1):
    """Complete trials of different networks, drawn at random."""
    proposer = Proposer(replace(config, strategy=Strategy.RANDOM, seed=seed), world.cost)
    history = []
    for number in range(size):
        proposed = proposer.propose(history)
        history.append(complete(world, config, proposed, number, 0.5 + (number * 37 % 50) / 100))
    return history


@pytest.mark.parametrize("strategy", Strategy)
def test_the_same_study_and_trials_give_the_same_proposal(world, make_config, strategy):
    config = make_config(strategy=strategy)
    history = history_of(world, config, 12)
    first, second = (Proposer(config, world.cost).propose(history).candidate for _ in range(2))
    assert first == second


def test_another_seed_gives_other_proposals(world, make_config):
    found = {str(Proposer(make_config(seed=s), world.cost).propose([]).candidate) for s in range(8)}
    assert len(found) > 1


def test_what_was_asked_before_does_not_change_an_answer(world, make_config):
    config = make_config()
    history = history_of(world, config, 20)
    seasoned = Proposer(config, world.cost)
    for size in range(4, 20):
        seasoned.propose(history[:size])
    assert seasoned.propose(history).candidate == Proposer(config, world.cost).propose(history).candidate


def test_no_network_is_proposed_twice_even_under_another_name(world, make_config):
    shape = replace(make_config().dataset.input_shape, height=2, width=2)
    dataset = replace(make_config().dataset, input_shape=shape)
    config = make_config(dataset=dataset, space=TWINS, strategy=Strategy.RANDOM)
    proposer, history = Proposer(config, world.cost), []
    for number in range(2):
        history.append(complete(world, config, proposer.propose(history), number))
    assert {t.candidate.blocks[0].kernels for t in history} == {4, 8}
    with pytest.raises(SpaceExhausted, match="after 2 trials: all 4 configurations"):
        proposer.propose(history)


def test_candidates_over_a_limit_are_counted_and_never_proposed(world, make_config):
    limits = TrainingLimits(max_macs=250_000)
    config = make_config(limits=limits, strategy=Strategy.RANDOM)
    history, infeasible = [], 0
    proposer = Proposer(config, world.cost)
    for number in range(15):
        proposed = proposer.propose(history)
        infeasible += proposed.infeasible_proposals
        assert macs(network_of(config, proposed.candidate)) <= 250_000
        history.append(complete(world, config, proposed, number))
    assert infeasible > 0


def test_a_network_too_large_for_the_chip_is_infeasible(world, make_config):
    def cost(network):
        if len(network.layers) > 7:
            raise ChipTooSmall("needs 9 tiles")
        return world.cost(network)

    config = make_config(strategy=Strategy.RANDOM)
    proposer = Proposer(config, cost)
    for seed in range(5):
        history = history_of(world, config, 1, seed)
        assert len(network_of(config, proposer.propose(history).candidate).layers) <= 7


def test_a_strategy_out_of_attempts_is_replaced_by_a_neighbour_of_the_best(
    world, make_config, monkeypatch, few_attempts
):
    config = make_config()
    history = history_of(world, config, 6)
    proposer = Proposer(config, world.cost)
    stuck = history[0].candidate.blocks
    monkeypatch.setattr(proposer._asker, "ask", lambda history, seed, attempt: stuck)
    proposed = proposer.propose(history)
    assert (proposed.proposal, proposed.attempt) == (Proposal.MUTATION, few_attempts)
    assert proposed.duplicate_proposals >= few_attempts
    assert proposed.candidate.blocks in set(mutations(config.space, best_trial(history).candidate.blocks))


def test_without_a_best_it_is_replaced_by_a_draw(world, make_config, monkeypatch, few_attempts):
    config = make_config(limits=TrainingLimits(max_params=20_000))
    proposer = Proposer(config, world.cost)
    monkeypatch.setattr(
        proposer._asker, "ask", lambda history, seed, attempt: parse_blocks("MVGG32-MVGG32-MVGG32")
    )
    proposed = proposer.propose([])
    assert (proposed.proposal, proposed.infeasible_proposals >= few_attempts) == (Proposal.DRAW, True)


def test_a_large_space_without_a_feasible_candidate_is_given_up(world, make_config, monkeypatch):
    monkeypatch.setattr("services.searcher.propose.DRAWS", 20)
    config = make_config(space=load_space("paper"), limits=TrainingLimits(max_macs=1))
    with pytest.raises(SpaceExhausted, match=r"20 random draws .* max_macs is 1"):
        Proposer(config, world.cost).propose([])


def test_proposals_keep_within_the_last_untrained_network(world, make_config):
    # 792 networks at 8x8: leave one of them untrained, and TPE or its replacements must find that one
    config = make_config()
    history, keys = [], set()
    cost = world.cost(network_of(config, config.space.candidate_at(0)))
    for index in range(config.space.count()):
        candidate = config.space.candidate_at(index)
        key = network_key(network_of(config, candidate))
        if key not in keys:
            keys.add(key)
            trial = Trial(
                number=0, candidate=candidate, network_key=key, state=TrialState.FAILED, cost=cost,
                proposal=Proposal.STRATEGY, attempt=0, infeasible_proposals=0, duplicate_proposals=0,
            )  # fmt: skip
            history.append(trial)
    assert len(history) == 792
    missing = history.pop(400)
    history = [replace(trial, number=number) for number, trial in enumerate(history)]
    assert Proposer(config, world.cost).propose(history).network_key == missing.network_key


def test_mutations_are_every_neighbour_once():
    space = load_space("small")
    blocks = parse_blocks("VGG8-RES16")
    found = list(mutations(space, blocks))
    # 2 places x 8 other blocks, 2 removals, 3 gaps x 9 insertions; inserting a block before or after its
    # like gives the same: one repetition for each of the 2 blocks
    assert len(found) == 2 * 8 + 2 + 3 * 9
    assert len(set(found)) == len(found) - 2
    for neighbour in found:
        space.check(space.candidate(neighbour))


def test_a_space_of_one_depth_has_neighbours_of_that_depth_alone():
    assert list(mutations(TWINS, parse_blocks("VGG4"))) == [
        parse_blocks("VGG8"), parse_blocks("MVGG4"), parse_blocks("MVGG8"),
    ]  # fmt: skip


def test_random_draws_take_every_depth_equally_often():
    rng, space = Random(0), load_space("paper")
    depths = [len(draw_blocks(space, rng)) for _ in range(7000)]
    # 1000 of each expected; the binomial's standard deviation is 29
    assert all(abs(depths.count(d) - 1000) < 5 * 29 for d in range(1, 8))


def test_proposal_seeds_differ_between_trials_and_attempts():
    seeds = {proposal_seed(s, n, a) for s in range(3) for n in range(30) for a in range(30)}
    assert len(seeds) == 3 * 30 * 30
