import datasets
import numpy as np
import pytest
import torch
from verl.utils import tensordict_utils as tu

from verl_dots.bridge.questions import TrainQuestions
from verl_dots.data.file_lists import QuestionError


class DataSet:
    """What verl's data set has: a table, and rows with the prompt as raw_prompt."""

    def __init__(self, pairs):
        self.dataframe = datasets.Dataset.from_list([
            {"prompt": [{"role": "user", "content": text}], "reward_model": {"ground_truth": answer}, "ability": "math"}
            for text, answer in pairs
        ])  # fmt: skip

    def __getitem__(self, place):
        row = self.dataframe[place]
        return {"raw_prompt": row["prompt"], "reward_model": row["reward_model"], "dummy": torch.tensor([place])}


def questions(count=6, extra=()):
    return TrainQuestions(DataSet([*((f"q{i}", str(i)) for i in range(count)), *extra]), "prompt", "keep")


def loader(known, order):
    """A dataloader of single rows in a given order, again and again."""
    rows = iter([place for _ in range(50) for place in order])

    def fetch():
        row = known._dataset[next(rows)]
        columns = {name: np.array([row[name]], dtype=object) for name in ("raw_prompt", "reward_model")}
        columns["raw_prompt"] = np.empty(1, dtype=object)
        columns["raw_prompt"][0] = row["raw_prompt"]
        return tu.get_tensordict(columns)

    return fetch


def test_questions_by_number_id_and_row():
    known = questions(3, extra=[("q1", "1"), ("q2", "other answer")])
    assert len(known) == 4  # a repeated row, and two answers to one prompt
    assert known.number(known.known.ids[3]) == 3 and known.row(3)["dummy"].item() == 4
    batch = known.batch(np.array([3, 0]), step=7)
    assert batch["dummy"].flatten().tolist() == [4, 0] and batch["global_steps"] == 7
    with pytest.raises(QuestionError, match="row 2: the question has no text"):
        questions(2, extra=[("  ", "1")])


def test_fresh_questions_come_in_the_dataloaders_order():
    known = questions()
    source = DataloaderQuestions(known, loader(known, [4, 2, 0, 5, 1, 3]), fresh=2)
    assert source.planned().tolist() == [4, 2]
    assert source.planned().tolist() == [0, 5]
    assert source.top_up(1, {0, 5}).tolist() == [1]


def test_no_question_comes_twice_in_a_batch():
    known = questions(4)
    source = DataloaderQuestions(known, loader(known, [0, 1, 2, 3]), fresh=3)
    assert source.planned().tolist() == [0, 1, 2]
    # The epoch ends in this batch; 1 and 2 are replayed in it.
    assert source.planned().tolist() == [3, 0, 1]
    assert source.top_up(2, {3, 0, 1}).tolist() == [2]  # no more than there are
