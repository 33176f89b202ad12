"""What a writer puts into the queue, with one that only keeps what it is given."""

import pytest

from scripts.driver import workers
from verl_dots.bridge.queue.rows import TRAIN


class Queue:
    """verl's client, as far as a writer uses it: tags by partition and key."""

    def __init__(self):
        self.tags = {}

    def init(self) -> None:
        pass

    async def async_kv_batch_put(self, *, keys, partition_id, fields=None, tags=None) -> None:
        self.tags |= {(partition_id, key): tag for key, tag in zip(keys, tags, strict=True)}


@pytest.fixture
def queue(monkeypatch) -> Queue:
    made = Queue()
    monkeypatch.setattr(workers, "tq", made)
    return made


def test_groups_are_written_with_all_their_rollouts_and_their_status(queue):
    question = {"data_source": "a", "raw_prompt": [{"role": "user", "content": "?"}]}
    workers.Writer(8, 1).roll_out([("u", 2, 0, question), ("v", 3, 1, question)], step=4)
    rollouts = {"u_0_0", "u_1_0", "v_1_0", "v_2_0", "v_3_0"}
    assert set(queue.tags) == {(TRAIN, key) for key in rollouts | {"u", "v"}}
    for key in ("u", "v"):
        assert queue.tags[TRAIN, key] == {"is_prompt": True, "status": "finished", "global_steps": 4}
