import math

import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.adarft.state import Target, TargetCurriculum
from verl_dots.state import load_state, save_state

DIFFICULTY = np.arange(101.0)  # of question 0 .. 100


def settings(**changes):
    return AdaRFTConfig(**{"enable": True, **changes})


def curriculum(fresh=4, seed=1, steps=10, **changes):
    return TargetCurriculum(Target(settings(**changes), steps), DIFFICULTY, fresh, np.random.default_rng(seed))


def test_the_target_moves_after_every_step_by_the_papers_rule():
    target = Target(settings(), steps=100)
    assert target.value == 0
    target.follow(0.75, 1)
    assert target.value == pytest.approx(50 * math.tanh(0.5))
    target.follow(1.0, 2)
    assert target.value == pytest.approx(50 * math.tanh(0.5) + 50 * math.tanh(1.0))
    target.follow(0.0, 3)
    assert target.value == pytest.approx(50 * math.tanh(0.5))


def test_damping_follows_a_moving_average():
    target = Target(settings(damping=0.5, initial=50.0), steps=100)
    target.follow(0.5, 1)
    assert target.value == 50
    target.follow(1.0, 2)  # average 0.75
    assert target.value == pytest.approx(50 + 50 * math.tanh(0.5))


def test_a_schedule_rises_evenly_to_the_greatest_difficulty():
    target = Target(settings(follow="schedule", initial=20.0), steps=5)
    values = [target.value]
    for step in range(1, 6):
        target.follow(0.0, step)
        values.append(target.value)
    assert values == pytest.approx([20, 40, 60, 80, 100, 100])


def test_questions_follow_the_target():
    one = curriculum()
    assert sorted(one.planned()) == [0, 1, 2, 3]
    one.target.value = 50.2
    assert sorted(one.planned()) == [49, 50, 51, 52]
    assert sorted(one.planned()) == [49, 50, 51, 52]  # the paper repeats them
    assert sorted(one.top_up(2, {49, 50, 51, 52})) == [48, 53] and len(one.top_up(500, range(90))) == 11


def test_with_coverage_the_neighbourhood_is_seen_before_a_question_comes_again():
    one = curriculum(initial=50.0, coverage=5.0)
    seen = [question for _ in range(2) for question in one.planned()]
    assert len(set(seen)) == 8 and all(abs(question - 50) <= 5 for question in seen)
    assert one.covered == pytest.approx(8 / 101)
    third = one.planned()  # the last three of 45 .. 55, and one again
    assert set(range(45, 56)) <= {*seen, *third.tolist()}


def test_the_filter_baseline_draws_uniformly_within_its_bounds():
    one = curriculum(fresh=7, follow="nothing", within=(10.0, 30.0))
    epoch = [one.planned() for _ in range(3)]
    assert sorted(np.concatenate(epoch)) == list(range(10, 31))  # 21 questions, each once
    counts = np.bincount(np.concatenate([one.planned() for _ in range(300)]), minlength=101)
    assert (counts[10:31] == 100).all() and counts.sum() == 2100
    with pytest.raises(ValueError, match=r"3 of 101 questions have a difficulty within dots.adarft.within"):
        curriculum(within=(10.0, 12.0))


def test_an_epoch_that_ends_in_a_step_repeats_nothing_in_it():
    one = curriculum(fresh=8, follow="nothing", within=(1.0, 10.0))
    for _ in range(50):
        batch = one.planned()
        assert len(set(batch)) == 8
        assert not set(one.top_up(2, batch.tolist())) & set(batch)


@pytest.mark.parametrize("changes", [{}, {"coverage": 9.0, "initial": 30.0}, {"follow": "nothing"}])
def test_a_restored_curriculum_goes_on_the_same(tmp_path, changes):
    whole, restored = curriculum(**changes), curriculum(seed=99, **changes)
    for step in (1, 2):
        whole.planned()
        whole.target.follow(0.6, step)
    save_state(tmp_path / "state", "test", {"it": whole.state_dict(), "target": whole.target.state_dict()})
    state = load_state(tmp_path / "state", "test")
    restored.load_state_dict(state["it"])
    restored.target.load_state_dict(state["target"])
    for step in (3, 4):
        assert restored.planned().tolist() == whole.planned().tolist()
        for one in (whole, restored):
            one.target.follow(0.55, step)
    assert restored.target.value == whole.target.value
    with refused("fresh questions of a step", "other run", "has 4", "has 5"):
        curriculum(fresh=5, **changes).load_state_dict(state["it"])
