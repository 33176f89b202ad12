"""The entropy of a step, as it is logged and as controllers read it: E3's temperature and Skywork-OR1's bonus."""

from collections import Counter
from collections.abc import Mapping

import torch

from verl_dots.bridge.queue.advantages import token_mean
from verl_dots.bridge.queue.row_tags import TEMPERATURE
from verl_dots.bridge.queue.rows import Rows


def token_entropy(rows: Rows, measured: str = "recomputed") -> float | None:
    """Mean entropy of a response token of the step's own rollouts, in nats; None where all of these have failed.

    As if all questions had the same number of rollouts, each counts by its mean response length: a token weighs
    1 / rollouts of its question. Where hard questions have more, the entropy would rise of itself.

    Args:
        rows: of the step.
        measured: "recomputed" by the forward pass of the proximal policy from the whole distribution of each token, or
            the mean -log-prob of the tokens that the "engine" drew.
    """
    own = rows.own.real
    if measured != "recomputed":
        return sampled_entropy(own)
    return _mean_over_tokens(own, *own.get("entropy", "response_mask")) if len(own) else None


def own_temperature(rows: Rows, temperature: float, unrounded: Mapping[float, float]) -> float:
    """Mean temperature of a step's own rollouts: that of the step, but for those which an earlier one asked for.

    Args:
        rows: of the step.
        temperature: of the step, unrounded.
        unrounded: rounded temperatures of earlier steps -> what a controller had set there.
    """
    others = [tag[TEMPERATURE] for tag in rows.own.real.tags if TEMPERATURE in tag]
    # Exactly the step's where there is no other.
    moved = sum(unrounded.get(other, other) - temperature for other in others)
    return temperature + moved / len(rows.own.real)


def sampled_entropy(rows: Rows) -> float | None:
    """Mean -log-prob of the tokens that the engine drew, in nats, weighed as above; None without rows.

    It costs no forward pass. On average it is the entropy of what the tokens were drawn from, where they are drawn
    among all (top_p=1, top_k=-1): the log-probs may be those over the whole vocabulary.
    """
    rows = rows.real
    if not len(rows):
        return None
    log_probs, masks = rows.get("rollout_log_probs", "response_mask")
    # Above 0 by rounding alone.
    return _mean_over_tokens(rows, [-log_prob_T.clamp(max=0) for log_prob_T in log_probs], masks)


def _mean_over_tokens(rows: Rows, values: list[torch.Tensor], masks: list[torch.Tensor]) -> float:
    size = Counter(rows.uids)
    least = min(size.values())  # so that all weights are exactly 1 where the groups are equal
    weights = [least / size[uid] for uid in rows.uids]
    return token_mean(values, [weight * mask_T for weight, mask_T in zip(weights, masks, strict=True)])
