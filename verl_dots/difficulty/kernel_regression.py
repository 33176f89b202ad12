"""Kernel regression: what labelled questions say about a new one before any reference question is rolled out.

Kernel ridge regression (an RBF on the unit sphere) whose centres are the labelled training questions, solved in
closed form. Questions that are near in embedding space share difficulty, and a wide network smooths that away.
"""

from collections.abc import Sequence

import torch

LIMIT = 0.02  # predictions are kept in [LIMIT, 1 - LIMIT]: a logit beyond carries no information


def unit_rows(
    embedding_P: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, widths: Sequence[int] | None = None
) -> torch.Tensor:
    """Standardised embeddings [P, d] scaled to length one; dimensions that never vary have std 1, not 0.

    Where they have parts of these ``widths``, each has the same share of the length, however wide it is: the cosine of
    two rows is the mean of their parts' cosines.
    """
    standard_P = (embedding_P - mean) / std
    parts = standard_P.split(list(widths or standard_P.shape[-1:]), dim=-1)
    return torch.cat([torch.nn.functional.normalize(part, dim=-1) for part in parts], -1) / len(parts) ** 0.5


def kernel(left_P: torch.Tensor, right_M: torch.Tensor, sharpness: float) -> torch.Tensor:
    """exp(sharpness * (cos - 1)) [P, M] in (0, 1], from rows of length one."""
    return (sharpness * (left_P @ right_M.T - 1)).exp()


def solve(
    unit_M: torch.Tensor, target_M: torch.Tensor, sharpness: float, ridge: float, leave_one_out: bool = False
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Coefficients of the centred kernel ridge regression and, if asked, its leave-one-out predictions.

    Both have the shape of the targets, [M] or several side by side [M, T].

    Left out in closed form: y_i - c_i / inv(K + ridge I)_ii, so that a model trained on top of it sees
    its centres as it will see new questions. Cost M^3. Raises ValueError for ``ridge`` <= 0.
    """
    if ridge <= 0:
        raise ValueError(f"ridge must be > 0 (0.1 to 10 is usual), got {ridge}")
    target_MT = target_M if target_M.ndim == 2 else target_M[:, None]
    gram = kernel(unit_M, unit_M, sharpness)
    gram.diagonal().add_(ridge)
    factor = torch.linalg.cholesky(gram)
    coefficient_MT = torch.cholesky_solve(target_MT - target_MT.mean(0), factor)
    coefficient_M = coefficient_MT.reshape(target_M.shape)
    if not leave_one_out:
        return coefficient_M, None
    inverse_M = torch.cholesky_inverse(factor).diagonal()
    return coefficient_M, target_M - (coefficient_MT / inverse_M[:, None]).reshape(target_M.shape)


def as_logit(difficulty_P: torch.Tensor) -> torch.Tensor:
    """Logit of a difficulty, clipped to [LIMIT, 1 - LIMIT]."""
    return torch.logit(difficulty_P.clamp(LIMIT, 1 - LIMIT))


def shift_to_mean(logit_K: torch.Tensor, mean_difficulty: torch.Tensor) -> torch.Tensor:
    """b with mean(sigmoid(logit_K + b)) = mean_difficulty (kept in [1e-3, 1 - 1e-3]), by 40 bisections."""
    wanted = mean_difficulty.clamp(1e-3, 1 - 1e-3)
    low, high = torch.full_like(wanted, -20.0), torch.full_like(wanted, 20.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = torch.sigmoid(logit_K + middle).mean() < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
