import numpy as np
import pytest

from verl_dots.step import Group, Origin, Step, columns, difficulty, effective, effective_share, mean_reward, outcomes


@pytest.mark.parametrize(
    ("rewards", "wanted"),
    [
        ([0, 1, 0, 0], True), ([0.25, 0.5], True), ([0.0] * 8, False), ([1.0] * 8, False),
        # The mean lies between 0 and 1, yet every advantage is 0.
        ([0.5] * 8, False), ([0.3], False), ([-1.0, -1.0], False), (np.full(8, 0.1, dtype=np.float32), False),
    ],
)  # fmt: skip
def test_a_group_is_effective_if_its_rewards_differ(rewards, wanted):
    assert effective(rewards) is wanted
    assert Group("a", tuple(rewards)).effective is wanted


def test_a_group_has_rewards():
    with pytest.raises(ValueError, match="without rollouts"):
        effective([])


def test_the_share_of_effective_groups_by_hand():
    # 1 - 2 / 2^8; 2 tries differ with 2 p (1 - p); of 3 at 1/2 all are alike in 2 of 8 cases; one differs from nothing.
    assert effective_share(np.array([0.5]), 8) == pytest.approx([0.9921875])
    assert effective_share(np.array([0.25, 0.0, 1.0]), 2) == pytest.approx([0.375, 0.0, 0.0])
    assert effective_share(np.array([0.5]), 3) == pytest.approx([0.75])
    assert effective_share(np.array([0.3]), 1) == pytest.approx([0.0])
    with pytest.raises(ValueError, match="0 tries"):
        effective_share(np.array([0.5]), 0)


def test_what_a_step_has_sampled_and_what_is_new_to_training():
    assert [origin for origin in Origin if origin.own] == [Origin.FRESH, Origin.REFERENCE]
    assert [origin for origin in Origin if not origin.new] == [Origin.REPLAYED]
    groups = {origin.value: Group(origin.value, (0.0,), origin) for origin in Origin}
    step = Step(1, groups=groups, dropped=[Group("dropped", (0.0,))])
    assert [group.uid for group in step.new_in_batch] == ["fresh", "reference", "cached"]
    assert [group.uid for group in step.new] == ["fresh", "reference", "cached", "dropped"]


def test_difficulty_falls_from_1_to_0_over_the_reward_range():
    assert difficulty(0.25, (0.0, 1.0)) == 0.75
    assert difficulty(-1.0, (-1.0, 3.0)) == 1.0 and difficulty(2.0, (-1.0, 3.0)) == 0.25
    # Rounding alone is cut off.
    assert difficulty(1 + 1e-7, (0.0, 1.0)) == 0.0 and difficulty(-1e-7, (0.0, 1.0)) == 1.0
    for reward in (1.1, -0.1):
        with pytest.raises(ValueError, match=rf"group x: mean reward {reward} is outside dots.reward_range=\[0.0, 1.0"):
            difficulty(reward, (0.0, 1.0), "group x")


def test_columns_are_question_mean_reward_and_size():
    columns_N = columns([Group("a", (0.0, 1.0, 1.0, 1.0), question=7), Group("b", (0.5, 0.0))])
    assert [column_N.tolist() for column_N in columns_N] == [[7, -1], [0.75, 0.25], [4, 2]]
    assert columns_N[0].dtype == columns_N[2].dtype == np.int64
    assert [len(column_N) for column_N in columns([])] == [0, 0, 0]


def test_each_question_counts_once_in_a_mean_reward_whatever_its_rollouts():
    # 12 rollouts, 3 of them right, and 4, of which 3 are: 0.25 and 0.75. Over all rollouts it would be 6 / 16.
    hard, easy = Group("a", (1.0,) * 3 + (0.0,) * 9), Group("b", (1.0,) * 3 + (0.0,))
    assert mean_reward([hard, easy]) == 0.5
    assert outcomes([hard, easy], (0.0, 1.0))["training/reward"] == 0.5
    with pytest.raises(ValueError, match="no groups"):
        mean_reward([])


def test_what_stands_for_a_mean_reward_counts_in_the_steps_and_in_no_other():
    whole, stopped = Group("whole", (1.0, 0.0)), Group("stopped", (1.0, 1.0))
    step = Step(1, groups={"whole": whole}, dropped=[stopped], unbiased={"whole": 0.25})
    assert step.mean_reward == (0.25 + 1) / 2 and mean_reward(step.new) == (0.5 + 1) / 2
    assert outcomes(step.new_in_batch, (0.0, 1.0))["training/reward"] == 0.5
    with pytest.raises(ValueError, match="no groups"):
        _ = Step(1).mean_reward


def test_rewards_in_single_precision_are_still_the_greatest():
    found = outcomes([Group("a", (0.8999999761581421,) * 2)], (0.0, 0.9))
    assert found["training/all_right_groups"] == 1


def test_outcomes_are_shares_of_the_groups():
    rewards = [(0.0, 1.0), (0.0, 0.0), (-1.0, 0.0), (1.0, 1.0), (1.0, 2.0), (0.5, 0.5), (0.0, 0.5), (0.0, 0.0)]
    found = outcomes([Group(str(place), of) for place, of in enumerate(rewards)], (0.0, 1.0))
    # Rewards beyond the range count as its ends: 3 all wrong, 2 all right; 4 of 8 differ.
    assert found == {
        "training/reward": 3.25 / 8,  # 0.5, 0, -0.5, 1, 1.5, 0.5, 0.25 and 0
        "training/effective_groups": 4 / 8,
        "training/all_wrong_groups": 3 / 8,
        "training/all_right_groups": 2 / 8,
    }
    assert outcomes([], (0.0, 1.0)) == {}


def test_parts_of_a_step_are_timed_together_even_if_they_fail(monkeypatch):
    clock = iter([10.0, 12.0, 20.0, 20.5])
    monkeypatch.setattr("verl_dots.step.time.perf_counter", lambda: next(clock))
    step = Step(3)
    with step.timed("part"):
        pass
    with pytest.raises(KeyError), step.timed("part"):
        raise KeyError
    assert step.timing == {"part": 2.5}


def test_names_sort_as_they_are_numbered_and_hold_no_underscore():
    step = Step(12)
    names = [step.name("prompt", number) for number in (0, 9, 10, 111)]
    assert names[0] == "step0000012-prompt000000" and names == sorted(names) and "_" not in "".join(names)
