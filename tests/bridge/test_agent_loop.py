"""What a prompt carries to its rollouts, without Ray."""

from collections import Counter

import numpy as np
from verl.utils import tensordict_utils as tu

from verl_dots.bridge.agent_loop import FIRST_ROLLOUT, REPEATED, number_repeats


def prompts(*questions):
    column = np.empty(len(questions), dtype=object)
    column[:] = [[{"role": "user", "content": question}] for question in questions]
    return tu.get_tensordict({"raw_prompt": column})


def test_different_prompts_are_left_as_they_are():
    batch = prompts("1 + 1", "1 + 2")
    number_repeats(batch, Counter())
    assert FIRST_ROLLOUT not in batch


def test_a_prompt_that_comes_again_in_a_step_has_rollouts_of_its_own_numbers():
    seen = Counter()
    first, second = prompts("1 + 1", "1 + 2", "1 + 1"), prompts("1 + 3", "1 + 1")
    number_repeats(first, seen)
    number_repeats(second, seen)
    assert list(first[FIRST_ROLLOUT]) == [0, 0, REPEATED]
    assert list(second[FIRST_ROLLOUT]) == [0, 2 * REPEATED]
