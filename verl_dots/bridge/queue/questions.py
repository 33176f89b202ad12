"""The questions of verl's train data set."""

from functools import cached_property
from typing import Any

import numpy as np
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.rl_dataset import collate_fn

from verl_dots.data.question import question_id
from verl_dots.data.questions import Questions, questions_of
from verl_dots.difficulty.static import static_difficulties


class TrainQuestions:
    """Distinct questions of verl's train data set, after its own filters.

    Args:
        dataset: verl's.
        prompt_key: its column of prompts.
        on_conflict: what to do about a prompt with several answers, see `questions_of`.

    Raises:
        QuestionError: a row that is no question.
    """

    def __init__(self, dataset: Any, prompt_key: str, on_conflict: str):
        self._dataset = dataset
        names = [name for name in (prompt_key, "reward_model", "extra_info") if name in dataset.dataframe.column_names]
        rows = dataset.dataframe.select_columns(names)
        self.known: Questions = questions_of(rows, prompt_key=prompt_key, on_conflict=on_conflict)

    def __len__(self) -> int:
        return len(self.known)

    def __contains__(self, identity: str) -> bool:
        return identity in self._numbers

    @property
    def rows(self) -> int:
        """Rows of the data set, repeated questions and all."""
        return len(self._dataset.dataframe)

    def numbers(self, field: str, key: str) -> np.ndarray:
        """[P] a number of each question that is in the data, in the field that the setting `key` names.

        Of a question that is there several times it is the mean.

        Raises:
            QuestionError: one is missing, see `static_difficulties`.
        """
        rows = self._dataset.dataframe.select_columns([field.split(".")[0]])
        return self.known.means(static_difficulties(rows, field, key))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {identity: number for number, identity in enumerate(self.known.ids)}

    def number(self, identity: str) -> int:
        """The number of the question with an id. Raises KeyError for one that is not among them."""
        return self._numbers[identity]

    def number_of(self, batch: TensorDict) -> int:
        """The number of the question of a batch of one row, as verl's dataloader gives it."""
        prompt, answer = list(batch["raw_prompt"])[0], list(batch["reward_model"])[0]["ground_truth"]
        return self.number(question_id(prompt, answer))

    def row(self, question: int) -> dict[str, Any]:
        """A question's row as verl's data set gives it."""
        return self._dataset[int(self.known.rows[question])]

    def batch(self, questions_N: np.ndarray, step: int) -> TensorDict:
        """Rows of some questions, as verl's dataloader hands them over."""
        batch = tu.get_tensordict(collate_fn([self.row(question) for question in questions_N]))
        tu.assign_non_tensor_data(batch, "global_steps", step)
        return batch
