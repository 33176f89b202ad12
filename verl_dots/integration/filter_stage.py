"""DASH's gradient filter in a train step: rows with a small advantage leave the batch before the update.

Each optimizer step has the rows that it would have had, less those that leave, and the loss is divided by what it would
have been divided by, so a threshold of 0 changes nothing but the time.
"""

from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta

from verl_dots.algorithms.gradient_filter import Reduced, kept, reduce_mini_batches
from verl_dots.config import FilterConfig
from verl_dots.integration.groups import pin, rows_at


class FilterStage:
    """The filter of one run of the trainer.

    Args:
        settings: of the filter.
        actor: verl's settings of it.
        ranks: data-parallel ranks of the actor.
    """

    def __init__(self, settings: FilterConfig, actor: Any, ranks: int):
        self.settings, self.ranks = settings, ranks
        self.multiple = 1 if actor.use_dynamic_bsz else actor.ppo_micro_batch_size_per_gpu or 1

    def reduce(self, batch: KVBatchMeta, mini_batches: int) -> tuple[KVBatchMeta, dict[str, float]]:
        """The batch without the rows that leave, and the metrics of the filter. No rows: there is nothing to update.

        Args:
            batch: with advantages.
            mini_batches: that the whole batch is cut into.
        """
        names = ["advantages", "response_mask"]
        found = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        pairs = list(zip(*(found[name].unbind() for name in names), strict=True))
        size_N = np.array([float((advantage_T * mask_T).abs().max()) for advantage_T, mask_T in pairs])
        tokens_N = np.array([int(mask_T.sum()) for _, mask_T in pairs])
        real_N = np.array([not tag.get("is_padding", False) for tag in batch.tags])
        kept_N = np.zeros(len(batch), dtype=bool)
        kept_N[real_N] = kept(size_N[real_N], self.settings.threshold, self.settings.kind)
        length_N = np.array([tag["seq_len"] for tag in batch.tags])
        reduced = reduce_mini_batches(kept_N, length_N, tokens_N, self.ranks, mini_batches, self.multiple)
        metrics = {
            "filter/rows": float((real_N & ~kept_N).sum()),
            "filter/share": float((real_N & ~kept_N).sum() / real_N.sum()),
            "filter/tokens": float(length_N.sum() - length_N[reduced.places].sum()),
            "filter/skipped_updates": float(mini_batches - reduced.mini_batches),
        }
        return self._write(rows_at(batch, reduced.places.tolist()), reduced), metrics

    def _write(self, part: KVBatchMeta, reduced: Reduced) -> KVBatchMeta:
        if not len(part):
            return part
        pin(part, {"mini_batch_size": reduced.rows * self.ranks})
        fields = TensorDict({"unfiltered_tokens": torch.from_numpy(reduced.tokens)}, batch_size=len(part))
        tq.kv_batch_put(keys=part.keys, partition_id=part.partition_id, fields=fields)
        part.fields = None  # the new one too
        fillers = rows_at(part, np.flatnonzero(reduced.fillers).tolist())
        if len(fillers):
            where = {"keys": fillers.keys, "partition_id": fillers.partition_id}
            rows = tq.kv_batch_get(**where, select_fields=["advantages"])["advantages"].unbind()
            nothing = torch.nested.as_nested_tensor([torch.zeros_like(row) for row in rows], layout=torch.jagged)
            tq.kv_batch_put(**where, fields=TensorDict({"advantages": nothing}, batch_size=len(fillers)))
        return part
