"""Calibration of predictions by what the references' labels say of the policy as a whole (2506.05316, equation 3)."""

from collections.abc import Callable

import torch
from torch import nn

EPSILON = 1e-4
LEAST, MOST = 0.01, 10.0  # of what the paper's code divides by


def calibrated(
    difficulty_P: torch.Tensor,
    difficulty_K: torch.Tensor,
    network: Callable[[torch.Tensor], torch.Tensor],
    of_code: bool = False,
) -> torch.Tensor:
    """[P] sigmoid(w * logit(d) + b), where (w, b) are softplus and tanh of the network's two outputs.

    Args:
        difficulty_P: predictions, in [0, 1].
        difficulty_K: labels of the references.
        network: of their mean and standard deviation, [2] to [2].
        of_code: as the paper's code: w divides, within [0.01, 10], and the deviation is that of a sample; `regressed`
            follows where it serves.
    """
    deviation = difficulty_K.std(correction=int(of_code and len(difficulty_K) > 1))
    scale, offset = network(torch.stack([difficulty_K.mean(), deviation]))
    scale = nn.functional.softplus(scale)
    logit_P = torch.logit(difficulty_P.clamp(EPSILON, 1 - EPSILON))
    logit_P = logit_P / scale.clamp(LEAST, MOST) if of_code else scale * logit_P
    return torch.sigmoid(logit_P + torch.tanh(offset))


def regressed(predicted_P: torch.Tensor, predicted_K: torch.Tensor, difficulty_K: torch.Tensor) -> torch.Tensor:
    """[P] predictions on the line that fits the references best, not clipped: the last step of the paper's code.

    Least squares of the references' labels [K] on what is predicted for them [K]; their mean label where all are
    predicted alike. The paper has no such step.
    """
    centred_K = predicted_K - predicted_K.mean()
    squares = (centred_K**2).sum()
    slope = (centred_K * difficulty_K).sum() / squares if squares > EPSILON**2 else 0.0
    return difficulty_K.mean() + slope * (predicted_P - predicted_K.mean())
