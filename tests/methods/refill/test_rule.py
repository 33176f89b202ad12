import numpy as np
import pytest

from verl_dots.methods.refill.rule import stays


@pytest.mark.parametrize(
    ("rewards", "within", "wanted"),
    [
        # Without a band: 0 < right answers < G, and graded rewards that differ.
        ([0, 0, 0, 1], None, True), ([0, 0], None, False), ([1, 1, 1], None, False), ([0.5, 0.5], None, False),
        # 1, 2 and 9 of 10; 0.2 and 0.8 themselves stay, however they are rounded.
        ([1] + [0] * 9, (0.2, 0.8), False), ([1] * 2 + [0] * 8, (0.2, 0.8), True), ([1, 0, 0, 0, 0], (0.2, 0.8), True),
        ([1, 1, 1, 1, 0], (0.2, 0.8), True), ([1] * 9 + [0], (0.2, 0.8), False), ([0, 0], (0.2, 0.8), False),
        # A band alone does not ask whether rewards differ: [0, 1] keeps every group.
        ([0.5, 0.5], (0.2, 0.8), True), ([0, 0], (0, 1), True), ([1, 1], (0, 1), True),
        # One success rate alone.
        ([0, 1], (0.5, 0.5), True), ([0, 1, 1], (0.5, 0.5), False),
    ],
)  # fmt: skip
def test_a_group_stays_within_the_band(rewards, within, wanted):
    assert stays(rewards, within, (0.0, 1.0)) is wanted
    assert stays(np.array(rewards, dtype=np.float32), within, (0.0, 1.0)) is wanted


def test_the_success_rate_is_the_place_of_the_mean_reward_in_its_range():
    assert stays([-1, 0], (0.25, 0.25), (-1.0, 1.0)) and not stays([-1, 1], (0.25, 0.25), (-1.0, 1.0))
    with pytest.raises(ValueError, match="outside dots.reward_range"):
        stays([-1, -1], (0.0, 1.0), (0.0, 1.0))
    with pytest.raises(ValueError, match="without rollouts"):
        stays([], None, (0.0, 1.0))
