"""Rows of verl's TransferQueue: a batch as verl hands it over, with its fields, its tags and what the workers get.

A row is one trajectory. Its key is `uid_session_output`; its tags tell lengths, origin, and the step that sampled it.
Everything else of the package sees rows through `Rows` alone.
"""

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transfer_queue as tq
from tensordict import TensorDict
from transfer_queue import KVBatchMeta
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from verl_dots.bridge.queue.balance import spread
from verl_dots.bridge.queue.pinned import PinnedInfo, joined
from verl_dots.bridge.queue.row_tags import ORIGIN, is_padding, origin_of, place_of, sampled_in
from verl_dots.step import Group, Origin

TRAIN, VALIDATION = "train", "val"  # verl's partitions of a step and of a validation


class Rows:
    """Rows of one partition, in an order; thin over verl's KVBatchMeta, which is `meta`."""

    def __init__(self, meta: KVBatchMeta):
        self.meta = meta

    @classmethod
    def of(cls, keys: Sequence[str], tags: Sequence[dict], partition: str = TRAIN) -> "Rows":
        """Rows by their keys."""
        return cls(KVBatchMeta(partition_id=partition, keys=list(keys), tags=list(tags)))

    def __len__(self) -> int:
        return len(self.meta.keys)

    @property
    def keys(self) -> list[str]:
        return self.meta.keys

    @property
    def tags(self) -> list[dict]:
        return self.meta.tags

    @property
    def uids(self) -> list[str]:
        """Name of each row's group."""
        return [place_of(key)[0] for key in self.keys]

    @property
    def origins(self) -> list[Origin]:
        return [origin_of(tag) for tag in self.tags]

    # --- some of the rows ------------------------------------------------------------------------------------

    def at(self, places: Sequence[int]) -> "Rows":
        """The rows at some places, in their order."""
        keys, tags = ([column[place] for place in places] for column in (self.keys, self.tags))
        extra_info = copy.copy(self.meta.extra_info)
        return Rows(
            KVBatchMeta(
                partition_id=self.meta.partition_id,
                keys=keys,
                tags=tags,
                fields=self.meta.fields,
                extra_info=extra_info,
            )
        )

    def where(self, holds: Callable[[dict], bool]) -> "Rows":
        """The rows whose tags a condition holds for."""
        return self.at([place for place, tag in enumerate(self.tags) if holds(tag)])

    @property
    def real(self) -> "Rows":
        """Without those that only pad the batch."""
        return self.where(lambda tag: not is_padding(tag))

    @property
    def own(self) -> "Rows":
        """Those that this step has sampled."""
        return self.where(lambda tag: origin_of(tag).own)

    @property
    def stored(self) -> "Rows":
        """Those that an earlier step has sampled."""
        return self.where(lambda tag: not origin_of(tag).own)

    @property
    def new(self) -> "Rows":
        """Those that no step has trained on."""
        return self.where(lambda tag: origin_of(tag).new)

    def sort(self) -> None:
        """Order by prompt and session, stored groups spread among the others, whatever order they have arrived in."""
        self.meta.reorder(sorted(range(len(self)), key=[place_of(key) for key in self.keys].__getitem__))
        self.meta.reorder(spread(self.uids, [not origin.own for origin in self.origins]))

    # --- their fields ----------------------------------------------------------------------------------------

    def get(self, *names: str) -> list[list[Any]]:
        """Columns of some fields: for each name one value a row, tensors of the row's own length."""
        found = tq.kv_batch_get(keys=self.keys, partition_id=self.meta.partition_id, select_fields=list(names))
        columns = [found[name] for name in names]
        return [list(column.unbind()) if isinstance(column, torch.Tensor) else list(column) for column in columns]

    def put(self, fields: Mapping[str, Sequence[torch.Tensor] | torch.Tensor]) -> None:
        """Write fields: a tensor with one value a row, or a tensor a row."""
        columns = {
            name: column
            if isinstance(column, torch.Tensor)
            else torch.nested.as_nested_tensor(list(column), layout=torch.jagged)
            for name, column in fields.items()
        }
        content = TensorDict(columns, batch_size=len(self))
        tq.kv_batch_put(keys=self.keys, partition_id=self.meta.partition_id, fields=content)

    def kinds(self) -> dict[str, dict[str, Any]]:
        """What the queue says of each field that the rows have."""
        found = tq.get_client().kv_retrieve_meta(keys=self.keys, partition_id=self.meta.partition_id)
        return found.field_schema

    def rewards(self) -> list[float]:
        """Each row's reward."""
        return [float(score_T.sum()) for score_T in self.get("rm_scores")[0]]

    @contextmanager
    def rewarded(self, changed_N: Sequence[float] | None) -> Iterator[None]:
        """Other rewards for as long as advantages are computed of them; None leaves them as they are."""
        if changed_N is None:
            yield
            return
        scores = self.get("rm_scores")[0]
        rows = [score_T.clone() for score_T in scores]
        for row_T, reward in zip(rows, changed_N, strict=True):
            row_T[-1] += reward - float(row_T.sum())
        self.put({"rm_scores": rows})
        try:
            yield
        finally:
            self.put({"rm_scores": scores})

    def pin(self, entries: Mapping[str, Any]) -> None:
        """Hold entries of what the workers get with the rows, whatever verl puts there; LEFT_OUT removes one."""
        self.meta.extra_info = PinnedInfo(self.meta.extra_info, entries)

    @contextmanager
    def tensors_alone(self) -> Iterator[None]:
        """Have workers fetch no columns of objects, questions among them: these are most of what a fetch costs."""
        before = self.meta.fields
        self.meta.fields = [name for name, kind in self.kinds().items() if not kind["is_non_tensor"]]
        try:
            yield
        finally:
            self.meta.fields = before

    # --- their place in the queue ----------------------------------------------------------------------------

    def joined(self, *others: "Rows") -> "Rows":
        """These rows and others of their partition behind them, with the fields that all have and what workers get."""
        return Rows(joined([self.meta, *(part.meta for part in others)])) if any(map(len, others)) else self

    def clear(self) -> None:
        """Take them out of the queue."""
        if len(self):
            tq.kv_clear(keys=self.keys, partition_id=self.meta.partition_id)

    def without(self, uids: Collection[str]) -> tuple["Rows", "Rows"]:
        """The rows without some groups, and the rows of these, which have left the queue."""
        names = self.uids
        leaving = self.at([place for place, uid in enumerate(names) if uid in uids])
        if not len(leaving):
            return self, leaving
        leaving.clear()
        return self.at([place for place, uid in enumerate(names) if uid not in uids]), leaving

    def move(self, partition: str, origin: Origin, step: int) -> None:
        """Put a copy of whole groups into another partition, as rows of an origin that `step` trains on."""
        if not len(self):
            return
        fields = tq.kv_batch_get(keys=self.keys, partition_id=self.meta.partition_id)
        tags = [tag | {ORIGIN: origin.value} for tag in self.tags]
        tq.kv_batch_put(keys=self.keys, partition_id=partition, fields=fields, tags=tags)
        announce(sorted(set(self.uids)), partition, step)

    @property
    def tokens(self) -> int:
        """Tokens of their responses."""
        return sum(tag["response_len"] for tag in self.tags)

    @property
    def rollouts(self) -> int:
        """Sessions that they are of: a session with several outputs is one rollout."""
        return len({place_of(key)[:2] for key in self.keys})

    # --- their groups ----------------------------------------------------------------------------------------

    def groups(self, question_of: Mapping[str, int]) -> dict[str, Group]:
        """Groups by uid, sorted; of a session with several outputs the last one counts."""
        last: dict[tuple[str, int], tuple[int, int]] = {}
        for place, (key, tag) in enumerate(zip(self.keys, self.tags, strict=True)):
            if not is_padding(tag):
                uid, session, output = place_of(key)
                last[uid, session] = max(last.get((uid, session), (-1, -1)), (output, place))
        if not last:
            return {}
        found: dict[str, list[tuple[int, float, int]]] = {}
        rewards = self.at([place for _, place in last.values()]).rewards()
        for ((uid, session), (_, place)), reward in zip(last.items(), rewards, strict=True):
            found.setdefault(uid, []).append((session, reward, place))
        groups = {}
        for uid, rollouts in sorted(found.items()):
            tag = self.tags[rollouts[0][2]]
            ordered = tuple(reward for _, reward, _ in sorted(rollouts))
            groups[uid] = Group(uid, ordered, origin_of(tag), sampled_in(tag), question_of.get(uid, -1))
        return groups


def announce(uids: Sequence[str], partition: str, step: int) -> None:
    """Tell verl's replay buffer of prompts whose rollouts are all there."""
    prompt = {"is_prompt": True, "status": "finished", "global_steps": step}
    tq.kv_batch_put(keys=list(uids), partition_id=partition, tags=[dict(prompt) for _ in uids])


def put_rows(keys: Sequence[str], fields: Sequence[dict[str, Any]], tags: Sequence[dict]) -> None:
    """New rows of the train partition, with all fields that verl's agent loop gives to fresh ones."""
    tq.kv_batch_put(keys=list(keys), partition_id=TRAIN, fields=list_of_dict_to_tensordict(list(fields)), tags=tags)


def incomplete(keys: Sequence[str], wanted: Mapping[str, int], enough: int | None = None) -> dict[str, int]:
    """Groups with rollouts missing, and how many each misses: what is left of them would be biased without a word.

    Groups of which nothing has arrived are among them, unless verl has replaced them (DAPO's filter, or
    trainer.v1.sampler.sync_refill_failed_groups), in which case the batch has all its groups.

    Args:
        keys: of the rows that have arrived.
        wanted: rollouts of each prompt that was submitted.
        enough: groups of a complete batch, where verl may have replaced some.
    """
    arrived = Counter(uid for uid, _ in {place_of(key)[:2] for key in keys})
    if enough is not None and len(arrived) >= enough:
        wanted = {uid: wanted.get(uid, 0) for uid in arrived}
    return {uid: want - arrived[uid] for uid, want in wanted.items() if arrived[uid] < want}
