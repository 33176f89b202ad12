"""Typed values of a state, and a state that is taken over whole or refused by its file."""

import math

import numpy as np
import pytest

from tests.refusals import refused
from verl_dots.state import StateError
from verl_dots.state_values import COUNT, POSITIVE, Values, Within, restoring


def values(value):
    return Values("a stage", {"value": value}, {"value"})


def test_what_is_right_is_given_back():
    array = np.arange(3, dtype=np.int32)
    found = values(array).array("value", np.int64, (None,), COUNT)
    assert found.dtype == np.int64 and found.tolist() == [0, 1, 2]
    assert values(array).array("value", np.int32, (3,)) is not array
    assert [each.tolist() for each in values([array]).arrays("value", np.int32, (3,))] == [[0, 1, 2]]
    assert values(2).whole("value") == 2 and values(2).number("value") == 2 and values(-0.5).number("value") == -0.5
    assert math.isnan(values(math.nan).number("value", Within(nan=True)))
    assert values(["a"]).texts("value") == ["a"] and values("a").text("value") == "a" and values(True).flag("value")
    assert values([1, 2]).wholes("value") == [1, 2] and values([0.5]).numbers("value") == [0.5]
    assert not values(None).given("value") and values(0).given("value")


@pytest.mark.parametrize(
    ("read", "wrong"),
    [
        (lambda of: of.whole("value"), [None, True, 1.0, "1", -1, 2**63, math.nan, np.zeros(0), np.ones(1, int)]),
        (lambda of: of.number("value"), [None, False, "1", math.nan, math.inf, 10**400, np.ones(1)]),
        (lambda of: of.number("value", POSITIVE), [0, 0.0, -1.0]),
        (lambda of: of.number("value", Within(0, 1)), [-0.1, 1.1]),
        (lambda of: of.flag("value"), [None, 1, "True"]),
        (lambda of: of.text("value"), [None, 1]),
        (lambda of: of.texts("value"), [None, "ab", [1], np.array(["a"])]),
        (lambda of: of.wholes("value"), [None, 3, [1, -1], [1.0], [True], np.array([97])]),
        (lambda of: of.numbers("value"), [None, 3, [math.nan], ["1"], np.ones(2)]),
        (lambda of: of.arrays("value", float, (2,)), [None, np.ones((3, 2)), [np.ones(3)], [[1.0, 2.0]]]),
        (
            lambda of: of.array("value", float, (2, None), POSITIVE),
            [None, [1.0], np.ones(2), np.ones((3, 2)), np.ones((2, 3), int), np.zeros((2, 1)), np.full((2, 1), np.inf)],
        ),
        (
            lambda of: of.generator("value", np.random.default_rng(1)),
            [None, {}, "x", np.random.MT19937(1).state, np.zeros(0), np.random.PCG64(1).state | {"state": {}}],
        ),
    ],
    ids=range(12),
)
def test_what_is_wrong_is_refused_by_its_name(read, wrong):
    for value in wrong:
        with refused("value", "damaged", "a stage", kind=StateError):
            read(values(value))


@pytest.mark.parametrize(("name", "value"), [("has_uint32", -1), ("uinteger", -1), ("has_uint32", None)])
def test_a_generator_is_taken_over_whole_or_not_at_all(name, value):
    rng, other = np.random.default_rng(1), np.random.default_rng(2)
    before = rng.bit_generator.state
    assert values(other.bit_generator.state).generator("value", rng) == other.bit_generator.state
    with refused("value", "damaged"):
        values(other.bit_generator.state | {name: value}).generator("value", rng)
    assert rng.bit_generator.state == before


def test_a_value_must_be_the_runs_own_and_no_array_is():
    values([0.0, 1.0]).same("value", "dots.reward_range", [0.0, 1.0])
    for value in ([0.0, 2.0], [0.0], None, np.zeros(0), np.zeros(2), [np.zeros(0), 1.0]):
        with refused("dots.reward_range", "other run"):
            values(value).same("value", "dots.reward_range", [0.0, 1.0])
    with refused("a stage", "other run", "'value'"):
        Values("a stage", {}, {"value"})


@pytest.mark.parametrize("error", [OverflowError("3"), StopIteration(), KeyError("3"), ZeroDivisionError()])
def test_whatever_a_state_leads_to_names_its_file(tmp_path, error):
    with refused(str(tmp_path), "other run", "replay", kind=StateError), restoring(tmp_path, "replay"):
        raise error
    with refused("value", "damaged", str(tmp_path)), restoring(tmp_path, "replay"):
        values("x").whole("value")


def test_other_errors_are_no_matter_of_the_state(tmp_path):
    with pytest.raises(RuntimeError), restoring(tmp_path, "replay"):
        raise RuntimeError
