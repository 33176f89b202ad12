"""The prompts that a step has rolled out: their names, their random numbers, and the rest of groups that have begun."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu

from verl_dots.bridge.agents.agent_loop import FIRST_ROLLOUT, FIRST_SESSION, REPEATED, number_repeats
from verl_dots.step import Step

SIZE = "__rollout_n__"  # verl's field: rollouts of a prompt
# References and fresh rollouts of one question in one step must not draw the same random numbers.
FIRST_REFERENCE_ROLLOUT = 1_000_000


def column(values: Any) -> Any:
    """Values, one a row, as a field of a batch of prompts."""
    return tu.get_tensordict({"column": np.array(values, dtype=object)})["column"]


@dataclass
class StepPrompts:
    """What one step has asked for.

    Attributes:
        step: at hand.
        default_size: rollouts of a prompt that says nothing else.
        among_others: whether groups of several steps are sampled with the same weights.
    """

    step: Step
    default_size: int
    among_others: bool = False
    _seen: Counter[str] = field(default_factory=Counter)
    _named: int = 0
    _references: list[int] = field(default_factory=list)  # in each round of them
    _begun: dict[str, tuple[int, int]] = field(default_factory=dict)  # uid -> (index of the first rollout, rollouts)

    def name(self, prompts: TensorDict) -> list[str]:
        """Give prompts uids that sort in the batch's order, and repeated ones random numbers of their own."""
        number_repeats(prompts, self._seen, self.step.number if self.among_others else 0)
        uids = [self.step.name("prompt", self._named + place) for place in range(len(prompts))]
        self._named += len(prompts)
        prompts["uid"] = column(uids)
        return uids

    def name_references(self, count: int) -> tuple[list[str], int]:
        """Names of a round of references, and the index of each one's first rollout."""
        first = FIRST_REFERENCE_ROLLOUT + len(self._references) * REPEATED
        uids = [self.step.name("reference", sum(self._references) + place) for place in range(count)]
        self._references.append(count)
        return uids, first

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
