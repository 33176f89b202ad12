"""DOTS's selection in a train step: reference rollouts, predictions, and the batches chosen by them.

What is chosen is the business of `state`, how difficulty is predicted that of `verl_dots.difficulty`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
from omegaconf import DictConfig, OmegaConf

from verl_dots.bridge.queue.rows import TRAIN, Rows
from verl_dots.config import DotsConfig
from verl_dots.difficulty.predictors import DifficultyPredictor, identity_of
from verl_dots.methods.hooks import Source
from verl_dots.methods.run import References, Run
from verl_dots.methods.selection.checks import CACHE, FIELD, refuse_selection, refuse_selection_questions
from verl_dots.methods.selection.exploration import Exploration
from verl_dots.methods.selection.migrations import to_version_2, to_version_3
from verl_dots.methods.selection.state import SelectionCurriculum
from verl_dots.state import require_equal, require_keys
from verl_dots.step import Group, Origin, Step, columns, difficulty

SEED_STREAM = 2506_05316  # apart from every other generator that is seeded with dots.seed


class Selection(Source):
    """Selection for one run of the trainer."""

    name = "selection"
    METRICS = {
        "trusted": "1 where the round was chosen by predictions, 0 where uniformly",
        "reference/difficulty": "mean measured difficulty of the references",
        "reference/effective_groups": "share of the references whose rewards differ",
        "reference/reused_groups": "references whose rollouts the step trains on",
        "reference/rho": "Pearson correlation of predicted and measured difficulty of the last rounds' references",
        "explored/groups": "questions of the last rounds drawn uniformly and measured, with references=0",
        "explored/rho": "Pearson correlation of their predicted and measured difficulty",
        "predicted_difficulty/all": "mean predicted difficulty of all questions",
        "predicted_effective_groups/all": "mean expected share of effective groups, of all questions "
        "(with score=effectiveness)",
        "predicted_effective_groups": "of the round's chosen questions and those kept in reserve for replay "
        "(with score=effectiveness); compare with effective_groups",
        "predicted_difficulty": "mean predicted difficulty of the chosen questions measured in the round so far",
        "measured_difficulty": "mean difficulty that their rollouts showed",
        "rho": "Pearson correlation of the two, near 0 by construction: the chosen were predicted alike",
        "calibration_error": "mean distance of predicted from measured difficulty, by bins, of the round so far",
        "effective_groups": "share of the step's chosen questions whose rewards differ",
    }
    STATE_VERSION = 3
    MIGRATIONS = {1: to_version_2, 2: to_version_3}
    knows_questions = True
    refuse = staticmethod(refuse_selection)
    refuse_questions = staticmethod(refuse_selection_questions)

    def __init__(
        self,
        run: Run,
        curriculum: SelectionCurriculum,
        predictor: DifficultyPredictor,
        exploration: Exploration | None = None,
    ):
        super().__init__(run)
        self.curriculum, self.predictor, self.exploration = curriculum, predictor, exploration

    @classmethod
    def on_conflict(cls, dots: DotsConfig) -> str:
        return dots.selection.conflicting_answers

    @classmethod
    def written_folders(cls, config: DictConfig) -> Sequence[str]:
        return (CACHE,) if OmegaConf.select(config, "dots.selection.enable") else ()

    @classmethod
    def make(cls, run: Run) -> Self:
        from verl_dots.methods.selection.worker import DifficultyWorkerGroup

        settings = run.dots.selection
        exploration = Exploration.of(settings, run.fresh, len(run.questions))
        explored = exploration.count if exploration else 0
        batch_size, fresh = run.batch_size - explored, run.fresh - explored
        further = run.dots.refill.enable or run.dots.stop_early.enable
        spare = run.batch_size if further else 0
        rng = run.rng(SEED_STREAM)
        curriculum = SelectionCurriculum(settings, len(run.questions), batch_size, rng, fresh, spare)
        predictor = DifficultyWorkerGroup(run.dots.difficulty, run.resources, run.config.trainer.device)
        field = run.dots.difficulty.field
        known_P = None if field is None else run.questions.numbers(field, FIELD)
        predictor.embed(run.questions.known.texts, run.questions.known.answers, run.news, known_P)
        return cls(run, curriculum, predictor, exploration)

    # --- a step ----------------------------------------------------------------------------------------------

    def plan(self, step: Step) -> np.ndarray:
        """The next batch of the round, at the step's target; where all are handed out, a round is planned first.

        To be called with the engine holding the current weights.
        """
        if self.curriculum.round_due:
            with step.timed("selection"):
                references_K = self.curriculum.begin_round()
                if self.exploration:
                    self._plan_without_references(step)
                elif len(references_K):
                    self._plan_round(step, references_K)
                else:
                    self.curriculum.plan_uniform()
                    self._figures["selection/trusted"] = 0.0
        batch, predicted = self.curriculum.next_batch(step.target), self.curriculum.predicted
        if self.exploration:
            batch = self.exploration.mixed(batch, self.curriculum.rng)
            predicted = {**predicted, **self.exploration.predicted}
        drawn, chosen = self.exploration.drawn if self.exploration else frozenset(), frozenset(batch.tolist())
        if self.curriculum.uniform:  # the round that lost the trust has predictions, for its figures alone
            predicted, drawn = {}, chosen
        # A step that asks for groups ahead plans several rounds, and each says what it predicts.
        before = {question: known for question, known in step.predicted.items() if question not in chosen}
        step.predicted, step.uniform = {**before, **predicted}, step.uniform - chosen | drawn
        return batch

    def top_up(self, step: Step, count: int, exclude: Collection[int]) -> np.ndarray:
        reserve = [] if self.curriculum.uniform else self.curriculum.reserve.tolist()
        chosen = self.curriculum.top_up(count, exclude)
        step.uniform |= set(chosen.tolist()) - set(reserve)
        return chosen

    def _plan_round(self, step: Step, references_K: np.ndarray) -> None:
        """A round by algorithm 1: measure the references, predict the others, choose; then hand over what is reused."""
        with step.timed("reference_rollouts"):
            found: References = self.run.trainer.roll_out_references(step, references_K)
        references_K = references_K[found.complete_K]
        by_uid = found.rows.groups(dict(zip(found.uids, references_K.tolist(), strict=True)))
        groups = [by_uid[uid] for uid in found.uids]
        measured_K = np.array([self._difficulty(group) for group in groups])
        effective_K = np.array([group.effective for group in groups])
        with step.timed("predict_difficulty"):
            sizes_K = np.array([group.size for group in groups])
            self.predictor.observe(step.number, references_K, measured_K, sizes_K, effective_K)
            predicted_P, held_out_K = self.predictor.predict(step.number, references_K, measured_K)
            expected_P = self._expected_effectiveness(step, references_K, measured_K)
        reused_R = self.curriculum.plan(
            references_K, measured_K, effective_K, held_out_K, predicted_P, step.target, expected_P
        )
        unused = self._hand_over(found.rows, [groups[place] for place in reused_R], step)
        unused_tokens = found.dropped_tokens + unused.tokens
        step.other_tokens += unused_tokens
        step.other_rollouts += found.dropped_rollouts + unused.rollouts
        figures = {
            "trusted": float(not self.curriculum.trust.paused),
            "reference/difficulty": float(measured_K.mean()),
            "reference/effective_groups": float(effective_K.mean()),
            "reference/reused_groups": float(len(reused_R)),
            "reference/rho": self.curriculum.trust.rho,
            "predicted_difficulty/all": float(predicted_P.mean()),
        }
        figures |= self._expected_figures(expected_P)
        self._figures |= {f"selection/{name}": value for name, value in figures.items() if np.isfinite(value)}
        name = "training/unused_tokens"  # where rollouts go ahead of the first step, it begins with two rounds
        step.metrics[name] = step.metrics.get(name, 0.0) + float(unused_tokens)

    def _plan_without_references(self, step: Step) -> None:
        """A round by what training has rolled out; uniform before there is any, or where predictions are distrusted."""
        trust, none = self.curriculum.trust, np.empty(0, dtype=np.int64)
        pairs = self.exploration.take_pairs()
        if trust.paused or not self.exploration.learnt:
            self.exploration.begin_round(None)
            self.curriculum.plan_uniform()
            self._figures["selection/trusted"] = 0.0
            return
        trust.judge(*pairs)
        figures = {"explored/groups": float(trust.pairs), "explored/rho": trust.rho}
        with step.timed("predict_difficulty"):
            predicted_P, _ = self.predictor.predict(step.number, none, np.empty(0))
            expected_P = self._expected_effectiveness(step, none, np.empty(0))
        self.exploration.begin_round(predicted_P)
        self.curriculum.plan(none, np.empty(0), none > 0, np.empty(0), predicted_P, step.target, expected_P)
        figures |= {"trusted": float(not trust.paused), "predicted_difficulty/all": float(predicted_P.mean())}
        figures |= self._expected_figures(expected_P)
        self._figures |= {f"selection/{name}": value for name, value in figures.items() if np.isfinite(value)}

    def _expected_effectiveness(
        self, step: Step, references_K: np.ndarray, measured_K: np.ndarray
    ) -> np.ndarray | None:
        """[P] expected share of effective groups, where questions are drawn by it."""
        if self.run.dots.selection.score != "effectiveness":
            return None
        return self.predictor.effectiveness(step.number, references_K, measured_K, self.run.rollout.n)

    def _expected_figures(self, expected_P: np.ndarray | None) -> dict[str, float]:
        """What is expected of all questions and of those that the round has drawn."""
        if expected_P is None or not len(self.curriculum.planned):
            return {}
        return {
            "predicted_effective_groups/all": float(expected_P.mean()),
            "predicted_effective_groups": float(expected_P[self.curriculum.planned].mean()),
        }

    def _hand_over(self, rows: Rows, reused: list[Group], step: Step) -> Rows:
        """Make the reused groups part of the step, and return the others, which have left the queue."""
        names = {group.uid: group.question for group in reused}
        uids = rows.uids
        kept = rows.at([place for place, uid in enumerate(uids) if uid in names])
        kept.move(TRAIN, Origin.REFERENCE, step.number)
        rows.clear()
        step.question_of |= names
        return rows.at([place for place, uid in enumerate(uids) if uid not in names])

    def observe(self, step: Step, rows: Rows) -> None:
        """Take in what the chosen questions' rollouts showed, each at the step that sampled them."""
        if not (chosen := step.chosen):
            return
        for sampled in sorted({group.sampled for group in chosen}):
            groups = [group for group in chosen if group.sampled == sampled]
            questions_N, _, sizes_N = columns(groups)
            difficulty_N = np.array([self._difficulty(group) for group in groups])
            effective_N = np.array([group.effective for group in groups])
            self.predictor.observe(sampled, questions_N, difficulty_N, sizes_N, effective_N)
        questions_N, difficulty_N = columns(chosen)[0], np.array([self._difficulty(group) for group in chosen])
        if self.exploration:
            explored_N = self.exploration.observe(questions_N, difficulty_N, step.forecast, step.uniform)
            chosen = [group for group, explored in zip(chosen, explored_N, strict=True) if not explored]
            questions_N, difficulty_N = questions_N[~explored_N], difficulty_N[~explored_N]
        figures = self.curriculum.observe(questions_N, difficulty_N, step.forecast)
        if chosen:
            figures["effective_groups"] = float(np.mean([group.effective for group in chosen]))
        self._figures |= {f"selection/{name}": value for name, value in figures.items()}

    def _difficulty(self, group: Group) -> float:
        return difficulty(group.mean_reward, self.run.dots.reward_range, group.uid)

    # --- checkpoints -----------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next selection depends on."""
        return {
            "identity": identity_of(self.run.dots.difficulty),
            "curriculum": self.curriculum.state_dict(),
            "predictor": self.predictor.state_dict(),
            **({"exploration": self.exploration.state_dict()} if self.exploration else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Refuses one of other embeddings or predictor weights, too."""
        more = {"exploration"} if self.exploration else set()
        require_keys("selection", state, {"identity", "curriculum", "predictor", *more})
        require_equal("difficulty predictor and embeddings", state["identity"], identity_of(self.run.dots.difficulty))
        self.curriculum.load_state_dict(state["curriculum"])
        self.predictor.load_state_dict(state["predictor"])
        if self.exploration:
            self.exploration.load_state_dict(state["exploration"])
