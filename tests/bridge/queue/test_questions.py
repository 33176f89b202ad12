import numpy as np
import pytest
from verl.utils import tensordict_utils as tu

from tests.methods.memory import DataSet
from tests.refusals import refused
from verl_dots.bridge.queue.questions import TrainQuestions


def questions(count, *more):
    return TrainQuestions(DataSet(count, more), "prompt", "keep")


def test_questions_by_number_id_and_row():
    known = questions(3, ("question 1", "1"), ("question 2", "other answer"))
    assert len(known) == 4  # a repeated row, and two answers to one prompt
    assert known.number(known.known.ids[3]) == 3 and known.row(3)["dummy_tensor"].item() == 4
    batch = known.batch(np.array([3, 0]), step=7)
    assert batch["dummy_tensor"].flatten().tolist() == [4, 0] and batch["global_steps"] == 7
    with refused("prompt", "data", "row 2: "):
        questions(2, ("  ", "1"))


def test_the_question_of_a_batch_of_one_row():
    known = questions(4)
    row = known._dataset[2]
    columns = {name: np.empty(1, dtype=object) for name in ("raw_prompt", "reward_model")}
    for name, column in columns.items():
        column[0] = row[name]
    assert known.number_of(tu.get_tensordict(columns)) == 2
    with pytest.raises(KeyError):
        known.number("no such question")


def test_numbers_in_the_data_are_those_of_the_distinct_questions():
    known = questions(3, ("question 1", "1"), ("question 4", "4"))
    # Question 1 is there as row 1 and as row 3, with another number: it counts with their mean.
    assert known.rows == 5 and known.numbers("extra_info.level", "dots.KEY").tolist() == [0.0, 2.0, 2.0, 4.0]
    with refused("dots.KEY", "data"):
        known.numbers("extra_info.rank", "dots.KEY")
