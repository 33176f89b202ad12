import math

import pytest
import torch

from verl_dots.rollout.sampling import sample_tokens

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
