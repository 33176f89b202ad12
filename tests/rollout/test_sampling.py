import math

import pytest
import torch

from verl_dots.rollout.sampling import sample_tokens

# Probabilities 0.5, 0.25, 0.125, 0.125: cumulative 0.5, 0.75, 0.875, 1.
LOGITS = torch.log(torch.tensor([[0.5, 0.25, 0.125, 0.125]]))


def draw(uniform, temperature=1.0, top_p=None, top_k=None, logits=LOGITS):
    tokens, log_probs = sample_tokens(
        logits,
        torch.tensor([temperature]),
        torch.tensor([uniform], dtype=torch.float64),
        None if top_p is None else torch.tensor([top_p]),
        None if top_k is None else torch.tensor([top_k]),
    )
    return tokens.item(), log_probs.item()


@pytest.mark.parametrize(
    "uniform, token", [(0.0, 0), (0.49, 0), (0.51, 1), (0.74, 1), (0.76, 2), (0.88, 3), (1 - 2**-53, 3)]
)
def test_the_uniform_number_picks_from_the_cumulative_distribution(uniform, token):
    assert draw(uniform)[0] == token


def test_log_prob_is_that_of_the_token():
    assert draw(0.6)[1] == pytest.approx(math.log(0.25), rel=1e-6)


def test_temperature_scales_the_log_prob():
    # At temperature 0.5 the probabilities are squared: 1/4, 1/16, 1/64, 1/64, together 22/64; token 1: 4/22.
    assert draw(16.5 / 22, temperature=0.5) == (1, pytest.approx(math.log(4 / 22), rel=1e-5))


def test_temperature_zero_takes_the_most_likely_token_at_temperature_one():
    assert draw(0.99, temperature=0.0) == (0, pytest.approx(math.log(0.5), rel=1e-6))


def test_top_k_restricts_the_choice_and_not_the_log_prob():
    # Of the first two, 0.5 and 0.25, the number 0.9 falls on the second (0.9 * 0.75 = 0.675 > 0.5).
    assert draw(0.9, top_k=2) == (1, pytest.approx(math.log(0.25), rel=1e-6))
    assert draw(0.999, top_k=1)[0] == 0
    assert draw(0.9, top_k=-1)[0] == 3


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    assert draw(0.999, top_p=0.5)[0] == 0
    assert draw(0.999, top_p=0.51)[0] == 1
    assert draw(0.999, top_p=0.76)[0] == 2
    assert draw(0.999, top_p=1.0)[0] == 3


def test_rows_do_not_touch_each_other():
    torch.manual_seed(0)
    logits = torch.randn(40, 50) * 3
    temperature = torch.rand(40) + 0.1
    uniform = torch.rand(40, dtype=torch.float64)
    top_p = torch.rand(40) * 0.9 + 0.1
    top_k = torch.randint(-1, 30, (40,))
    together = sample_tokens(logits, temperature, uniform, top_p, top_k)
    alone = [
        sample_tokens(logits[i : i + 1], temperature[i : i + 1], uniform[i : i + 1], top_p[i : i + 1], top_k[i : i + 1])
        for i in range(40)
    ]
    assert torch.equal(together[0], torch.cat([tokens for tokens, _ in alone]))
    assert torch.equal(together[1], torch.cat([log_probs for _, log_probs in alone]))


def test_frequencies_follow_the_probabilities():
    # 20,000 draws: the standard deviation of a frequency is at most sqrt(0.25/20000) = 0.0035; 0.018 is 5 of them.
    count = 20_000
    uniform = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    tokens, _ = sample_tokens(LOGITS.expand(count, -1), torch.ones(count), uniform)
    frequency = torch.bincount(tokens, minlength=4) / count
    assert torch.allclose(frequency, torch.tensor([0.5, 0.25, 0.125, 0.125]), atol=0.018)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="want logits"):
        sample_tokens(LOGITS, torch.ones(2), torch.zeros(1))
