import pytest

from verl_dots.methods.entropy_coefficient.rule import bonus, next_coefficient


def test_there_is_a_bonus_at_or_below_the_target_alone():
    assert bonus(0.003, 0.1, 0.2) == 0.003
    assert bonus(0.003, 0.2, 0.2) == 0.003
    assert bonus(0.003, 0.2001, 0.2) == 0.0


@pytest.mark.parametrize(
    ("coefficient", "entropy", "expected"),
    [
        (0.003, 0.1, 0.004),
        (0.003, 0.3, 0.002),
        (0.003, 0.2, 0.003),  # on target
        (0.0045, 0.1, 0.005),  # at most this
        (0.0005, 0.3, 0.0),
    ],
)
def test_the_coefficient_rises_below_the_target_and_falls_above_it(coefficient, entropy, expected):
    assert next_coefficient(coefficient, entropy, 0.2, 0.001, 0.005) == pytest.approx(expected, abs=1e-12)


def test_without_a_step_it_stays():
    for entropy in (0.0, 0.2, 9.0):
        assert next_coefficient(0.003, entropy, 0.2, 0.0, 0.005) == 0.003
