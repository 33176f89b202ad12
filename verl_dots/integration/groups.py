"""The groups of a batch of the TransferQueue: their rewards and their order."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import transfer_queue as tq
from transfer_queue import KVBatchMeta


class RolloutFailure(RuntimeError):
    """Rollouts of a step are missing: the engine or the reward raised for them."""


def place_of(key: str) -> tuple[str, int, int]:
    """(uid, session, output) of a trajectory's key `uid_session_output`."""
    uid, session, output = key.rsplit("_", 2)
    return uid, int(session), int(output)


@dataclass(frozen=True)
class Group:
    """All rollouts of one question under one policy version."""

    uid: str
    rewards: tuple[float, ...]

    @property
    def size(self) -> int:
        return len(self.rewards)

    @property
    def mean_reward(self) -> float:
        return sum(self.rewards) / len(self.rewards)

    @property
    def effective(self) -> bool:
        """Whether the rewards differ: with rewards of 0 and 1, whether 0 < mean reward < 1."""
        return max(self.rewards) > min(self.rewards)


def groups_of(batch: KVBatchMeta) -> dict[str, Group]:
    """Groups by uid, in the order of the batch; of a session with several outputs the last one counts."""
    last: dict[tuple[str, int], tuple[int, str]] = {}
    for key, tag in zip(batch.keys, batch.tags, strict=True):
        if not tag.get("is_padding"):
            uid, session, output = place_of(key)
            last[uid, session] = max(last.get((uid, session), (-1, "")), (output, key))
    if not last:
        return {}
    keys = [key for _, key in last.values()]
    scores = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["rm_scores"])["rm_scores"]
    rewards: defaultdict[str, list[float]] = defaultdict(list)
    for (uid, _), score_T in sorted(zip(last, scores.unbind(), strict=True), key=lambda pair: pair[0]):
        rewards[uid].append(float(score_T.sum()))
    return {uid: Group(uid, tuple(values)) for uid, values in rewards.items()}


def outcomes(groups: Mapping[str, Group], reward_range: tuple[float, float]) -> dict[str, float]:
    """Metrics of a step: share of groups whose rewards differ, and of those that all have the least or the greatest."""
    if not groups:
        return {}
    low, high = reward_range
    shares = {
        "effective": [group.effective for group in groups.values()],
        "all_wrong": [max(group.rewards) <= low for group in groups.values()],
        "all_right": [min(group.rewards) >= high for group in groups.values()],
    }
    return {f"training/{name}_groups": sum(share) / len(groups) for name, share in shares.items()}


def require_rollouts(batch: KVBatchMeta, wanted: Mapping[str, int], step: int, enough: int | None = None) -> None:
    """verl goes on with what has arrived; a group with rollouts missing would be biased without a word.

    Groups of which nothing has arrived are missing too, unless verl has replaced them (DAPO's filter, or
    trainer.v1.sampler.sync_refill_failed_groups), in which case the batch has all its groups.

    Args:
        batch: what has arrived.
        wanted: rollouts of each prompt that was submitted.
        step: this one.
        enough: groups of a complete batch, where verl may have replaced some.

    Raises:
        RolloutFailure: rollouts are missing.
    """
    arrived = Counter(uid for uid, _ in {place_of(key)[:2] for key in batch.keys})
    if enough is not None and len(arrived) >= enough:
        wanted = {uid: wanted.get(uid, 0) for uid in arrived}
    short = {uid: (arrived[uid], want) for uid, want in wanted.items() if arrived[uid] < want}
    missing = sum(want - have for have, want in short.values())
    if missing:
        raise RolloutFailure(
            f"step {step}: {missing} rollouts of {len(short)} of {len(wanted)} prompts failed; the agent loop worker's "
            "log above says why (a prompt or response too long, or an error in the reward)"
        )
