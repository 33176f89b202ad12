"""One difficulty for each question out of the labels of several labellers, as if all had been asked everything."""

import numpy as np

LIMIT = 0.02  # as kernel_regression.LIMIT: a logit beyond carries no information


def relative_difficulty(difficulty_LP: np.ndarray) -> np.ndarray:
    """Difficulty of each question [P] for a labeller of middling level, from difficulties [L, P], nan where not asked.

    Least squares of logit(d_lq) = level_l + question_q, levels summing to 0: a question that only a weak labeller was
    asked is not taken for a hard one. Where all were asked everything this is the mean of the logits, centred by
    labeller. Labellers who share no question, not even through others, are taken to be of one level.
    One labeller's difficulties are returned as they are.

    Raises ValueError where no labeller was asked some question.
    """
    asked_LP = ~np.isnan(difficulty_LP)
    asked_P = asked_LP.sum(0)
    if not asked_P.all():
        raise ValueError(f"{int((asked_P == 0).sum())} questions have no label, at {np.flatnonzero(asked_P == 0)[:5]}")
    if len(difficulty_LP) == 1:
        return difficulty_LP[0]
    clipped_LP = np.clip(difficulty_LP.astype(np.float64), LIMIT, 1 - LIMIT)
    logit_LP = np.where(asked_LP, np.log(clipped_LP / (1 - clipped_LP)), 0.0)
    # The normal equations without the questions: what a labeller's labels have over the questions' means.
    mean_P = logit_LP.sum(0) / asked_P
    share_LP = asked_LP / asked_P
    system_LL = np.diag(asked_LP.sum(1)) - share_LP @ asked_LP.T
    over_L = (logit_LP - mean_P * asked_LP).sum(1)
    # The shortest solution: 0 where nothing is known, which rounding leaves a singular value of about 1e-13 for.
    level_L = np.linalg.lstsq(system_LL, over_L, rcond=1e-9)[0]
    question_P = mean_P - (level_L[:, None] * share_LP).sum(0)
    return 1 / (1 + np.exp(-question_P))
