import math

import pytest
import torch

from verl_dots.rollout.sampling import _keep_top_p, sample_tokens

# Probabilities 0.5, 0.25, 0.125, 0.125: cumulative 0.5, 0.75, 0.875, 1.
LOGITS = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))


def draw(uniform, temperature=1.0, top_p=None, top_k=None):
    tokens, log_probs = sample_tokens(
        LOGITS,
        torch.tensor([temperature]),
        torch.tensor([uniform], dtype=torch.float64),
        None if top_p is None else torch.tensor([top_p]),
        None if top_k is None else torch.tensor([top_k]),
    )
    return tokens.item(), log_probs.item()


@pytest.mark.parametrize(
    "settings, uniform, token, probability",
    [
        # The uniform number picks from the cumulative distribution.
        ({}, 0.0, 0, 0.5),
        ({}, 0.49, 0, 0.5),
        ({}, 0.51, 1, 0.25),
        ({}, 0.74, 1, 0.25),
        ({}, 0.76, 2, 0.125),
        ({}, 0.88, 3, 0.125),
        ({}, 1 - 2**-53, 3, 0.125),
        # At temperature 0.5 the probabilities are squared: 1/4, 1/16, 1/64, 1/64, together 22/64; token 1: 4/22.
        ({"temperature": 0.5}, 16.5 / 22, 1, 4 / 22),
        # Temperature 0 takes the most likely token; its probability is that at temperature 1.
        ({"temperature": 0.0}, 0.99, 0, 0.5),
        # Top-k restricts the choice and not the probability. Of the first two 0.9 is the second: 0.9 * 0.75 > 0.5.
        ({"top_k": 2}, 0.9, 1, 0.25),
        ({"top_k": 1}, 0.999, 0, 0.5),
        ({"top_k": -1}, 0.9, 3, 0.125),
        # Top-p keeps the smallest set that reaches it.
        ({"top_p": 0.5}, 0.999, 0, 0.5),
        ({"top_p": 0.51}, 0.999, 1, 0.25),
        ({"top_p": 0.76}, 0.999, 2, 0.125),
        ({"top_p": 1.0}, 0.999, 3, 0.125),
        ({"top_p": 0.76, "top_k": 2}, 0.999, 1, 0.25),
    ],
)
def test_which_token_is_drawn_and_its_log_prob(settings, uniform, token, probability):
    assert draw(uniform, **settings) == (token, pytest.approx(math.log(probability), rel=1e-5))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="want logits"):
        sample_tokens(LOGITS, torch.ones(2), torch.zeros(1))


def by_a_stable_sort(weights, top_p):
    """Top-p as torch's stable sort has it: of equal weights the first tokens come first."""
    ordered, order = weights.sort(dim=-1, descending=True, stable=True)
    drop = ordered.cumsum(dim=-1) - ordered >= (top_p * ordered.sum(dim=-1))[:, None]
    drop[:, 0] = False
    drop &= (top_p < 1)[:, None]
    return weights.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), 0.0)


@pytest.mark.parametrize("levels", [3, 40, None])
def test_the_kept_tokens_are_those_of_a_stable_sort_also_among_equal_weights(levels):
    """With few levels most weights are equal, at the border too; some are 0."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(400, 50, generator=generator)
    weights = weights if levels is None else (weights * levels).floor() / levels
    weights[:, 0] += 0.1
    top_p = torch.rand(400, generator=generator).clamp(0.01)
    top_p[::7] = 1.0
    assert torch.equal(_keep_top_p(weights, top_p), by_a_stable_sort(weights, top_p))


def test_greedy_rows_are_the_same_alone_and_beside_others():
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(1))
    temperature, uniform = torch.tensor([0.0, 1.0] * 3), torch.full((6,), 0.3, dtype=torch.float64)
    top_p = torch.full((6,), 0.9)
    mixed = sample_tokens(logits, temperature, uniform, top_p)
    alone = sample_tokens(logits[::2], temperature[::2], uniform[::2], top_p[::2])
    assert all(torch.equal(of_all[::2], of_greedy) for of_all, of_greedy in zip(mixed, alone, strict=True))
