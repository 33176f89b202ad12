"""What verl puts into a batch, and what is held there."""

import pickle

from verl_dots.bridge.queue.pinned import LEFT_OUT, PinnedInfo


def test_pinned_entries_hold_whatever_verl_puts_there():
    info = PinnedInfo(PinnedInfo({"x": 1, "temperature": 1.0}, {"mini_batch_size": 3}), {"temperature": LEFT_OUT})
    info.update(temperature=0.7, mini_batch_size=8, y=2)
    for one in (info, pickle.loads(pickle.dumps(info))):
        assert one == {"x": 1, "mini_batch_size": 3, "y": 2}
        one.update({"temperature": 0.9})
        assert "temperature" not in one
