"""How many responses to one question may be alike."""

import math
import random
from dataclasses import dataclass

import pytest

from verl_dots.doctor.engine import ROLLOUTS, distinct


@dataclass(frozen=True)
class Response:
    """What the check reads of verl's output."""

    token_ids: list[int]
    log_probs: list[float]


def drawn(chances: dict[int, float], generator: random.Random) -> list[Response]:
    """Independent responses of one token."""
    tokens = generator.choices([*chances], [*chances.values()], k=ROLLOUTS)
    return [Response([token], [math.log(chances[token])]) for token in tokens]


@pytest.mark.parametrize("first", [0.01, 0.05, 0.1, 0.3, 0.95])
def test_independent_responses_pass(first):
    """The likeliest has this probability. Around 0.6, which the question avoids, 1 in 4,000 would fail."""
    others = {token: (1 - first) / 100 for token in range(1, 101)}
    generator = random.Random(0)
    rows = [distinct(1.0, drawn({0: first, **others}, generator)) for _ in range(2000)]
    assert {row.outcome for row in rows} == {"pass"}


@pytest.mark.parametrize("kinds", [1, 2])
@pytest.mark.parametrize("chance", [0.001, 0.1])
def test_responses_of_one_seed_or_two_fail(kinds, chance):
    """Two of 16 that differ are not enough: 56 of 120 pairs are alike."""
    row = distinct(1.0, [Response([number % kinds], [math.log(chance)]) for number in range(ROLLOUTS)])
    assert row.outcome == "fail", row
    assert (
        row.value == f"{kinds}; {120 if kinds == 1 else 56} of 120 pairs are alike"
        and "by their log-probs" in row.limit
    )
