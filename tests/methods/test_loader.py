"""Questions in the order of verl's data loader."""

from tests.methods.memory import MemoryTrainer, make_run
from verl_dots.methods.loader import DataLoader
from verl_dots.step import Step


def source(order, questions=6, **more):
    """A data loader that gives single questions in an order, again and again."""
    trainer = MemoryTrainer()
    run = make_run({}, questions, trainer, **more)
    trainer.order = iter(order * 50)
    return DataLoader.make(run)


def test_fresh_questions_come_in_the_data_loaders_order():
    one = source([4, 2, 0, 5, 1, 3], fresh=2)
    assert one.plan(Step(1)).tolist() == [4, 2]
    assert one.plan(Step(2)).tolist() == [0, 5]
    assert one.top_up(Step(2), 1, {0, 5}).tolist() == [1]
    assert one.top_up(Step(2), 0, {0, 5, 1}).tolist() == []
    assert one.plan(Step(3)).tolist() == [3, 4]


def test_no_question_comes_twice_in_a_batch():
    one = source([0, 1, 2, 3], questions=4, fresh=3)
    assert one.plan(Step(1)).tolist() == [0, 1, 2]
    # The epoch ends in this batch; 1 and 2 are replayed in it.
    assert one.plan(Step(2)).tolist() == [3, 0, 1]
    assert one.top_up(Step(2), 2, {3, 0, 1}).tolist() == [2]  # no more than there are


def test_two_epochs_are_enough_to_know_that_there_is_no_more():
    one = source([], questions=4)
    one.run.trainer.order = iter([3] * (2 + 2 * 4))
    assert one.top_up(Step(1), 2, {3}).tolist() == []


def test_a_question_that_comes_late_in_two_epochs_is_waited_for():
    # Begun behind question 0: it comes again as the 8th, and each order may hold it last.
    one = source([1, 2, 3, 1, 2, 3, 1, 0], questions=4, fresh=4)
    assert one.plan(Step(1)).tolist() == [1, 2, 3, 0]


def test_verls_own_batches_stay_where_no_stage_knows_questions():
    one = source([0, 1], fresh=2)
    one.run.questions = None
    assert DataLoader.make(one.run).plan(Step(1)) is None


def test_it_is_never_enabled_by_a_setting_and_remembers_nothing():
    one = source([0])
    assert DataLoader.enabled(one.run.dots, one.run.config) is False
    assert one.state_dict() is None and one.metrics(Step(1)) == {}
