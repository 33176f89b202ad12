"""The questions of verl's train data set, and where those of a step come from."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.rl_dataset import collate_fn

from verl_dots.data.questions import Questions, question_id, questions_of
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

    @property
    def rows(self) -> int:
        """Rows of the data set, repeated questions and all."""
        return len(self._dataset.dataframe)

    def difficulties(self, field: str) -> np.ndarray:
        """[P] difficulty of each question, see `static_difficulties`. Raises QuestionError where one is missing."""
        rows = self._dataset.dataframe.select_columns([field.split(".")[0]])
        return static_difficulties(rows, field)[self.known.rows]

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {identity: number for number, identity in enumerate(self.known.ids)}

    def number(self, identity: str) -> int:
        """The number of the question with an id. Raises KeyError for one that is not among them."""
        return self._numbers[identity]

    def row(self, question: int) -> dict[str, Any]:
        """A question's row as verl's data set gives it."""
        return self._dataset[int(self.known.rows[question])]

    def batch(self, questions_N: np.ndarray, step: int) -> TensorDict:
        """Rows of some questions, as verl's dataloader hands them over."""
        batch = tu.get_tensordict(collate_fn([self.row(question) for question in questions_N]))
        tu.assign_non_tensor_data(batch, "global_steps", step)
        return batch


class FreshQuestions(Protocol):
    """Where the questions come from that a step rolls out."""

    def planned(self) -> np.ndarray:
        """Those of this step: delta * B, or less where rollouts are there already."""

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""


class DataloaderQuestions:
    """Questions in the order of verl's dataloader.

    Args:
        questions: of the data set.
        fetch: the dataloader's next batch of one row.
        fresh: delta * B, questions of a step.
    """

    def __init__(self, questions: TrainQuestions, fetch: Callable[[], TensorDict], fresh: int):
        self._questions, self._fetch, self._fresh = questions, fetch, fresh

    def planned(self) -> np.ndarray:
        """The next ones; where an epoch ends in the middle, a question that is among them already is passed over."""
        return self.top_up(self._fresh, ())

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """The next ones that are not excluded; those are passed over, for they are in the batch already."""
        seen, found = set(exclude), []
        for _ in range(count + 2 * self._questions.rows):
            if len(found) == count:
                break
            row = self._fetch()
            identity = question_id(list(row["raw_prompt"])[0], list(row["reward_model"])[0]["ground_truth"])
            number = self._questions.number(identity)
            if number not in seen:
                seen.add(number)
                found.append(number)
        return np.array(found, dtype=np.int64)
