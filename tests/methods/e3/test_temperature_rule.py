import math

import pytest

from verl_dots.methods.e3.temperature_rule import annealed_target, next_temperature


def test_the_rule_by_hand():
    # V = e^e: ln V + ln ln V = e + 1. Entropy at half its target: tau * (1 + tau * ln 2 / (e + 1))
    vocabulary = 15.154262241479262
    found = next_temperature(0.8, 0.5, 1.0, vocabulary, 0.1, 2.0)
    assert found == pytest.approx(0.8 * (1 + 0.8 * math.log(2) / (math.e + 1)))
    assert next_temperature(0.8, 1.0, 1.0, 32000, 0.1, 2.0) == 0.8
    assert next_temperature(0.8, 2.0, 1.0, 32000, 0.1, 2.0) < 0.8 < next_temperature(0.8, 0.9, 1.0, 32000, 0.1, 2.0)


def test_bounds_hold_and_no_entropy_at_all_gives_the_upper_one():
    assert next_temperature(1.0, 1e-300, 1.0, 32000, 0.5, 1.5) == 1.5
    assert next_temperature(1.0, 1e300, 1.0, 32000, 0.5, 1.5) == 0.5
    assert next_temperature(1.0, 0.0, 1.0, 32000, 0.5, 1.5) == 1.5


@pytest.mark.parametrize("entropy", [float("nan"), float("inf"), -0.1])
def test_an_entropy_that_is_none(entropy):
    with pytest.raises(ValueError, match="the policy's entropy is"):
        next_temperature(1.0, entropy, 1.0, 32000, 0.5, 1.5)


def test_the_target_is_annealed_along_a_half_cosine():
    of = [annealed_target(2.0, step, 60, 100, 0.9) for step in (0, 60, 80, 100, 120)]
    assert of == pytest.approx([2.0, 2.0, 1.9, 1.8, 1.8])
    assert annealed_target(2.0, 70, 60, 100, 0.9) == pytest.approx(2 * (0.9 + 0.1 * (1 + math.cos(math.pi / 4)) / 2))
    with pytest.raises(ValueError, match="annealing from step 100 to 100"):
        annealed_target(2.0, 70, 100, 100, 0.9)
