"""Entries of what workers get with a batch, held whatever verl puts there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from transfer_queue import KVBatchMeta

LEFT_OUT = "__left_out__"  # the value of an entry that workers are not to get


class PinnedInfo(dict):
    """A batch's extra_info of which verl cannot change some entries; see `Rows.pin`."""

    def __init__(self, content: Mapping[str, Any], pinned: Mapping[str, Any]):
        super().__init__(content)
        self.pinned = {**getattr(content, "pinned", {}), **pinned}
        self.update()

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        super().update({key: value for key, value in self.pinned.items() if value != LEFT_OUT})
        for key in [key for key, value in self.pinned.items() if value == LEFT_OUT]:
            self.pop(key, None)

    def __reduce__(self):
        return PinnedInfo, (dict(self), self.pinned)


def joined(metas: Sequence[KVBatchMeta]) -> KVBatchMeta:
    """One batch of several, in their order: with the fields that all have, what workers get, and what is held of that.

    verl's own join refuses parts with other fields, gives no extra_info where there is nothing, and holds nothing.
    """
    metas = [meta for meta in metas if len(meta)]
    whole = KVBatchMeta.concat([replace(meta, fields=None) for meta in metas])
    if all(meta.fields is not None for meta in metas):
        whole.fields = sorted(set.intersection(*(set(meta.fields) for meta in metas)))
    pinned = {key: value for meta in metas for key, value in getattr(meta.extra_info, "pinned", {}).items()}
    whole.extra_info = PinnedInfo(whole.extra_info or {}, pinned)
    return whole
