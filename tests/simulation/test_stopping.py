"""Stopping early in a simulated step, against shares by hand and against the same step without it."""

import numpy as np
import pytest
from scipy.special import expit

from tests.simulation.test_run import SELECTION, mixed, same, setting, world
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.methods.stop_early.settings import StopEarlyConfig
from verl_dots.simulation.prediction import Quality
from verl_dots.simulation.response import Learning, Policy
from verl_dots.simulation.run import SimulatedRun, simulate
from verl_dots.simulation.stopping import Stopping

MANY = 40_000
ALL = StopEarlyConfig(enable=True, confidence=0.5, strength=1e-3, audit=0.0)  # whatever is alike stops


def rolled_out(settings, rate, predicted, seed=1):
    policy = Policy(np.full(MANY, -np.log(rate / (1 - rate))), Learning(), np.random.default_rng(seed))
    stopping = Stopping(settings, np.random.default_rng([seed, 1]))
    return stopping.roll_out(policy, np.arange(MANY), np.full(MANY, 8), 1.0, np.full(MANY, predicted))


def test_what_stops_and_what_of_it_stops_wrongly_is_what_binomials_say():
    """p = 1/2: 1/8 stop, 15/16 of these wrongly. 40,000 groups: deviations of 66 and 18."""
    parts = rolled_out(ALL, 0.5, 0.5)
    count = len(parts.stopped.questions_N)
    assert count == pytest.approx(MANY / 8, abs=4 * 66) and parts.saved == 4 * count
    assert parts.lost == pytest.approx(count * 15 / 16, abs=4 * 18)
    assert set(parts.stopped.rollouts_N) == {4} and set(parts.stopped.right_N) == {0, 4}
    assert set(parts.whole.rollouts_N) == {8}
    assert sorted([*parts.whole.questions_N, *parts.stopped.questions_N]) == list(range(MANY))
    # In a whole group the first four are not alike: 0 and 8 right do not occur.
    assert set(parts.whole.right_N) == set(range(1, 8))


def test_without_a_prediction_or_where_all_is_audited_nothing_stops():
    for settings, predicted in ((ALL, np.nan), (StopEarlyConfig(enable=True, audit=1.0), 0.5)):
        parts = rolled_out(settings, 0.5, predicted)
        assert not len(parts.stopped.questions_N) and parts.saved == parts.lost == 0


def test_a_share_of_what_could_stop_is_audited():
    alone = len(rolled_out(ALL, 0.5, 0.5).stopped.questions_N)
    audited = StopEarlyConfig(enable=True, confidence=0.5, strength=1e-3, audit=0.25)
    # The outcomes are the same; 3/4 of 5,000, with a deviation of 31.
    assert len(rolled_out(audited, 0.5, 0.5).stopped.questions_N) == pytest.approx(0.75 * alone, abs=4 * 31)


def test_a_prediction_that_contradicts_stops_nothing():
    right = StopEarlyConfig(enable=True, audit=0.0)  # of strength 4
    assert set(rolled_out(right, 0.5, 0.1).stopped.right_N) == {4}
    assert set(rolled_out(right, 0.5, 0.9).stopped.right_N) == {0}
    assert not len(rolled_out(right, 0.5, 0.5).stopped.questions_N)


def test_what_is_saved_is_spent_elsewhere_or_left():
    success = np.where(np.arange(2000) % 2, 0.999, 0.001)
    early = {"enable": True, "audit": 0.0}
    spent, left = (
        simulate(
            world(success),
            setting(40, selection=SELECTION, stop_early=StopEarlyConfig(**early, elsewhere=elsewhere)), 20, 1,
        )
        for elsewhere in (True, False)
    )  # fmt: skip
    # Nearly all of 40 groups stop after 4 of 8 rollouts: 160 are saved, for 20 further questions of 8.
    assert left.stopped.mean() > 0.95 and left.saved.mean() == pytest.approx(left.stopped.mean() / 2)
    references = 16 * 8 / 2  # of a step
    assert np.diff(left.rollouts).mean() == pytest.approx(160 + references, rel=0.1)
    assert np.diff(spent.rollouts).mean() == pytest.approx(320 + references, rel=0.1)


def test_a_run_that_stops_nothing_spends_what_a_run_without_it_does():
    where = world(mixed(), Learning(), Quality(0.7))
    audited = StopEarlyConfig(enable=True, audit=1.0)
    with_it = simulate(where, setting(selection=SELECTION, stop_early=audited), 20, 2)
    without = simulate(where, setting(selection=SELECTION), 20, 2)
    assert with_it.rollouts.tolist() == without.rollouts.tolist() and not with_it.stopped.any()
    assert same(with_it, simulate(where, setting(selection=SELECTION, stop_early=audited), 20, 2))


def test_sources_predict_what_a_run_has_predictions_of():
    run = SimulatedRun(world(mixed()), setting(mopps=MoPPSConfig(enable=True), stop_early=ALL), 4, 1)
    assert np.isnan(run.source.predicted(np.arange(1000))).all()  # a prior alone
    run.step(1)
    assert 20 <= np.isfinite(run.source.predicted(np.arange(1000))).sum() <= 30
    chosen = SimulatedRun(world(mixed()), setting(selection=SELECTION), 4, 1)
    assert np.isnan(chosen.source.predicted(np.arange(1000))).all()  # no round yet
    chosen.source.plan(1, 1.0)
    found = chosen.source.predicted(np.arange(1000))
    assert np.isnan(found).sum() == 16  # the references, which are measured
    known = np.flatnonzero(np.isfinite(found))
    true = 1 - expit(-chosen.policy.difficulty_P[known].astype(float))
    assert found[known] == pytest.approx(true, abs=1e-3)  # perfect predictions
    uniform = SimulatedRun(world(mixed()), setting(), 4, 1)
    assert np.isnan(uniform.source.predicted(np.arange(3))).all()
