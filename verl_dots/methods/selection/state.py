"""Which questions each step rolls out: DOTS's selection rounds, on the driver, seeded, without I/O.

A round, every mu train batches: `begin_round` names the reference questions; once they are rolled out and the others'
difficulty is predicted, `plan` draws the mu batches; `next_batch` hands them out one a step, at the target of that
step, and `top_up` what replay could not fill; `observe` compares what was predicted with what the rollouts then showed.
While the predictions are not worth their references (`Trust`), rounds draw uniformly instead.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from verl_dots.difficulty.agreement import calibration_error, pearson
from verl_dots.methods.selection.round import Round, rounds_batches
from verl_dots.methods.selection.rule import drawn_by
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.methods.selection.trust import LEAST, Trust
from verl_dots.state_values import Values, Within


class SelectionCurriculum:
    """DOTS's selection for one run.

    Args:
        settings: of the selection.
        questions: P, how many there are to choose from.
        batch_size: B, questions of a train batch.
        rng: draws references and batches; its state is part of the curriculum's.
        fresh: delta * B, questions of a batch that are rolled out where replay fills the rest; all B by default.
        spare: further questions of each batch that a round names, for groups that give way to others.

    Raises:
        ValueError: fewer questions than references or than one batch.
    """

    def __init__(
        self,
        settings: SelectionConfig,
        questions: int,
        batch_size: int,
        rng: np.random.Generator,
        fresh: int | None = None,
        spare: int = 0,
    ):
        self.settings, self.questions, self.batch_size, self.rng = settings, questions, batch_size, rng
        self.fresh = batch_size if fresh is None else fresh
        self.spare = spare
        self.batches = rounds_batches(settings, questions, batch_size)
        least = 0 if settings.references else LEAST
        self.trust = Trust(settings.rho_floor, settings.rho_rounds, settings.uniform_rounds, least)
        self.trust.paused = settings.uniform_start
        self._round = Round(None, np.ones(questions, dtype=bool), np.ones(questions, dtype=bool))  # that is over
        self._references = np.empty(0, dtype=np.int64)  # of this round, whose difficulty was measured
        self._predicted: dict[int, float] = {}  # of the questions that this round has drawn
        self._seen: list[tuple[float, float]] = []  # (predicted, measured) of this round's questions so far

    @property
    def uniform(self) -> bool:
        """Whether the round was drawn without regard to difficulty."""
        return self._round.drawn_by_P is None

    @property
    def reserve(self) -> np.ndarray:
        """What `top_up` takes before it draws at random."""
        return self._round.further

    @property
    def round_due(self) -> bool:
        """Whether all planned batches are handed out."""
        return self._round.over

    def begin_round(self) -> np.ndarray:
        """[K] reference questions to roll out, drawn uniformly; none while the predictions are not trusted."""
        if self.trust.paused:
            return np.empty(0, dtype=np.int64)
        return self.rng.permutation(self.questions)[: self.settings.references]

    def plan_uniform(self) -> None:
        """Draw the batches of a round without regard to difficulty."""
        self.trust.pass_round()
        chosen = self.rng.permutation(self.questions)[: self.batches * self.batch_size]
        self._begin(Round(None, *np.ones((2, self.questions), dtype=bool)), np.empty(0, dtype=np.int64))
        self._round.fill(chosen, [self.fresh] * self.batches)

    def plan(
        self,
        references_K: np.ndarray,
        measured_K: np.ndarray,
        effective_K: np.ndarray,
        held_out_K: np.ndarray,
        predicted_P: np.ndarray,
        target: float,
        expected_P: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw the batches of a round.

        Args:
            references_K: the questions that `begin_round` named.
            measured_K: their adaptive difficulty.
            effective_K: bool, whether their rollouts had different rewards.
            held_out_K: their difficulty as predicted without their own new rollouts.
            predicted_P: predicted difficulty of every question.
            target: adaptive difficulty that the questions should have.
            expected_P: expected share of effective groups of every question, to draw by it in place of the difficulty.

        Returns:
            [R] positions in `references_K` whose rollouts are trained on, in place of R fresh questions of the first
            batch.
        """
        self.trust.judge(held_out_K, measured_K)
        reused_R = self._reusable(measured_K, effective_K, target)
        difficulty_P = np.array(predicted_P, dtype=np.float64)
        difficulty_P[references_K] = measured_K
        preferred_P, unused_P = np.ones((2, self.questions), dtype=bool)
        # Where there are too few others, references are candidates in any case.
        preferred_P[references_K] = self.settings.references_are_candidates
        unused_P[references_K[reused_R]] = False
        drawn_P, target = drawn_by(difficulty_P, expected_P, target)
        self._begin(Round(None if self.trust.paused else drawn_P, preferred_P, unused_P), references_K)
        sizes = [max(1, self.fresh - len(reused_R)), *[self.fresh] * (self.batches - 1)]
        reserve = self.batches * self.batch_size - len(reused_R) - sum(sizes)
        self._round.draw(sizes, reserve, target, self.settings.tau, self.rng, self.batches * self.spare)
        self._predict(difficulty_P)
        return reused_R

    def next_batch(self, target: float) -> np.ndarray:
        """Questions to roll out in this step: delta * B; in a round's first batch less the reused, but at least one.

        Args:
            target: adaptive difficulty of the step; where it is another than the round was drawn at, the batches to
                come are drawn again, by the round's predictions.
        """
        # By effectiveness there is no target difficulty to follow.
        by_difficulty = self.settings.score == "difficulty"
        if by_difficulty and self._round.follow(target, self.settings.tau, self.rng):
            self._predict(self._round.drawn_by_P)
        return self._round.next_batch()

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further questions, none of the excluded: this round's next best, then any at random."""
        return self._round.top_up(count, exclude, self.rng)

    @property
    def predicted(self) -> Mapping[int, float]:
        """Predicted difficulty of the questions of this round that were not measured."""
        return self._predicted

    @property
    def planned(self) -> np.ndarray:
        """Of these, questions of the batches to come and those kept in reserve for replay, not the spare ones."""
        return np.array([question for question in self._round.planned.tolist() if question in self._predicted], int)

    def observe(
        self, questions_N: np.ndarray, difficulty_N: np.ndarray, asked: Mapping[int, float] | None = None
    ) -> dict[str, float]:
        """Take in the measured difficulty of questions and return the round's figures.

        Args:
            asked: the predicted difficulty of those that this or an earlier round chose; None for this round alone.

        Returns:
            Of the selected questions measured in the round so far: mean predicted and measured difficulty, Pearson
            correlation and calibration error. Empty where nothing was predicted.
        """
        predicted = self._predicted if asked is None else asked
        pairs = zip(questions_N.tolist(), difficulty_N.tolist(), strict=True)
        self._seen += [(predicted[question], found) for question, found in pairs if question in predicted]
        if not self._seen:
            return {}
        predicted_N, measured_N = np.array(self._seen).T
        figures = {
            "predicted_difficulty": predicted_N.mean(),
            "measured_difficulty": measured_N.mean(),
            "rho": pearson(predicted_N, measured_N),
            "calibration_error": calibration_error(predicted_N, measured_N),
        }
        return {name: float(value) for name, value in figures.items() if np.isfinite(value)}

    def state_dict(self) -> dict[str, Any]:
        return {
            "questions": self.questions,
            "batch_size": self.batch_size,
            "fresh": self.fresh,
            "rng": self.rng.bit_generator.state,
            "round": self._round.state_dict(),
            "references": self._references,
            "predicted_questions": np.array(list(self._predicted), dtype=np.int64),
            "predicted_difficulty": np.array(list(self._predicted.values()), dtype=np.float64),
            "seen": np.array(self._seen, dtype=np.float64).reshape(-1, 2),
            "trust": self.trust.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved, known = Values("selection", state, set(self.state_dict())), Within(0, self.questions - 1)
        saved.same("questions", "questions to select from", self.questions)
        saved.same("batch_size", "data.train_batch_size", self.batch_size)
        saved.same("fresh", "fresh questions a batch (dots.replay.delta)", self.fresh)
        self._round = Round.from_state(saved.raw("round"), self.questions)
        self.trust.load_state_dict(saved.raw("trust"))
        self.rng.bit_generator.state = saved.generator("rng", self.rng)
        self._references = saved.array("references", np.int64, (None,), known)
        question_K = saved.array("predicted_questions", np.int64, (None,), known)
        difficulty_K = saved.array("predicted_difficulty", np.float64, question_K.shape)
        self._predicted = dict(zip(question_K.tolist(), difficulty_K.tolist(), strict=True))
        self._seen = [tuple(pair) for pair in saved.array("seen", np.float64, (None, 2)).tolist()]

    def _reusable(self, measured_K: np.ndarray, effective_K: np.ndarray, target: float) -> np.ndarray:
        """Positions of the effective references nearest to the target; at least one question of a batch stays fresh."""
        if not self.settings.reuse_references:
            return np.empty(0, dtype=np.int64)
        distance_K = np.where(effective_K, np.abs(measured_K - target), np.inf)
        nearest = np.argsort(distance_K, kind="stable")
        return nearest[: min(int(effective_K.sum()), self.batch_size - 1)]

    def _begin(self, one: Round, references_K: np.ndarray) -> None:
        self._round, self._references = one, references_K
        self._predicted, self._seen = {}, []

    def _predict(self, difficulty_P: np.ndarray) -> None:
        """Remember what is predicted of the questions that the round has drawn; references were measured."""
        drawn = self._round.drawn
        drawn = drawn[~np.isin(drawn, self._references)]
        self._predicted |= dict(zip(drawn.tolist(), difficulty_P[drawn].tolist(), strict=True))
