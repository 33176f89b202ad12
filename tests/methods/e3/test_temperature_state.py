import pytest

from verl_dots.methods.e3.settings import TemperatureConfig
from verl_dots.methods.e3.temperature_rule import next_temperature
from verl_dots.methods.e3.temperature_state import TemperatureController

V = 32000


def controller(steps=100, **changes):
    return TemperatureController(TemperatureConfig(enable=True, **changes), 1.0, V, steps)


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


def test_the_target_is_annealed_over_the_last_part_of_the_run():
    one = controller(target=1.0, anneal_from=0.6)
    assert [one.target(step) for step in (1, 60, 80, 100)] == pytest.approx([1.0, 1.0, 0.95, 0.9])


@pytest.mark.parametrize("settings", [{"target": 0.5}, {"warm_up": 3}])
def test_an_entropy_that_is_none_stops_the_run(settings):
    with pytest.raises(ValueError, match="nan"):
        controller(**settings).observe(float("nan"), 1)


def test_damping_follows_a_moving_average_of_the_entropy():
    one = controller(target=0.5, damping=0.75)
    one.observe(0.5, 1)
    assert one.observe(0.9, 2)["entropy"] == 0.9
    assert one.value == pytest.approx(next_temperature(1.0, 0.75 * 0.5 + 0.25 * 0.9, 0.5, V, 0.5, 1.5))  # of 0.6
