import datasets
import numpy as np
import pytest
import torch
from verl.utils import tensordict_utils as tu

from tests.refusals import refused
from verl_dots.bridge.questions import TrainQuestions


class DataSet:
    """What verl's data set has: a table, and rows with the prompt as raw_prompt."""

    def __init__(self, pairs):
        self.dataframe = datasets.Dataset.from_list([
            {
                "prompt": [{"role": "user", "content": text}],
                "reward_model": {"ground_truth": answer},
                "ability": "math",
                "extra_info": {"level": place},
            }
            for place, (text, answer) in enumerate(pairs)
        ])  # fmt: skip

    def __getitem__(self, place):
        row = self.dataframe[place]
        return {"raw_prompt": row["prompt"], "reward_model": row["reward_model"], "dummy": torch.tensor([place])}


def questions(count=6, extra=()):
    return TrainQuestions(DataSet([*((f"q{i}", str(i)) for i in range(count)), *extra]), "prompt", "keep")


def test_questions_by_number_id_and_row():
    known = questions(3, extra=[("q1", "1"), ("q2", "other answer")])
    assert len(known) == 4  # a repeated row, and two answers to one prompt
    assert known.number(known.known.ids[3]) == 3 and known.row(3)["dummy"].item() == 4
    batch = known.batch(np.array([3, 0]), step=7)
    assert batch["dummy"].flatten().tolist() == [4, 0] and batch["global_steps"] == 7
    with refused("prompt", "data", "row 2: "):
        questions(2, extra=[("  ", "1")])


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
    known = questions(3, extra=[("q1", "1"), ("q4", "4")])
    assert known.rows == 5 and known.numbers("extra_info.level", "dots.KEY").tolist() == [0.0, 1.0, 2.0, 4.0]
    with refused("dots.KEY", "data"):
        known.numbers("extra_info.rank", "dots.KEY")
