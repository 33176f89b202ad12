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


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (np.int32, [2**31]), (np.int32, [-(2**31) - 1]), (np.int32, [2**32 + 7]), (np.int32, [2**32 + 2, 2]),
        (np.uint8, [256]), (np.float32, [-1e300]), (np.float32, [0.0, 1e39]), (np.float16, [70000.0]),
    ],
    ids=repr,
)  # fmt: skip
def test_an_array_is_refused_that_its_type_does_not_hold(kind, wrong):
    """Cut to its bits, 2**32 + 7 would be 7 and 2**31 below 0; brought to single precision, 1e39 would be infinite."""
    wide = np.array(wrong, dtype={"i": np.int64, "u": np.uint64, "f": np.float64}[np.dtype(kind).kind])
    with refused("value", "damaged", "a stage", kind=StateError):
        values(wide).array("value", kind, (None,), Within(nan=True))
    with refused("value", "damaged", "a stage", kind=StateError):
        values([wide]).arrays("value", kind, (None,), Within(nan=True))


def test_the_greatest_values_of_a_type_are_read():
    for kind in (np.int32, np.uint8, np.float32):
        limits = np.finfo(kind) if kind is np.float32 else np.iinfo(kind)
        wide = np.array([limits.min, limits.max], dtype=np.float64 if kind is np.float32 else f"{np.dtype(kind).kind}8")
        assert values(wide).array("value", kind, (2,)).tolist() == [limits.min, limits.max]
    # What is above 0 is so in the type that it is brought to: 1e-60 in single precision is 0.
    with refused("value", "damaged"):
        values(np.array([1e-60])).array("value", np.float32, (1,), POSITIVE)


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
