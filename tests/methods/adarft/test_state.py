import math

import numpy as np
import pytest

from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.adarft.state import Target, TargetCurriculum

DIFFICULTY = np.arange(101.0)  # of question 0 .. 100


def settings(**changes):
    return AdaRFTConfig(**{"enable": True, **changes})


def curriculum(fresh=4, **changes):
    return TargetCurriculum(Target(settings(**changes), 10), DIFFICULTY, fresh, np.random.default_rng(1))


UP = 50 * math.tanh(0.5)  # by which a reward of 0.75 moves the target


@pytest.mark.parametrize(
    ("changes", "rewards", "targets"),
    [
        ({}, (0.75, 1.0, 0.0), (UP, UP + 50 * math.tanh(1.0), UP)),
        ({"damping": 0.5, "initial": 50.0}, (0.5, 1.0), (50, 50 + UP)),  # an average of 0.75
        ({"follow": "schedule", "initial": 20.0}, (0.0,) * 5, (40, 60, 80, 100, 100)),
    ],
    ids=["reward", "moving average", "schedule"],
)
def test_the_target_after_each_of_five_steps(changes, rewards, targets):
    target, found = Target(settings(**changes), steps=5), []
    assert target.value == changes.get("initial", 0)
    for step, reward in enumerate(rewards, start=1):
        target.follow(reward, step)
        found.append(target.value)
    assert found == pytest.approx(targets)


def test_questions_follow_the_target():
    one = curriculum()
    assert sorted(one.planned()) == [0, 1, 2, 3]
    one.target.value = 50.2
    assert sorted(one.planned()) == [49, 50, 51, 52]
    assert len(one.top_up(500, range(90))) == 11  # all that there are


def test_the_filter_baseline_draws_uniformly_within_its_bounds():
    one = curriculum(fresh=7, follow="nothing", within=(10.0, 30.0))
    epoch = [one.planned() for _ in range(3)]
    assert sorted(np.concatenate(epoch)) == list(range(10, 31))  # 21 questions, each once
    counts = np.bincount(np.concatenate([one.planned() for _ in range(300)]), minlength=101)
    assert (counts[10:31] == 100).all() and counts.sum() == 2100


def test_all_that_may_be_chosen_are_covered_once_they_had_their_turn():
    one = curriculum(fresh=3, within=(0.0, 5.0), coverage=10.0)
    assert one.covered == 0
    assert sorted(one.planned().tolist()) == [0, 1, 2] and one.covered == 0.5


def test_an_epoch_that_ends_in_a_step_repeats_nothing_in_it():
    one = curriculum(fresh=8, follow="nothing", within=(1.0, 10.0))
    for _ in range(50):
        batch = one.planned()
        assert len(set(batch)) == 8
        assert not set(one.top_up(2, batch.tolist())) & set(batch)


def test_questions_that_a_step_excludes_keep_their_turn():
    one = curriculum(fresh=4, follow="nothing", within=(1.0, 12.0))
    got = []
    for _ in range(9):  # three epochs of 12
        planned = one.planned().tolist()
        assert len(set(planned)) == 4
        got += planned
        assert one.top_up(0, {1, 2, 3, *planned}).tolist() == []  # as replay asks with nothing to fill
    assert sorted(got) == sorted([*range(1, 13)] * 3)
    # Excluded for a whole epoch, they have their turn of it later.
    one = curriculum(fresh=2, follow="nothing", within=(1.0, 4.0))
    early = [question for _ in range(3) for question in one.top_up(1, {3, 4}).tolist()]
    late = [question for _ in range(5) for question in one.top_up(1, ()).tolist()]
    assert sorted(early + late) == [1, 1, 2, 2, 3, 3, 4, 4]
