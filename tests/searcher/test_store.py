import platform
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from threading import Barrier

import numpy as np
import pytest

import services
from services.common.candidate import candidate_layers
from services.common.errors import InvalidRequest, NotFound, StudyConflict
from services.common.network_json import network_key
from services.hw_oracle.types import (
    AreaBreakdown,
    EnergyBreakdown,
    LatencyBreakdown,
    LayerCost,
    PowerBreakdown,
    chip_hash,
)
from services.searcher.loop import run_search
from services.searcher.store import Store
from services.searcher.types import Proposal, StudyState, Trial, TrialState, Versions

LAYER = LayerCost(
    kind="conv2d", pes_across=1, pes_down=1, pes=1, tiles=1, first_tile=0, pes_per_tile=1, crossbars=2,
    rows_used=9, columns_used=8, groups_used=1, merge_distance_hops=0.0, transfer_distance_hops=1.0,
    begin_ns=0.0, finish_ns=0.1 + 0.2, occupancy_frac=0.5, area_um2=1.0, power_w=1.0, energy_nj=1.0,
    latency=LatencyBreakdown(), area=AreaBreakdown(), power=PowerBreakdown(), energy=EnergyBreakdown(),
)  # fmt: skip


@pytest.fixture
def where(each_database):
    return each_database


@pytest.fixture
def study(store, make_config):
    return store.open_study(make_config(), 3)


@pytest.fixture
def trial(world, study):
    candidate = study.config.space.candidate_at(100)
    network = candidate_layers(candidate, study.config.dataset.input_shape, 10)
    return Trial(
        number=0,
        candidate=candidate,
        network_key=network_key(network),
        state=TrialState.RUNNING,
        proposal=Proposal.STRATEGY,
        attempt=2,
        infeasible_proposals=1,
        duplicate_proposals=1,
        cost=replace(world.cost(network), layers=(LAYER, LAYER)),
        ask_s=0.1,
        started_at=1.7e9 + 0.1,
    )


def test_a_study_and_its_trial_are_read_as_they_were_written(store, study, trial):
    store.insert_trial(study, trial)
    assert store.study("test") == store.study(study.study_id) == study
    assert store.trial(study, 0) == trial
    assert store.trials(study) == (replace(trial, cost=replace(trial.cost, layers=())),)


def test_what_was_committed_is_there_for_the_next_process(store, where, study, trial):
    store.insert_trial(study, trial)
    store.close()
    with Store(where) as again:
        assert again.studies() == (study,)
        assert again.trial(study, 0) == trial


def test_trials_are_read_in_the_order_of_their_finish(store, sql, make_config, world):
    study = store.open_study(make_config(), 4)
    run_search(store, study, cost=world.cost, trainer=world)
    sql("UPDATE trials SET finish_order = (3 - number) + 100")
    sql("UPDATE trials SET finish_order = finish_order - 100")
    assert [t.number for t in store.finished_trials(study)] == [3, 2, 1, 0]
    assert [t.number for t in store.finished_trials(study, cursor=3)] == [0]


def test_a_finished_trial_is_never_finished_again(store, study, trial):
    store.insert_trial(study, trial)
    store.finish_trial(study, replace(trial, state=TrialState.FAILED, failure="diverged"))
    with pytest.raises(StudyConflict, match="finished by another process"):
        store.finish_trial(study, replace(trial, state=TrialState.FAILED, failure="again"))
    assert store.trial(study, 0).failure == "diverged"


def test_a_second_process_on_one_study_is_told_to_stop(store, study, trial):
    store.insert_trial(study, trial)
    with pytest.raises(StudyConflict, match="another process runs this study"):
        store.insert_trial(study, trial)


def test_numpy_scalars_do_not_reach_the_file(store, study, trial):
    with pytest.raises(TypeError, match=r"numpy\.int64"):
        store.insert_trial(study, replace(trial, attempt=np.int64(3)))
    assert store.trials(study) == ()


def test_the_same_settings_reopen_the_study_with_the_trials_wanted_now(store, make_config, study):
    store.set_state(study.study_id, StudyState.FAILED, failure="oracle lost")
    again = store.open_study(make_config(chip_name="a file of another name"), 8)
    assert (again.study_id, again.trials_wanted) == (study.study_id, 8)
    assert (again.state, again.failure) == (StudyState.RUNNING, "")


def test_other_settings_are_a_conflict_that_lists_each_difference(store, make_config, study):
    with pytest.raises(StudyConflict, match="--study NAME") as caught:
        store.open_study(make_config(seed=7, objective="accuracy"), 3)
    assert [str(v) for v in caught.value.violations] == [
        "objective: stored 'accuracy/latency', asked 'accuracy'",
        "seed: stored 0, asked 7",
    ]


def test_a_study_that_ended_without_a_trial_takes_other_settings(store, make_config, study):
    store.set_state(study.study_id, StudyState.FAILED, failure="limits: no candidate is left")
    store.release(study.study_id)
    mended = make_config(seed=study.config.seed + 1)
    again = store.open_study(mended, 5)
    assert (again.study_id, again.config, again.failure) == (study.study_id, mended, "")


def test_a_difference_deep_in_the_chip_is_named_by_its_path(store, make_config, study):
    other = replace(study.config.chip, clock_mhz=250.0)
    with pytest.raises(StudyConflict, match=r"chip\.clock_mhz: stored 500\.0, asked 250\.0"):
        store.open_study(make_config(chip=other), 3)


def test_unknown_studies_and_trials_are_not_found(store, study):
    with pytest.raises(NotFound, match="no study 'nobody'"):
        store.study("nobody")
    with pytest.raises(NotFound, match="no trial 3"):
        store.trial(study, 3)


def test_a_study_wants_at_least_one_trial(store, make_config):
    with pytest.raises(InvalidRequest, match="trials: got 0"):
        store.open_study(make_config(), 0)


def test_counts_of_all_studies_take_one_query(store, make_config, world):
    run_search(store, store.open_study(make_config(), 3), cost=world.cost, trainer=world)
    store.open_study(make_config(name="empty"), 3)
    assert store.trial_counts() == {store.study("test").study_id: {TrialState.COMPLETE: 3}}


def test_a_trial_says_what_it_was_made_with(store, sql, make_config, world):
    study = store.open_study(make_config(seed=9), 1)
    run_search(store, study, cost=world.cost, trainer=world)
    trial = store.trial(study, 0)
    assert (trial.request_id, trial.seed) == (f"{study.study_id}-0", 9)
    assert trial.versions == Versions(
        imcnas=services.__version__,
        python=platform.python_version(),
        hyperopt=version("hyperopt"),
        cost_model="fake",
        torch="fake",
    )
    assert sql("SELECT chip_hash FROM trials") == [(chip_hash(study.config.chip),)]


def test_a_process_that_lost_its_study_cannot_write_to_it(where, store, sql, study, trial):
    store.insert_trial(study, trial)
    sql("UPDATE studies SET lease_until = 0, owner = 'elsewhere:1:x'")
    with Store(where) as thief:
        thief.acquire(study.study_id)
        with pytest.raises(StudyConflict, match="is being searched by process"):
            store.finish_trial(study, replace(trial, state=TrialState.FAILED, failure="too late"))
        with pytest.raises(StudyConflict, match="is being searched by process"):
            store.insert_trial(study, replace(trial, number=1, network_key="another"))
        thief.finish_trial(study, replace(trial, state=TrialState.FAILED, failure="its own"))
    assert [t.failure for t in store.trials(study)] == ["its own"]


def test_two_who_make_one_study_at_the_same_time_are_one_owner_and_one_refused(where, make_config):
    stores = [Store(where) for _ in range(4)]
    together = Barrier(len(stores))

    def make(store):
        together.wait()
        try:
            return store.open_study(make_config(), 3).study_id
        except StudyConflict as refused:
            return str(refused)

    with ThreadPoolExecutor(len(stores)) as pool:
        said = sorted(pool.map(make, stores), key=len)
    assert [stores[0].study("test").study_id] == said[:1]
    assert all("is being searched by process" in text for text in said[1:])
    for store in stores:
        store.close()
