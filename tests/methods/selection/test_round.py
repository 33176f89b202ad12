import numpy as np
import pytest

from tests.methods.memory import carry_over
from tests.refusals import refused
from verl_dots.methods.selection.round import Round
from verl_dots.methods.selection.rule import select

DIFFICULTY = np.arange(10) / 10  # of question 0 .. 9
ALL = np.ones(10, dtype=bool)


def rng(seed=0):
    return np.random.default_rng(seed)


def drawn(sizes=(2, 2), reserve=0, target=0.0, tau=0.0, difficulty=DIFFICULTY, preferred=ALL):
    one = Round(difficulty, preferred.copy(), ALL.copy())
    one.draw(sizes, reserve, target, tau, rng())
    return one


def handed_out(one, target, tau=0.0, generator=None):
    one.follow(target, tau, generator or rng(1))
    return sorted(one.next_batch().tolist())


def test_at_one_target_the_batches_are_the_papers_draw_over_the_round_cut_at_random():
    one = Round(DIFFICULTY, ALL.copy(), ALL.copy())
    one.draw((3, 3), 2, 0.4, 0.1, rng(5))
    generator = rng(5)
    wanted = select(DIFFICULTY, 6, 0.4, 0.1, generator)
    untouched = rng(9)
    for batch in (wanted[:3], wanted[3:]):
        assert not one.follow(0.4, 0.1, untouched)
        assert one.next_batch().tolist() == batch.tolist()
    assert one.over and untouched.bit_generator.state == rng(9).bit_generator.state
    rest = np.setdiff1d(np.arange(10), wanted)
    assert one.top_up(2, (), rng()).tolist() == rest[select(DIFFICULTY[rest], 2, 0.4, 0.1, generator)].tolist()


def test_each_batch_follows_the_target_of_its_own_step():
    one = drawn(sizes=(2, 2, 2))
    first = handed_out(one, 0.0)
    assert set(first) < set(range(6))  # two of the six that are nearest to 0
    second = handed_out(one, 0.9)
    assert set(second) < {6, 7, 8, 9}  # two of the four that are nearest to 0.9
    assert handed_out(one, 0.9) == sorted({6, 7, 8, 9} - set(second))
    one = drawn()
    handed_out(one, 0.0)
    assert handed_out(one, 0.9) == [8, 9]


def test_what_a_round_has_handed_out_does_not_come_again():
    one = drawn()
    first = handed_out(one, 0.0)
    left = [question for question in range(10) if question not in first]
    assert handed_out(one, 0.01) == left[:2]
    for seed in range(30):
        one, generator = drawn(sizes=(2, 2, 2, 2), reserve=2, tau=0.1), rng(seed)
        batches = [handed_out(one, target, 0.1, generator) for target in (0.0, 0.6, 0.3, 1.0)]
        assert len(set(sum(batches, []))) == 8


def test_what_replay_could_not_fill_follows_the_target_too_and_is_not_drawn_again():
    one = drawn(reserve=2)
    one.follow(0.0, 0.0, rng())
    one.next_batch()
    one.follow(0.9, 0.0, rng())
    assert sorted(one.top_up(2, (), rng())) == [6, 7]  # after 8 and 9
    assert one.follow(0.7, 0.0, rng()) and not {6, 7} & set(one.drawn)


def test_the_reserve_is_no_larger_than_what_is_left():
    one = drawn(sizes=(4, 4), reserve=2)
    taken = one.next_batch().tolist()
    taken += one.top_up(1, [*taken, *one.drawn[-2:]], rng()).tolist()  # the reserve is excluded: any other
    assert one.follow(0.9, 0.0, rng())
    assert sorted(one.drawn) == sorted(set(range(10)) - set(taken))  # a batch of 4, and 1 of the 2


def test_the_others_are_candidates_only_where_the_preferred_are_too_few():
    even = np.arange(10) % 2 == 0
    assert handed_out(drawn(sizes=(4,), preferred=even), 0.0) == [0, 2, 4, 6]
    assert handed_out(drawn(sizes=(6,), preferred=even), 0.0) == [0, 1, 2, 3, 4, 5]


def test_a_uniform_round_has_no_target():
    one = drawn(difficulty=None)
    batches = one.drawn.tolist()
    generator = rng(1)
    assert not one.follow(0.9, 0.0, generator) and one.next_batch().tolist() == batches[:2]
    assert generator.bit_generator.state == rng(1).bit_generator.state
    one.fill(np.arange(6), [2, 2])
    assert [one.next_batch().tolist(), one.next_batch().tolist()] == [[0, 1], [2, 3]]
    assert one.top_up(2, (), rng()).tolist() == [4, 5]


class Kept:
    """A round that a checkpoint holds."""

    def __init__(self, one):
        self.one = one

    def state_dict(self):
        return self.one.state_dict()

    def load_state_dict(self, state):
        self.one = Round.from_state(state, len(ALL))


@pytest.mark.parametrize("difficulty", [DIFFICULTY, None])
def test_a_restored_round_goes_on_as_the_old_one(difficulty, tmp_path):
    whole, restored = Kept(drawn((2, 2, 2), 2, tau=0.1, difficulty=difficulty)), Kept(drawn())
    handed_out(whole.one, 0.2, 0.1)
    carry_over(whole, restored, tmp_path)
    mine, theirs = rng(4), rng(4)
    for target in (0.2, 0.7):
        assert handed_out(whole.one, target, 0.1, mine) == handed_out(restored.one, target, 0.1, theirs)
        assert whole.one.top_up(1, (), mine) == restored.one.top_up(1, (), theirs)
    with refused("selection round", "other run", "'unused'"):
        Round.from_state({name: value for name, value in whole.state_dict().items() if name != "unused"}, 10)


def test_at_random_questions_come_first_that_the_round_has_neither_handed_out_nor_will():
    for seed in range(20):
        one = Round(None, ALL.copy(), ALL.copy())
        one.fill(np.arange(6), [2, 2])  # the last two are the reserve
        first = one.next_batch().tolist()
        assert set(one.top_up(6, first, rng(seed))) == {4, 5, 6, 7, 8, 9}
        assert set(one.top_up(2, first, rng(seed))) <= {2, 3, 4, 5, 6, 7, 8, 9}


def test_what_was_handed_out_comes_again_only_where_the_rest_does_not_fill_the_round():
    for seed in range(20):
        one = drawn(sizes=(4, 4), tau=0.1)
        first = one.next_batch().tolist()
        more = one.top_up(5, first, rng(seed)).tolist()  # one question is left, and a batch of 4 to come
        (left,) = {*range(10)} - {*first, *more}
        assert one.follow(0.9, 0.1, rng(seed)) and left in (again := one.next_batch().tolist())
        assert len(set(again)) == 4
    one.draw((4, 4), 2, 0.5, 0.1, rng())  # of a round that has handed out all: any, each once
    batches = [*one.next_batch().tolist(), *one.next_batch().tolist()]
    assert len(set(batches)) == 8
