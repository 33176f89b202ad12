"""What an asynchronous trainer knows of the groups that it has asked for."""

from dataclasses import replace

import numpy as np
import pytest

from tests.methods.memory import carry_over
from tests.refusals import refused
from tests.wrong_values import accepted
from verl_dots.state import Kind, StateError, save_state
from verl_dots.training.in_flight import FILE, KIND, Asked, InFlight, load_in_flight

FIRST, SECOND = (
    Asked(question=3, size=8, temperature=0.75, step=1),
    Asked(-1, size=4, temperature=1.0, step=2, uniform=True, predicted=0.25),
)


@pytest.fixture
def two():
    held = InFlight()
    held.add("a", FIRST)
    held.add("b", SECOND)
    return held


def test_a_group_is_known_until_it_is_taken(two):
    assert list(two) == ["a", "b"] and len(two) == 2 and two.questions == {3, -1}
    assert two.take(["a"]) == {"a": FIRST}
    assert "a" not in two and "b" in two and two.questions == {-1}
    with pytest.raises(KeyError):
        two.take(["a"])


def test_no_two_groups_have_one_name(two):
    with pytest.raises(ValueError, match="a group b is in flight already"):
        two.add("b", FIRST)


def test_a_checkpoint_holds_all_of_it_in_its_order(two, tmp_path):
    restored = InFlight()
    carry_over(two, restored, tmp_path)
    assert list(restored) == ["a", "b"] and restored.take(["b", "a"]) == {"b": SECOND, "a": FIRST}
    carry_over(InFlight(), two, tmp_path)
    assert len(two) == 0
    with refused("groups in flight", "other run", "'step'"):
        two.load_state_dict({"uids": []})


def test_a_state_of_version_2_does_not_know_what_was_predicted(two, tmp_path):
    state = two.state_dict()
    del state["predicted"]
    save_state(tmp_path / FILE, Kind(KIND.name, 2), state)
    restored = InFlight()
    restored.load_state_dict(load_in_flight(tmp_path))
    assert restored.take(["a", "b"]) == {"a": FIRST, "b": replace(SECOND, predicted=None)}


@pytest.mark.parametrize("known", [False, True])
def test_a_state_of_version_1_may_not_know_which_questions_were_drawn_uniformly(two, tmp_path, known):
    state = two.state_dict()
    if not known:
        del state["uniform"]
    save_state(tmp_path / FILE, "groups in flight", state)
    restored = InFlight()
    restored.load_state_dict(load_in_flight(tmp_path))
    assert restored.take(["b", "a"]) == {"b": replace(SECOND, uniform=known), "a": FIRST}
    save_state(tmp_path / FILE, KIND, state)
    if not known:
        with refused("groups in flight", "other run", "lacks ['uniform']"):
            restored.load_state_dict(load_in_flight(tmp_path))
    save_state(tmp_path / FILE, "groups in flight", {})
    with refused("groups in flight", "other run", "lacks"):
        restored.load_state_dict(load_in_flight(tmp_path))


def test_a_wrong_value_is_refused_by_its_name(two, tmp_path):
    """-1 is a question that the run does not know, NaN a difficulty that nobody has predicted."""
    assert accepted(two, tmp_path) == {"question: all negative", "predicted: all NaN"}
    with refused("uids", "damaged"):
        two.load_state_dict(two.state_dict() | {"uids": ["a", "a"]})


@pytest.mark.parametrize(
    ("key", "values"),
    [("size", [8, 0]), ("temperature", [0.75, 0.0]), ("question", [10**9, -1]), ("question", [4, -1])],
)
def test_a_group_that_no_run_can_have_asked_for_is_refused(two, key, values):
    """The run knows the questions 0 to 3."""
    state = two.state_dict()
    two.load_state_dict(state, questions=4)
    with refused(key, "damaged", "groups in flight", kind=StateError):
        two.load_state_dict(state | {key: np.array(values, dtype=state[key].dtype)}, questions=4)
    assert two.take(["a", "b"]) == {"a": FIRST, "b": SECOND}


def test_a_run_without_known_questions_has_none_in_flight():
    held = InFlight()
    held.add("b", SECOND)
    held.load_state_dict(held.state_dict(), questions=0)
    held.add("a", FIRST)
    with refused("question", "damaged", "at most -1"):
        held.load_state_dict(held.state_dict(), questions=0)


@pytest.mark.parametrize("there", ["a", "abc", ""])
def test_a_queue_with_other_groups_is_refused(two, there):
    two.require_there({"a", "b"}, "1/transfer_queue")
    with refused("transfer_queue", "damaged", "1/transfer_queue lacks groups"):
        two.require_there(set(there), "1/transfer_queue")
