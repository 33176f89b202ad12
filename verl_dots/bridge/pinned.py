"""Entries of what workers get with a batch, held whatever verl puts there."""

from collections.abc import Mapping
from typing import Any

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
