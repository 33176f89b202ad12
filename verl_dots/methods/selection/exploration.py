"""Selection without reference rollouts: some questions of each batch are drawn uniformly, to measure the predictions.

The predictor learns from what training rolls out. The selected questions cannot tell how good it is, for they were all
predicted alike; those drawn uniformly can.
"""

from collections import Counter
from collections.abc import Mapping, Set
from typing import Any, Self

import numpy as np

from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.state_values import Values, Within


class Exploration:
    """The questions drawn uniformly, and how they were predicted, for one run.

    Args:
        share: of the questions that a batch rolls out, rounded; at least one is explored and one selected.
        fresh: questions of a batch that are rolled out.
        questions: P, how many there are to choose from.

    Raises:
        ValueError: batches of fewer than two questions, which cannot be shared.
    """

    def __init__(self, share: float, fresh: int, questions: int):
        if fresh < 2:
            raise ValueError(
                f"dots.selection.references=0 needs two questions or more that a step rolls out, not {fresh}: one is "
                "drawn uniformly and one is selected; raise data.train_batch_size or dots.replay.delta"
            )
        self.count, self.questions = min(fresh - 1, max(1, round(share * fresh))), questions
        self.drawn: frozenset[int] = frozenset()  # those of the last batch
        self.learnt = False  # whether there is anything that the predictor has learnt from
        self._predicted_P = np.empty(0)  # of this round; empty where nothing was predicted
        self._pending: dict[int, float] = {}  # predicted difficulty of those that were drawn and not measured yet
        self._awaited: Counter[int] = Counter()  # batches that hold a question, planned and not measured yet
        self._pairs: list[tuple[float, float]] = []  # (predicted, measured) of the round

    @classmethod
    def of(cls, settings: SelectionConfig, fresh: int, questions: int) -> Self | None:
        """Of a run; None where there are references, which tell how good the predictions are."""
        return None if settings.references else cls(settings.explore, fresh, questions)

    def begin_round(self, predicted_P: np.ndarray | None) -> None:
        """Take the predictions that a round is chosen by, None for a uniform one; forget what is not measured."""
        self._predicted_P = np.empty(0) if predicted_P is None else np.array(predicted_P, dtype=np.float64)
        self._pending, self._awaited = {}, Counter()

    def mixed(self, selected_B: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A batch of the selected questions and `count` others, drawn uniformly, in random order.

        A question that one batch selects and another draws, before either is measured, measures nothing: which of the
        two is measured first is not known.
        """
        others = np.setdiff1d(np.arange(self.questions), selected_B)
        drawn = rng.choice(others, min(self.count, len(others)), replace=False)
        self.drawn = frozenset(drawn.tolist())
        selected = set(selected_B.tolist())
        self._pending = {question: value for question, value in self._pending.items() if question not in selected}
        if len(self._predicted_P):
            alone = self.drawn - self._awaited.keys()
            self._pending |= {question: float(self._predicted_P[question]) for question in sorted(alone)}
        self._awaited.update(selected | self.drawn)
        return rng.permutation(np.concatenate([selected_B, drawn]))

    @property
    def predicted(self) -> Mapping[int, float]:
        """Predicted difficulty of the questions that were drawn and not measured yet."""
        return self._pending

    def observe(
        self,
        questions_N: np.ndarray,
        difficulty_N: np.ndarray,
        asked: Mapping[int, float] | None = None,
        uniform: Set[int] = frozenset(),
    ) -> np.ndarray:
        """[N] bool, which of the measured questions were drawn uniformly in a round with predictions.

        Args:
            asked: predicted difficulty of the questions, of whatever round; None for those that this round has drawn.
            uniform: which of these were drawn uniformly.
        """
        self.learnt = self.learnt or len(questions_N) > 0
        predicted = self._pending if asked is None else {each: asked[each] for each in asked.keys() & uniform}
        explored_N = np.isin(questions_N, list(predicted))
        found = list(zip(questions_N[explored_N].tolist(), difficulty_N[explored_N].tolist(), strict=True))
        self._pairs += [(predicted[question], float(measured)) for question, measured in found]
        for question, _ in found:
            predicted.pop(question, None)  # one that was asked for twice is there twice
        self._awaited -= Counter(questions_N.tolist())
        return explored_N

    def take_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """[K] predicted and measured difficulties since the last call."""
        predicted_K, measured_K = np.array(self._pairs, dtype=np.float64).reshape(-1, 2).T
        self._pairs = []
        return predicted_K, measured_K

    def state_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "learnt": self.learnt,
            "predicted": self._predicted_P,
            "pending_questions": np.array(list(self._pending), dtype=np.int64),
            "pending_difficulty": np.array(list(self._pending.values()), dtype=np.float64),
            "awaited": np.array(sorted(self._awaited.elements()), dtype=np.int64),
            "pairs": np.array(self._pairs, dtype=np.float64).reshape(-1, 2),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("exploration", state, set(self.state_dict()))
        saved.same("count", "questions a batch that are drawn uniformly", self.count)
        learnt, predicted_P = saved.flag("learnt"), saved.array("predicted", np.float64, (None,))
        if len(predicted_P) not in (0, self.questions):
            raise saved.wrong("predicted", f"a difficulty of each of {self.questions} questions, or of none")
        question_K = saved.array("pending_questions", np.int64, (None,), Within(0, self.questions - 1))
        difficulty_K = saved.array("pending_difficulty", np.float64, question_K.shape)
        awaited = saved.array("awaited", np.int64, (None,), Within(0, self.questions - 1))
        pairs_K2 = saved.array("pairs", np.float64, (None, 2))
        self.learnt, self._predicted_P, self._awaited = learnt, predicted_P, Counter(awaited.tolist())
        self._pending = dict(zip(question_K.tolist(), difficulty_K.tolist(), strict=True))
        self._pairs = [tuple(pair) for pair in pairs_K2.tolist()]
