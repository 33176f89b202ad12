import copy
import math

import pytest

from tests.launches import plain_config
from tests.refusals import refused
from verl_dots.config import DotsConfig
from verl_dots.methods.e3.checks import refuse_temperature
from verl_dots.methods.e3.settings import TemperatureConfig
from verl_dots.methods.e3.temperature_rule import annealed_target, next_temperature
from verl_dots.methods.e3.temperature_state import TemperatureController

V = 32000


def test_the_rule_by_hand():
    # V = e^e: ln V + ln ln V = e + 1. Entropy at half its target: tau * (1 + tau * ln 2 / (e + 1))
    vocabulary = 15.154262241479262
    found = next_temperature(0.8, 0.5, 1.0, vocabulary, 0.1, 2.0)
    assert found == pytest.approx(0.8 * (1 + 0.8 * math.log(2) / (math.e + 1)))
    assert next_temperature(0.8, 1.0, 1.0, V, 0.1, 2.0) == 0.8
    assert next_temperature(0.8, 2.0, 1.0, V, 0.1, 2.0) < 0.8 < next_temperature(0.8, 0.9, 1.0, V, 0.1, 2.0)


def test_bounds_hold_and_no_entropy_at_all_gives_the_upper_one():
    assert next_temperature(1.0, 1e-300, 1.0, V, 0.5, 1.5) == 1.5
    assert next_temperature(1.0, 1e300, 1.0, V, 0.5, 1.5) == 0.5
    assert next_temperature(1.0, 0.0, 1.0, V, 0.5, 1.5) == 1.5


@pytest.mark.parametrize("entropy", [float("nan"), float("inf"), -0.1])
def test_an_entropy_that_is_none(entropy):
    with pytest.raises(ValueError, match="the policy's entropy is"):
        next_temperature(1.0, entropy, 1.0, V, 0.5, 1.5)


def test_the_target_is_annealed_along_a_half_cosine():
    of = [annealed_target(2.0, step, 60, 100, 0.9) for step in (0, 60, 80, 100, 120)]
    assert of == pytest.approx([2.0, 2.0, 1.9, 1.8, 1.8])
    assert annealed_target(2.0, 70, 60, 100, 0.9) == pytest.approx(2 * (0.9 + 0.1 * (1 + math.cos(math.pi / 4)) / 2))
    with pytest.raises(ValueError, match="annealing from step 100 to 100"):
        annealed_target(2.0, 70, 100, 100, 0.9)


def controller(**changes):
    return TemperatureController(TemperatureConfig(enable=True, **changes), 1.0, V, 100)


def test_the_target_is_the_entropy_of_the_first_steps():
    one = controller(warm_up=2)
    assert one.observe(0.5, 1) == {"temperature": 1.0, "entropy": 0.5}
    one.observe(0.7, 2)
    assert one.value == 1.0 and one.target(3) == pytest.approx(0.6)
    figures = one.observe(0.3, 3)
    assert figures == pytest.approx({"temperature": 1.0, "entropy": 0.3, "target": 0.6})
    assert one.value == pytest.approx(next_temperature(1.0, 0.3, 0.6, V, 0.5, 1.5)) and one.value > 1


def test_a_given_target_counts_from_the_first_step_and_bounds_hold():
    one = controller(target=0.5, low=0.9, high=1.05)
    one.observe(1e-9, 1)
    assert one.value == 1.05
    for step in range(2, 20):
        one.observe(50.0, step)
    assert one.value == 0.9


@pytest.mark.parametrize("settings", [{"target": 0.5}, {"warm_up": 3}])
def test_an_entropy_that_is_none_stops_the_run(settings):
    with pytest.raises(ValueError, match="nan"):
        controller(**settings).observe(float("nan"), 1)


def test_annealing_begins_at_the_share_of_the_steps_that_is_written():
    """0.7 * 90 is 62.99999999999999."""
    settings = TemperatureConfig(enable=True, target=0.5, anneal_from=0.7)
    one = TemperatureController(settings, 1.0, V, 90)
    assert one.target(63) == 0.5 > one.target(64)


def test_damping_follows_a_moving_average_of_the_entropy():
    one = controller(target=0.5, damping=0.75)
    one.observe(0.5, 1)
    assert one.observe(0.9, 2)["entropy"] == 0.9
    assert one.value == pytest.approx(next_temperature(1.0, 0.75 * 0.5 + 0.25 * 0.9, 0.5, V, 0.5, 1.5))  # of 0.6


def test_a_temperature_that_vllm_does_not_take_is_no_bound(cpu_environment):
    config = copy.deepcopy(plain_config())
    config.actor_rollout_ref.rollout.name = "vllm"
    refuse_temperature(config, DotsConfig(temperature=TemperatureConfig(enable=True, high=2.0)))
    above = DotsConfig(temperature=TemperatureConfig(enable=True, high=2.5))
    with refused("dots.temperature.high", "size"):
        refuse_temperature(config, above)
    config.actor_rollout_ref.rollout.name = "hf"
    refuse_temperature(config, above)
