from dataclasses import fields, replace

import numpy as np
import pytest

from verl_dots.config import DotsConfig
from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.e3.settings import BudgetConfig, TemperatureConfig
from verl_dots.methods.mopps.settings import MoPPSConfig
from verl_dots.methods.replay.settings import ReplayConfig
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.simulation.pool import Measured
from verl_dots.simulation.prediction import Quality
from verl_dots.simulation.response import Learning
from verl_dots.simulation.run import Setting, SimulatedRun, Trace, World, simulate

STILL = Learning(rate=1e-9)
EXACT = 1e9  # tries
SELECTION = SelectionConfig(enable=True, references=16, reuse_references=False, rho_floor=-1)


def world(success, learning=STILL, quality=None, tries=EXACT, **changes):
    success = np.asarray(success, dtype=float)
    return World(
        Measured(success, np.full(len(success), tries), (1.0, 1.0)), learning, quality or Quality(1), **changes
    )


def mixed(questions=1000, seed=0):
    return np.random.default_rng(seed).beta(0.4, 0.6, questions)


def setting(batch_size=20, **groups):
    return Setting("it", {}, DotsConfig(**groups), batch_size, 8)


def same(one: Trace, other: Trace) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(Trace))


def test_perfect_predictions_at_one_half_give_the_greatest_share_of_effective_groups():
    """100 of 1,000 questions have p = 0.5, of which 1 - 2 / 2^8 = 0.9921875 groups are effective.

    4,000 groups: a standard deviation of 0.0014. Of the others, p = 0.02, 1 - 0.98^8 - 0.02^8 = 0.149 would be.
    """
    success = np.where(np.arange(1000) < 100, 0.5, 0.02)
    found = simulate(world(success), setting(selection=SELECTION), 200, 1)
    assert found.effective.mean() == pytest.approx(0.9921875, abs=3 * 0.0014)
    assert found.coverage[-1] <= 0.1
    uniform = simulate(world(success), setting(), 200, 1)
    # 0.1 * 0.9921875 + 0.9 * 0.14923
    assert uniform.effective.mean() == pytest.approx(0.23353, abs=3 * np.sqrt(0.2335 * 0.7665 / 4000))


def test_a_temperature_without_bounds_draws_uniformly():
    """Mean of 1 - p^8 - (1 - p)^8 over the pool, within 3 standard deviations of 6,000 groups."""
    success = mixed()
    found = simulate(world(success), setting(selection=replace(SELECTION, tau=1e9)), 300, 1)
    expected = np.mean(1 - success**8 - (1 - success) ** 8)
    assert found.effective.mean() == pytest.approx(expected, abs=3 * np.sqrt(expected * (1 - expected) / 6000))
    # A batch is without replacement: after 150 rounds of 40 questions a question was left out with 0.96^150 = 0.002.
    assert found.coverage[-1] > 0.99


def test_without_predictions_selection_finds_nothing():
    success = mixed()
    blind = simulate(world(success, quality=Quality(0.0)), setting(selection=SELECTION), 300, 1)
    expected = np.mean(1 - success**8 - (1 - success) ** 8)
    assert blind.effective.mean() == pytest.approx(expected, abs=0.05)
    good = simulate(world(success, quality=Quality(0.8)), setting(selection=SELECTION), 300, 1)
    assert good.effective.mean() > expected + 0.15


@pytest.mark.parametrize("target", [0.2, 0.8])
def test_alpha_is_the_difficulty_of_what_is_chosen(target):
    found = simulate(world(mixed(5000)), setting(selection=replace(SELECTION, alpha=target)), 50, 1)
    assert 1 - found.reward.mean() == pytest.approx(target, abs=0.04)


def test_by_effectiveness_is_as_good_as_by_difficulty_where_the_truth_is_known():
    by = replace(SELECTION, score="effectiveness")
    found = simulate(world(mixed(5000)), setting(selection=by), 50, 1)
    assert found.effective.mean() > 0.97


def test_the_cost_of_references():
    """16 references of 8 rollouts in each second step, and 20 questions of 8 in each."""
    found = simulate(world(mixed()), setting(selection=SELECTION), 4, 1)
    assert np.diff([0, *found.rollouts]).tolist() == [160 + 128, 160, 160 + 128, 160]


def test_reused_references_take_the_place_of_fresh_questions():
    success = np.full(1000, 0.5)
    found = simulate(world(success), setting(selection=replace(SELECTION, reuse_references=True)), 2, 3)
    # Nearly all 16 references are effective: 20 - 16 questions are rolled out beside them.
    assert found.rollouts[0] == pytest.approx(128 + 4 * 8, abs=2 * 8)
    assert found.rollouts[1] - found.rollouts[0] == 160


def test_bad_predictions_are_given_up():
    settings = replace(SELECTION, rho_floor=0.1, references=64)
    run = SimulatedRun(world(mixed(), quality=Quality(0.0)), setting(selection=settings), 40, 1)
    spent = [run.step(number)["rollouts"] for number in range(1, 41)]
    assert 0 < run.source.spent < 20 * 64 * 8 and spent[-1] == 40 * 160 + run.source.spent


def test_without_references_a_share_is_explored_and_nothing_more_is_spent():
    settings = SelectionConfig(enable=True, references=0, explore=0.25, mu=1)
    run = SimulatedRun(world(mixed(), quality=Quality(0.8)), setting(selection=settings), 60, 1)
    rows = [run.step(number) for number in range(1, 61)]
    assert rows[-1]["rollouts"] == 60 * 160 and run.source.explored == 5
    assert run.source.trust.pairs >= 32 and run.source.trust.rho > 0.3
    assert np.mean([row["effective"] for row in rows[20:]]) > np.mean([row["effective"] for row in rows[:1]])


def test_delta_one_is_no_replay_bit_for_bit():
    for source in ({}, {"selection": SELECTION}):
        without = simulate(world(mixed(), Learning(), Quality(0.7)), setting(**source), 30, 2)
        replayed = setting(**source, replay=ReplayConfig(enable=True, delta=1.0))
        assert same(without, simulate(world(mixed(), Learning(), Quality(0.7)), replayed, 30, 2))


def test_replay_fills_batches_with_recent_effective_groups():
    replay = ReplayConfig(enable=True, delta=0.5, capacity=10, overlap="buffer", fresh_steps=2)
    found = simulate(world(np.full(1000, 0.5)), setting(replay=replay), 20, 1)
    assert found.replayed.tolist() == [0, 0, *[0.5] * 18]
    # Nearly every fresh group is kept and pushes the 10 of the step before out: what is replayed is 1 step old, or 2.
    assert found.age[3:].min() >= 1 and found.age[3:].max() < 1.5
    assert np.diff(found.rollouts)[2:].tolist() == [80] * 17


def test_old_groups_expire():
    """Only the first step has effective groups; they may be replayed for 3 steps."""
    run = SimulatedRun(
        world(np.full(1000, 0.5)), setting(replay=ReplayConfig(enable=True, max_age=3, overlap="batch")), 9, 1
    )
    rows = [run.step(1)]
    run.policy.difficulty_P[:] = -12
    rows += [run.step(number) for number in range(2, 7)]
    assert [row["replayed"] > 0 for row in rows] == [False, True, True, True, False, False]


def test_a_replayed_group_teaches_what_it_is_said_to():
    replay = ReplayConfig(enable=True, delta=0.5, capacity=512)
    whole, none = (
        simulate(world(mixed(), Learning(replayed=share)), setting(replay=replay), 30, 1).signal[5:].mean()
        for share in (1.0, 0.0)
    )
    assert none < 0.8 * whole


def test_adarft_takes_what_is_nearest_to_a_target_that_follows_the_reward():
    success = np.linspace(0, 1, 1001)
    adarft = AdaRFTConfig(enable=True, initial=20.0, eta=10.0)
    run = SimulatedRun(world(success), setting(adarft=adarft), 50, 1)
    # Difficulties in steps of 0.1 of 100: 20 is that of question 800, 18 others lie within 0.9, and one of two at 1.0.
    planned = sorted(run.source.plan(1, 1.0).tolist())
    assert planned in ([*range(790, 810)], [*range(791, 811)])
    rows = [run.step(number) for number in range(1, 51)]
    assert np.mean([row["reward"] for row in rows[30:]]) == pytest.approx(0.5, abs=0.05)


def test_mopps_learns_where_the_target_is():
    success = np.where(np.arange(400) < 100, 0.5, 0.01)
    found = simulate(world(success), setting(mopps=MoPPSConfig(enable=True)), 120, 1)
    assert found.effective[-20:].mean() > 0.8 > 0.5 > found.effective[:5].mean()


def test_the_budget_spends_n_rollouts_a_question_and_more_on_hard_ones():
    run = SimulatedRun(world(mixed(200)), setting(budget=BudgetConfig(enable=True)), 60, 1)
    rows = [run.step(number) for number in range(1, 61)]
    assert rows[-1]["rollouts"] == 60 * 160
    hard, easy = (np.flatnonzero(run._success_P < 0.05)[:10], np.flatnonzero(run._success_P > 0.95)[:10])
    sizes = run._sizes(np.concatenate([easy, hard]))
    assert sizes.sum() == 160 and sizes[:10].max() < sizes[10:].min()


def test_reused_references_do_not_steer_the_budget():
    """They are trained on where their rewards differ alone; a run leaves them out of the ranks and of the epochs."""
    settings = replace(SELECTION, references=64, reuse_references=True)
    run = SimulatedRun(world(np.full(400, 0.5)), setting(selection=settings, budget=BudgetConfig(enable=True)), 9, 1)
    counted = []
    for number in range(1, 5):
        before = run._rewards.seen.rollouts
        row = run.step(number)
        counted.append(run._rewards.seen.rollouts - before)
        assert row["rollouts"] == run._rewards.seen.rollouts + run.source.spent
    # The first batch of a round has 19 references of effective groups and one question of its own, the second none.
    assert counted == [8, 160, 8, 160]


def test_by_effectiveness_references_are_drawn_by_their_expected_share():
    """By their one outcome, 0 or 1, the effective ones would come before every other question, however rare that is."""
    success = np.where(np.arange(400) < 40, 0.5, 0.1)  # 99 % of their groups are effective, and 57 %
    by = replace(SELECTION, references=200, references_are_candidates=True, score="effectiveness", tau=0.0)
    run = SimulatedRun(world(success), setting(selection=by), 9, 1)
    planned = [*run.source.plan(1, 1.0), *run.source.plan(2, 1.0)]
    assert sorted(planned) == np.flatnonzero(run._success_P > 0.3).tolist()


def test_the_temperature_rises_as_the_entropy_falls():
    controlled = setting(temperature=TemperatureConfig(enable=True))
    found = simulate(world(mixed(), Learning(rate=5.0)), controlled, 60, 1)
    assert found.temperature[0] == 1.0 and (np.diff(found.temperature[2:]) > -1e-9).all()
    assert found.temperature[-1] > 1.05


def test_an_epoch_covers_every_question_once():
    found = simulate(world(mixed(200)), setting(), 20, 1)
    assert found.coverage == pytest.approx(np.minimum(np.arange(1, 21) / 10, 1))


def test_the_same_seed_is_the_same_run_and_another_is_not():
    what = setting(selection=replace(SELECTION, reuse_references=True), replay=ReplayConfig(enable=True))
    a, b, c = (simulate(world(mixed(), Learning(), Quality(0.7), 8), what, 20, seed) for seed in (1, 1, 2))
    assert same(a, b) and not same(a, c)


def test_more_signal_reaches_an_accuracy_sooner():
    fast = simulate(world(mixed(), Learning(), Quality(0.8)), setting(selection=SELECTION), 40, 1)
    slow = simulate(world(mixed(), Learning(), Quality(0.8)), setting(), 40, 1)
    assert fast.accuracy[-1] > slow.accuracy[-1] > slow.accuracy[0]
