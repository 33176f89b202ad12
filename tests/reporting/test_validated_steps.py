"""Steps of validation, and those at which methods are compared."""

from tests.reporting.conftest import curve
from verl_dots.reporting.validated_steps import common_steps, same_steps, shared


def at(steps):
    return curve(steps, steps)


def compared(**steps):
    curves, notes = shared({name: [at(own)] for name, own in steps.items()})
    return {name: members[0].step_E.tolist() for name, members in curves.items()}, notes


def test_the_last_step_is_always_validated():
    assert same_steps(at([0, 2, 4, 6]), at([0, 2, 3]))
    assert same_steps(at([0, 2, 4, 6]), at([0, 2, 4, 6, 8]))
    assert not same_steps(at([0, 2, 4, 6]), at([0, 4, 6]))
    assert not same_steps(at([0, 2, 4]), at([2, 4]))


def test_a_validation_that_one_lacks_is_left_out_of_all():
    # dots lacks step 4; grpo ends at step 13, after which dots has steps of its own
    found, notes = compared(grpo=[0, 2, 4, 6, 8, 10, 12, 13], dots=[0, 2, 6, 8, 10, 12, 14])
    assert found == {"grpo": [0, 2, 6, 8, 10, 12, 13], "dots": [0, 2, 6, 8, 10, 12, 14]}
    words = "(grpo 8, dots 7 of them): only what all share is compared."
    assert notes == [f"methods differ in the steps of their validations {words}"]


def test_really_different_steps_are_kept_and_named():
    steps = {"grpo": [0, 4, 8], "dots": [0, 2, 4, 6, 8]}
    found, notes = compared(**steps)
    assert found == steps
    assert notes == [
        "methods differ in the steps of their validations (grpo 3, dots 5 of them): what lies between is interpolated, "
        "and wall times include different numbers of validations."
    ]


def test_common_steps():
    assert common_steps({"grpo": {0, 2, 4}, "dots": {0, 2, 3}}) == {"grpo": {0, 2, 4}, "dots": {0, 2, 3}}
    assert common_steps({"grpo": {0, 1, 2, 3, 4}, "dots": {0, 1, 3, 4}}) == dict.fromkeys(
        ("grpo", "dots"), {0, 1, 3, 4}
    )
    assert common_steps({"grpo": {0, 4, 8}, "dots": {0, 2, 4, 6, 8}}) is None
