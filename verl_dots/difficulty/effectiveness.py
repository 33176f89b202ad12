"""Share of effective groups: how often the rewards of a question's n tries differ, so that it teaches anything.

With success rate p, each of n tries right with p on its own, it is 1 - p^n - (1 - p)^n (DOTS, section 3: a group of
equal rewards has no advantage). Where p itself is uncertain, as Beta(s (1 - d), s d) with mean 1 - d, d the
difficulty, its mean is the expected effectiveness: low where d is near 0 or 1, and also where s is low, which says that
a question of this kind is solved always or never. A prediction of d = 0.5 alone cannot tell this from a question solved
every other time.
"""

import torch

TRIES = 8  # of the group that predictors are trained and scored for
LOG_SPREAD = (-6.0, 6.0)  # ends of log s: from always or never to a success rate that is all but known


def expected_effectiveness(difficulty_P: torch.Tensor, log_spread_P: torch.Tensor, tries: int = TRIES) -> torch.Tensor:
    """E[1 - p^n - (1 - p)^n] [P] for p ~ Beta(s (1 - d), s d), from d [P] in [0, 1] and log s [P].

    E[p^n] is the product over i < n of (s (1 - d) + i) / (s + i). Raises ValueError for fewer than 2 tries.
    """
    _require_group(tries)
    spread_P = log_spread_P.exp()
    always_P, never_P = torch.ones_like(difficulty_P), torch.ones_like(difficulty_P)
    for i in range(tries):
        never_P = never_P * ((spread_P * difficulty_P + i) / (spread_P + i))
        always_P = always_P * ((spread_P * (1 - difficulty_P) + i) / (spread_P + i))
    return 1 - always_P - never_P


def log_spread(difficulty_P: torch.Tensor, effective_P: torch.Tensor, tries: int = TRIES) -> torch.Tensor:
    """log s [P] at which d [P] has this expected effectiveness [P], within `LOG_SPREAD`; by 30 bisections.

    The effectiveness grows with s, so that there is one, unless it is beyond what the ends give.
    """
    low_P, high_P = (torch.full_like(difficulty_P, end) for end in LOG_SPREAD)
    for _ in range(30):
        middle_P = (low_P + high_P) / 2
        below_P = expected_effectiveness(difficulty_P, middle_P, tries) < effective_P
        low_P, high_P = torch.where(below_P, middle_P, low_P), torch.where(below_P, high_P, middle_P)
    return (low_P + high_P) / 2


def _require_group(tries: int) -> None:
    if tries < 2:
        raise ValueError(f"{tries} tries a group: rewards can differ among 2 or more")
