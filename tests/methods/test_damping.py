import pytest

from verl_dots.methods.damping import damped


def test_damping_is_the_share_of_the_average_before():
    assert damped(None, 0.8, 0.9) == 0.8
    assert damped(0.4, 0.8, 0.75) == pytest.approx(0.5)
    assert damped(0.4, 0.8, 0.0) == 0.8
