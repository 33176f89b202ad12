"""DOTS's selection in a simulated step: references, predictions, and the draw of `verl_dots.methods.selection.rule`.

The draw adds tau times Gumbel noise to the scores and takes the greatest. That one of a million such numbers exceeds
31 has a probability of 1 in 30 million. Questions that score worse by 31 tau than as many as are needed are hence left
out before the draw, which then sees few of them. A tau above 0.03 leaves none out.
"""

from collections.abc import Collection

import numpy as np

from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.methods.selection.exploration import Exploration
from verl_dots.methods.selection.round import rounds_batches
from verl_dots.methods.selection.rule import MOST_EFFECTIVE, drawn_by, select
from verl_dots.methods.selection.settings import SelectionConfig
from verl_dots.methods.selection.trust import LEAST, Trust
from verl_dots.simulation.prediction import Predictor
from verl_dots.simulation.response import Policy
from verl_dots.simulation.sources import NOTHING, Rolled, others, unpredicted

TAIL = 31.0  # of the Gumbel distribution


class Selected:
    """Questions of predicted difficulty near alpha, in rounds of mu batches.

    Args:
        settings: of the selection.
        difficulty: of the predictor: an online one remembers earlier groups, with a half-life.
        predictor, policy: what predicts, and what is predicted.
        batch_size: B.
        fresh: questions of a batch that are rolled out.
        rollouts: n, of a question.
        rng: draws references and batches.
        spare: further questions of a batch that a step may ask for.
    """

    def __init__(
        self, settings: SelectionConfig, difficulty: DifficultyConfig, predictor: Predictor, policy: Policy,
        batch_size: int, fresh: int, rollouts: int, rng: np.random.Generator, spare: int = 0,
    ):  # fmt: skip
        self.settings, self.predictor, self.policy, self.rng = settings, predictor, policy, rng
        self.questions, self.rollouts, self.spare = len(policy.difficulty_P), rollouts, spare
        exploration = Exploration.of(settings, fresh, self.questions)
        self.explored = exploration.count if exploration else 0
        self.batch_size, self.fresh = batch_size - self.explored, fresh - self.explored
        self.batches = rounds_batches(settings, self.questions, self.batch_size)
        least = 0 if settings.references else LEAST
        self.trust = Trust(settings.rho_floor, settings.rho_rounds, settings.uniform_rounds, least)
        self.trust.paused = settings.uniform_start
        self.half_life = difficulty.half_life if difficulty.predictor == "online" else 0.0
        self.spent, self.reused, self.target = 0, NOTHING, settings.alpha
        self._known, self._known_at = 0.0, 0  # groups that are remembered, by their weight, and the step of that
        self._queue: list[np.ndarray] = []
        self._reserve = self._references = np.empty(0, dtype=np.int64)
        self._argument_P: np.ndarray | None = None  # of this round's predictions, if there are any
        self._radius = 0.01  # within which there were enough questions
        self._expected: dict[int, float] = {}  # predicted difficulty of what is explored
        self._pairs: list[tuple[float, float]] = []

    def plan(self, step: int, temperature: float) -> np.ndarray:
        """The questions that a step rolls out, a new round where all batches are handed out."""
        self.reused = NOTHING
        if not self._queue:
            self._plan_round(step, temperature)
        batch = self._queue.pop(0)
        if not self.explored:
            return batch
        drawn = others(self.questions, self.explored, batch.tolist(), self.rng)
        if self._argument_P is not None:
            difficulty_N = self.predictor.difficulty(self._argument_P[drawn])
            self._expected |= dict(zip(drawn.tolist(), difficulty_N.tolist(), strict=True))
        return np.concatenate([batch, drawn])

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded: the round's next best, then any."""
        chosen = self._reserve[~np.isin(self._reserve, list(exclude))][:count]
        self._reserve = self._reserve[~np.isin(self._reserve, chosen)]
        missing = count - len(chosen)
        more = others(self.questions, missing, [*exclude, *chosen.tolist()], self.rng) if missing else chosen[:0]
        return np.concatenate([chosen, more])

    def predicted(self, questions_N: np.ndarray) -> np.ndarray:
        """[N] difficulties that the round predicts, nan for references, which it measured, and without trust."""
        if self._argument_P is None or self.trust.paused:
            return unpredicted(questions_N)
        predicted_N = self.predictor.difficulty(self._argument_P[questions_N])
        return np.where(np.isin(questions_N, self._references), np.nan, predicted_N)

    def observe(self, step: int, rolled: Rolled) -> None:
        """Remember the step's fresh groups, and compare what was predicted of those that were explored."""
        if self.half_life:
            self._remember(step, len(rolled.questions_N))
        for question, success in zip(rolled.questions_N.tolist(), rolled.success_N.tolist(), strict=True):
            if question in self._expected:
                self._pairs.append((self._expected.pop(question), 1 - success))

    def _remember(self, step: int, groups: int) -> None:
        """An observation counts half at the age of the half-life; none survives its round without one."""
        kept = 0.5 ** ((step - self._known_at) / self.half_life) if self.half_life else 0.0
        self._known, self._known_at = self._known * kept + groups, step

    def _plan_round(self, step: int, temperature: float) -> None:
        """Fill the queue."""
        if self.trust.paused or not (self.settings.references or self._known):
            self.trust.pass_round()
            self._uniform(self.batches * self.batch_size, ())
            self._expected, self._argument_P = {}, None
            return
        count = self.settings.references
        self._references = references_K = self.rng.choice(self.questions, count, replace=False)
        rollouts_K = np.full(count, self.rollouts)
        found = Rolled(references_K, self.policy.roll_out(references_K, rollouts_K, temperature), rollouts_K)
        self.spent += count * self.rollouts
        self._remember(step, count)
        self.predictor.renew(self._known)
        self._argument_P = argument_P = self.predictor.argument()
        if count:
            self.trust.judge(self.predictor.difficulty(argument_P[references_K]), 1 - found.success_N)
        else:
            self.trust.judge(*np.array(self._pairs, dtype=np.float64).reshape(-1, 2).T)
            self._pairs, self._expected = [], {}
        self._draw_round(argument_P, found)

    def _draw_round(self, argument_P: np.ndarray, found: Rolled) -> None:
        reused_R = self._reusable(found)
        self.reused = found.at(reused_R)
        sizes = [max(1, self.fresh - len(reused_R)), *[self.fresh] * (self.batches - 1)]
        total = self.batches * self.batch_size - len(reused_R)
        if self.trust.paused:
            self._uniform(total, self.reused.questions_N.tolist(), sizes)
            return
        total += self.batches * self.spare
        candidates, value_N, target = self._candidates(argument_P, found, reused_R, total)
        place = select(value_N, min(sum(sizes), len(value_N)), target, self.settings.tau, self.rng)
        self._queue = np.split(candidates[place], np.cumsum(sizes[:-1]))
        left = np.ones(len(candidates), dtype=bool)
        left[place] = False
        candidates, value_N = candidates[left], value_N[left]
        reserve = min(total - sum(sizes), len(candidates))
        self._reserve = candidates[select(value_N, reserve, target, self.settings.tau, self.rng)]

    def _candidates(
        self, argument_P: np.ndarray, found: Rolled, reused_R: np.ndarray, total: int
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Questions that can be drawn, references among them where they can be; what these are drawn by, its target."""
        near = self._near(argument_P, total + len(found.questions_N))
        near = near[~np.isin(near, found.questions_N)]
        few = self.questions - len(found.questions_N) < total - self.batches * self.spare
        can_K = np.full(len(found.questions_N), self.settings.references_are_candidates or few)
        can_K[reused_R] = False
        candidates = np.concatenate([near, found.questions_N[can_K]])
        difficulty_N = np.concatenate([self.predictor.difficulty(argument_P[near]), 1 - found.success_N[can_K]])
        expected_N = self.predictor.effectiveness(argument_P[candidates]) if self._by_effectiveness else None
        return candidates, *drawn_by(difficulty_N, expected_N, self.settings.alpha)

    @property
    def _by_effectiveness(self) -> bool:
        return self.settings.score == "effectiveness"

    def _near(self, argument_P: np.ndarray, needed: int) -> np.ndarray:
        """Questions that a draw of `needed` could choose."""
        needed, target = min(needed, self.questions), MOST_EFFECTIVE if self._by_effectiveness else self.settings.alpha

        def within(radius: float, argument_N: np.ndarray) -> np.ndarray:
            low, high = self.predictor.interval(self._by_effectiveness, target, radius)
            return np.flatnonzero((argument_N >= low) & (argument_N <= high))

        self._radius = max(self._radius / 2, 1e-3)
        while True:
            near = within(self._radius + TAIL * self.settings.tau, argument_P)
            if self._radius >= 1 or len(within(self._radius, argument_P[near])) >= needed:
                return near
            self._radius *= 2

    def _reusable(self, found: Rolled) -> np.ndarray:
        """Positions of the effective references nearest to alpha; at least one question of a batch stays fresh."""
        if not self.settings.reuse_references:
            return np.empty(0, dtype=np.int64)
        distance_K = np.where(found.effective_N, np.abs(1 - found.success_N - self.settings.alpha), np.inf)
        most = min(int(found.effective_N.sum()), self.batch_size - 1)
        return np.argsort(distance_K, kind="stable")[:most]

    def _uniform(self, total: int, exclude: Collection[int], sizes: list[int] | None = None) -> None:
        sizes = sizes or [self.fresh] * self.batches
        chosen = others(self.questions, total, exclude, self.rng)
        *self._queue, self._reserve = np.split(chosen, np.cumsum(sizes))
