"""AdaRFT: the questions of a step are those nearest to a target difficulty, which follows the reward of every step.

`Target` is the controller; `TargetCurriculum` chooses by it among questions of known difficulty. Where difficulty is
predicted, the target alone is used and the choice is `SelectionCurriculum`'s.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from verl_dots.methods.adarft.rule import nearest_unused, next_target
from verl_dots.methods.adarft.settings import AdaRFTConfig
from verl_dots.methods.damping import damped
from verl_dots.methods.nearest import nearest
from verl_dots.state_values import Values, Within


class Target:
    """The target difficulty of one run.

    Args:
        settings: of AdaRFT.
        steps: of the whole run, for a target on a schedule.
    """

    def __init__(self, settings: AdaRFTConfig, steps: int):
        self.settings, self.steps = settings, steps
        self.value = settings.initial
        self._reward: float | None = None  # that the target follows: of the last step, or a moving average

    def follow(self, reward: float | None, step: int) -> None:
        """Move on after a step.

        Args:
            reward: mean reward of its new questions that were chosen at the target; None where it has none.
            step: its number, from 1.

        Raises:
            ValueError: the reward is not finite.
        """
        settings = self.settings
        low, high = settings.range
        if settings.follow == "schedule":
            self.value = settings.initial + min(1.0, step / max(1, self.steps - 1)) * (high - settings.initial)
        elif settings.follow == "reward" and reward is not None:
            self._reward = damped(self._reward, reward, settings.damping)
            rule = {"eta": settings.eta, "sensitivity": settings.sensitivity, "beta": settings.beta}
            self.value = next_target(self.value, self._reward, **rule, low=low, high=high)

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "reward": self._reward}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved = Values("target difficulty", state, {"value", "reward"})
        value, reward = saved.number("value"), saved.number("reward") if saved.given("reward") else None
        self.value, self._reward = value, reward


class TargetCurriculum:
    """Questions of known difficulty, the nearest to a target in each step.

    Args:
        target: the controller.
        difficulty_P: [P] difficulty of each question.
        fresh: questions of a step.
        rng: draws among equally near questions, or among all where nothing is followed.

    Raises:
        ValueError: fewer questions within dots.adarft.within than `fresh`.
    """

    def __init__(self, target: Target, difficulty_P: np.ndarray, fresh: int, rng: np.random.Generator):
        self.target, self.difficulty_P, self.fresh, self.rng = target, difficulty_P, fresh, rng
        self.settings = target.settings
        low, high = self.settings.within or (-np.inf, np.inf)
        self._allowed = np.flatnonzero((difficulty_P >= low) & (difficulty_P <= high))
        if len(self._allowed) < fresh:
            raise ValueError(
                f"{len(self._allowed)} of {len(difficulty_P)} questions have a difficulty within "
                f"dots.adarft.within={self.settings.within}; a step needs {fresh}: widen it or lower "
                "data.train_batch_size"
            )
        self._used_P = np.zeros(len(difficulty_P), dtype=bool)
        self._order = np.empty(0, dtype=np.int64)  # of what is left of an epoch, where nothing is followed

    def planned(self) -> np.ndarray:
        """The questions of this step."""
        return self.top_up(self.fresh, ())

    def top_up(self, count: int, exclude: Collection[int]) -> np.ndarray:
        """Up to `count` further ones, none of the excluded."""
        candidates = self._allowed[~np.isin(self._allowed, list(exclude))]
        count = min(count, len(candidates))
        if self.settings.follow == "nothing":
            return self._next_of_epoch(count, candidates)
        difficulty, target = self.difficulty_P[candidates], self.target.value
        if self.settings.coverage is None:
            return candidates[nearest(difficulty, target, count, self.rng)]
        used = self._used_P[candidates]
        chosen = candidates[nearest_unused(difficulty, target, count, used, self.settings.coverage, self.rng)]
        self._used_P[candidates] = used
        return chosen

    @property
    def covered(self) -> float:
        """Share of the questions that had their turn, of those that may be chosen."""
        return float(self._used_P[self._allowed].mean())

    def _next_of_epoch(self, count: int, candidates: np.ndarray) -> np.ndarray:
        """Those whose turn is next. What is no candidate keeps its turn, also when the next epoch begins."""
        if len(np.intersect1d(self._order, candidates)) < count:
            self._order = np.concatenate([self._order, self.rng.permutation(self._allowed)])
        places = np.sort(np.unique(self._order, return_index=True)[1])  # the next turn of each question
        places = places[np.isin(self._order[places], candidates)][:count]
        chosen, self._order = self._order[places], np.delete(self._order, places)
        return chosen

    def state_dict(self) -> dict[str, Any]:
        return {
            "questions": len(self.difficulty_P),
            "fresh": self.fresh,
            "used": self._used_P.copy(),
            "order": self._order.copy(),
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        saved, questions = Values("AdaRFT", state, set(self.state_dict())), len(self.difficulty_P)
        saved.same("questions", "questions to choose from", questions)
        saved.same("fresh", "fresh questions of a step", self.fresh)
        used_P, rng = saved.array("used", bool, (questions,)), saved.generator("rng", self.rng)
        self._order = saved.array("order", np.int64, (None,), Within(0, questions - 1))
        self._used_P, self.rng.bit_generator.state = used_P, rng
