"""The prompts that a step has rolled out: their names, their random numbers, and the rest of groups that have begun."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from tensordict import TensorDict

from verl_dots.bridge.agent_loop import FIRST_ROLLOUT, FIRST_SESSION, number_repeats
from verl_dots.bridge.trainer import column
from verl_dots.step import Step

SIZE = "__rollout_n__"  # verl's field: rollouts of a prompt


@dataclass
class StepPrompts:
    """What one step has asked for.

    Attributes:
        step: at hand.
        default_size: rollouts of a prompt that says nothing else.
    """

    step: Step
    default_size: int
    _seen: Counter[str] = field(default_factory=Counter)
    _named: int = 0
    _begun: dict[str, tuple[int, int]] = field(default_factory=dict)  # uid -> (index of the first rollout, rollouts)

    def name(self, prompts: TensorDict) -> list[str]:
        """Give prompts uids that sort in the batch's order, and repeated ones random numbers of their own."""
        number_repeats(prompts, self._seen)
        uids = [self.step.name("prompt", self._named + place) for place in range(len(prompts))]
        self._named += len(prompts)
        prompts["uid"] = column(uids)
        return uids

    def sizes(self, prompts: TensorDict) -> list[int]:
        """Rollouts of each prompt."""
        given = list(prompts[SIZE]) if SIZE in prompts.keys() else [self.default_size] * len(prompts)  # noqa: SIM118
        return [int(size) for size in given]

    def begin_with(self, prompts: TensorDict, first_N: np.ndarray) -> None:
        """Have groups begin with so many of their rollouts."""
        first_rollouts = list(prompts[FIRST_ROLLOUT]) if FIRST_ROLLOUT in prompts.keys() else [0] * len(prompts)  # noqa: SIM118
        begun = zip(map(int, first_rollouts), first_N.tolist(), strict=True)
        self._begun |= dict(zip(prompts["uid"], begun, strict=True))
        prompts[SIZE] = column(first_N.tolist())

    def rest(self, prompts: TensorDict, whole: Mapping[str, int]) -> TensorDict:
        """The prompts of begun groups for their other rollouts, with the random numbers that these have anyhow.

        Args:
            prompts: of the questions.
            whole: uid -> rollouts in all, in the order of the prompts.
        """
        begun = [self._begun[uid] for uid in whole]
        prompts["uid"] = column(list(whole))
        prompts[FIRST_ROLLOUT] = column([first for first, _ in begun])
        prompts[FIRST_SESSION] = column([there for _, there in begun])
        prompts[SIZE] = column([size - there for size, (_, there) in zip(whole.values(), begun, strict=True)])
        return prompts
