"""What a question's rollouts come to, and means over questions with their intervals. Pure functions.

An estimate for a data set is a mean over its questions. Its 95 % interval is the normal one over questions: mean ±
1.96 s / sqrt(P), s the standard deviation of the questions' values (divided by P - 1). It covers the draw of
questions and rollouts alike, and needs no random numbers. With one question it is not known (NaN).
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A mean over questions, or a mean of such means.

    Attributes:
        value: the mean.
        half_width: of its 95 % interval; NaN where it is not known.
    """

    value: float
    half_width: float


def pass_at_k(rollouts: int, right: int, k: int) -> float:
    """Chance that at least one of k rollouts, drawn without replacement from those there are, is right.

    1 - C(n - c, k) / C(n, k) of n rollouts of which c are right: the unbiased estimate of pass@k (arXiv 2107.03374,
    equation 1). The coefficients are whole numbers of any length, so nothing overflows or cancels, and the one division
    rounds once. n = 4, c = 2, k = 2 gives 1 - 1/6.

    Raises:
        ValueError: not 0 <= right <= rollouts, or not 1 <= k <= rollouts.
    """
    if not 0 <= right <= rollouts:
        raise ValueError(f"right={right}: must be from 0 to the {rollouts} rollouts")
    if not 1 <= k <= rollouts:
        raise ValueError(f"k={k}: must be from 1 to the {rollouts} rollouts")
    draws = math.comb(rollouts, k)
    return (draws - math.comb(rollouts - right, k)) / draws


def sizes(rollouts: int) -> tuple[int, ...]:
    """The k of pass@k: powers of two up to the number of rollouts, and that number. 12 gives 1, 2, 4, 8, 12."""
    powers = {2**power for power in range(rollouts.bit_length()) if 2**power <= rollouts}
    return tuple(sorted(powers | {rollouts}))


def majority_is_right(
    answers_G: Sequence[Hashable | None],
    right_G: Sequence[bool],
    same: Callable[[Hashable, Hashable], bool] | None = None,
) -> bool:
    """Whether the answer that most rollouts give is right.

    All right rollouts give one answer: that of the ground truth. Wrong ones give one answer if theirs are equal, or
    `same`. Of answers with as many votes, the one that was given first wins. A rollout that is wrong and has no answer
    does not vote; where nobody votes the majority is not right.

    Args:
        answers_G: the rollouts' answers in their order; None for none.
        right_G: whether each is right.
        same: whether two answers that differ are equal all the same. Asked only if that could decide the vote.

    Raises:
        ValueError: the lengths differ.
    """
    right_votes: list[int] = []  # positions in the group
    wrong_votes: dict[Hashable, list[int]] = {}
    for position, (answer, right) in enumerate(zip(answers_G, right_G, strict=True)):
        if right:
            right_votes.append(position)
        elif answer is not None:
            wrong_votes.setdefault(answer, []).append(position)
    if not right_votes or any(_beats(votes, right_votes) for votes in wrong_votes.values()):
        return False  # uniting wrong answers could only make them more
    everyone_wrong = [position for votes in wrong_votes.values() for position in votes]
    if same is None or not everyone_wrong or not _beats(everyone_wrong, right_votes):
        return True
    return not any(_beats(votes, right_votes) for votes in _united(wrong_votes, same))


def _beats(votes: Sequence[int], others: Sequence[int]) -> bool:
    return (len(votes), -min(votes)) > (len(others), -min(others))


def _united(votes_of: dict[Hashable, list[int]], same: Callable[[Hashable, Hashable], bool]) -> list[list[int]]:
    """Votes of equal answers put together; each answer is compared with the first of every class so far."""
    classes: list[tuple[Hashable, list[int]]] = []
    for answer, votes in votes_of.items():
        for first, united in classes:
            if same(first, answer):
                united += votes
                break
        else:
            classes.append((answer, list(votes)))
    return [votes for _, votes in classes]


def mean_of(value_P: Sequence[float]) -> Estimate:
    """Mean over questions with its 95 % interval; see the module.

    (1, 0, 1, 0): mean 0.5, s = sqrt(4 * 0.25 / 3), half width 1.96 s / 2 = 0.566.

    Raises:
        ValueError: there are none.
    """
    if not len(value_P):
        raise ValueError("a mean of no questions is not defined")
    values = np.asarray(value_P, dtype=np.float64)
    half_width = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Estimate(float(values.mean()), half_width)


def average(estimates: Sequence[Estimate]) -> Estimate:
    """Mean over data sets, each counting alike; the half width is that of independent means.

    Half widths 0.03 and 0.04 give sqrt(0.03² + 0.04²) / 2 = 0.025.

    Raises:
        ValueError: there are none.
    """
    if not estimates:
        raise ValueError("an average of no data sets is not defined")
    half_width = math.hypot(*(estimate.half_width for estimate in estimates)) / len(estimates)
    return Estimate(sum(estimate.value for estimate in estimates) / len(estimates), half_width)
