"""How verl cuts a batch into mini-batches, and those into micro-batches, when its groups differ in size."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from omegaconf import DictConfig

from verl_dots.bridge.queue.balance import forward_multiple, micro_batch
from verl_dots.bridge.queue.row_tags import is_padding
from verl_dots.bridge.queue.rows import Rows
from verl_dots.bridge.trainer.patient_trainer import PatientTrainer

GOLDEN = (5**0.5 - 1) / 2  # multiples of it, modulo 1, lie evenly, however many there are


def rank_multiple(parts: DictConfig, updates: int, critic_updates: int) -> int:
    """Of which the rows of a rank must be: whole micro-batches of each mini-batch, and of each forward pass.

    verl cuts the batches of a critic by tokens, whatever its settings say.

    Args:
        parts: `actor_rollout_ref` of verl's config.
        updates, critic_updates: mini-batches of a batch; 0 of the critic where there is none.
    """
    micro = micro_batch(parts.actor, "ppo_micro_batch_size_per_gpu", "use_dynamic_bsz")
    return math.lcm(updates * micro, critic_updates or 1, forward_multiple(parts, 1))


def whole_cuts(updates: int, ranks: int, real: int) -> int:
    """Mini-batches of a batch with so many rows to learn from: `updates`, or a divisor of it by which each has some.

    At least one, as `even_padding` orders the rows of the `ranks`.
    """
    return max(cuts for cuts in range(1, updates + 1) if updates % cuts == 0 and (cuts == 1 or cuts * ranks <= real))


def even_padding(padding_N: Sequence[bool], ranks: int) -> list[int]:
    """[N] places of rows in an order in which those that pad the batch lie evenly in the part of each rank.

    A rank cuts its part into mini-batches in its order. With all padding at the end the last of them could have no
    row to learn from. The ranks begin at different places, or one mini-batch of all would get the padding.

    Args:
        padding_N: whether a row only pads; each rank has N / ranks of them, one after the other.
    """
    order = []
    for rank, part in enumerate(np.split(np.arange(len(padding_N)), ranks)):
        padding = np.asarray(padding_N, bool)[part]
        position = np.empty(len(part))
        shift = (0.5 + rank * GOLDEN) % 1
        for kind, phase in ((False, 1 - shift), (True, shift)):
            position[padding == kind] = (np.arange((padding == kind).sum()) + phase) / max(1, (padding == kind).sum())
        order += part[np.argsort(position, kind="stable")].tolist()
    return order


class MiniBatchTrainer(PatientTrainer):
    """Makes as many optimizer steps of a batch that lacks rows, or has more, as of a whole one."""

    unequal_groups = False  # whether this batch has other than rollout.n rollouts of each question

    @cached_property
    def ranks(self) -> int:
        """Data-parallel ranks of the actor."""
        return max(self.actor_rollout_wg._query_dispatch_info("actor")) + 1

    @cached_property
    def critic_ranks(self) -> int:
        """Those of the critic; 1 without one."""
        return max(self.critic_wg._query_dispatch_info("train")) + 1 if self.use_critic else 1

    @cached_property
    def reference_ranks(self) -> int:
        """Those of a reference policy with an engine of its own; 1 without one."""
        if not self.use_reference_policy or self.ref_in_actor:
            return 1
        return max(self.ref_policy_wg._query_dispatch_info("ref")) + 1

    def balance(self, rows: Rows, metrics: dict) -> Rows:
        """Fill the batch up to what divides, and order it so that each rank has equal work."""
        rows = Rows(self._balance_batch(rows.meta, metrics=metrics))
        if self.unequal_groups:
            rows.meta.reorder(even_padding([is_padding(tag) for tag in rows.tags], self.ranks))
        return rows

    @property
    def actor_updates(self) -> int:
        """Mini-batches of a train batch, the last of which may be filled up."""
        return math.ceil(self.config.data.train_batch_size / self.config.actor_rollout_ref.actor.ppo_mini_batch_size)

    @property
    def critic_updates(self) -> int:
        """Mini-batches of the critic; 0 without one."""
        batch = self.config.data.train_batch_size
        return math.ceil(batch / self.config.critic.ppo_mini_batch_size) if self.use_critic else 0

    def cut_evenly(self, rows: Rows, updates: int) -> None:
        """Have verl cut the rows into so many mini-batches, however many they are, in their order.

        Fewer where a mini-batch would have no row to learn from; shuffled, one could have none, too.
        """
        real = len(rows.real)
        updates = whole_cuts(updates, max(self.ranks, self.critic_ranks), real)
        sizes = {"mini_batch_size": len(rows) // updates, "global_batch_size": real / updates}
        rows.pin(sizes | {"dataloader_kwargs": {"shuffle": False}})

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        if self.unequal_groups:
            # verl's whole mini-batches could add an optimizer step for a few rows.
            ranks = math.lcm(dp_size, self.critic_ranks, self.reference_ranks)
            return ranks * rank_multiple(self.config.actor_rollout_ref, self.actor_updates, self.critic_updates)
        return super()._get_required_batch_multiple(dp_size)
