"""The queue in memory, on which the stages are tested, against the real TransferQueue."""

from typing import Any

import pytest
import ray
import torch
import transfer_queue
from transfer_queue.storage.simple_storage import StorageUnitData

from tests.methods.memory import MemoryQueue
from verl_dots.bridge.queue import rows as bridge
from verl_dots.bridge.queue.rows import Rows, announce, put_rows
from verl_dots.launch.compose import compose
from verl_dots.step import Origin


@pytest.fixture
def real_queue():
    # A controller and two storage units have a logical CPU each.
    ray.init(address="local", num_cpus=8, include_dashboard=False, log_to_driver=False)
    transfer_queue.init()
    yield transfer_queue
    transfer_queue.close()
    ray.shutdown()


def plain(value: Any) -> Any:
    """A value of a column, whatever holds it."""
    value = getattr(value, "data", value) if not isinstance(value, torch.Tensor) else value
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value


def tags(partition: str) -> dict[str, dict]:
    return (bridge.tq.kv_list(partition_id=partition) or {}).get(partition) or {}


def all_calls() -> list[Any]:
    """What `Rows` calls, and what each call shows."""
    shown: list[Any] = []
    keys = ["a_0_0", "a_1_0", "b_0_0"]
    tag = {"global_steps": 3, "min_global_steps": 2, "seq_len": 4, "response_len": 2}
    fields = [
        {
            "uid": key[0], "rm_scores": torch.arange(1.0, 2.0 + place), "num_turns": 2 + place,
            "raw_prompt": [{"role": "user", "content": key}], "metrics": {},
        }
        for place, key in enumerate(keys)
    ]  # fmt: skip
    put_rows(keys, fields, [tag | {"number": place} for place in range(3)])
    announce(["a", "b"], "train", 3)
    rows = Rows.of(keys, [tag] * 3)
    shown += [tags("train"), plain(rows.get("rm_scores", "num_turns", "uid", "raw_prompt"))]
    shown.append(plain(rows.at([2, 0]).get("rm_scores", "num_turns")))  # in the order that is asked for
    rows.put({"age": torch.tensor([4, 5, 6]), "old_log_probs": [torch.full((size,), 0.5) for size in (1, 2, 3)]})
    rows.at([1]).put({"age": torch.tensor([7])})
    rows.at([0, 1]).put({"old_log_probs": [torch.tensor([0.25]), torch.tensor([0.75, 1.0])]})
    shown += [plain(rows.get("age", "old_log_probs")), plain(rows.at([0]).get("age", "old_log_probs")), tags("train")]
    with rows.tensors_alone():
        shown.append(sorted(rows.meta.fields))
    assert rows.meta.fields is None
    with rows.rewarded([0.5, 0.0, 6.0]):
        shown.append(plain(rows.get("rm_scores")))
    shown += [plain(rows.get("rm_scores")), rows.rewards(), rows.groups({"a": 1})]
    rows.at([0, 1]).move("other", Origin.CACHED, 5)
    moved = Rows.of(keys[:2], [tag] * 2, "other")
    shown += [tags("other"), plain(moved.get("rm_scores", "age", "num_turns", "uid")), tags("train")]
    bridge.tq.kv_batch_put(keys=["a", "b_0_0"], partition_id="train", tags=[{"status": "seen"}, {"number": 9}])
    left, gone = rows.without({"a"})
    shown += [left.keys, gone.tokens, tags("train"), plain(left.get("age")), plain(moved.get("age"))]
    moved.clear()
    shown.append(tags("other"))
    with pytest.raises(ValueError):
        rows.at([]).get("age")
    return shown


@pytest.mark.e2e
def test_the_queue_in_memory_shows_what_the_real_one_shows(real_queue, monkeypatch):
    found = []
    for queue in (MemoryQueue(), real_queue):
        monkeypatch.setattr(bridge, "tq", queue)
        found.append(all_calls())
    assert [pair for pair in zip(*found, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.usefixtures("cpu_environment")
@pytest.mark.parametrize("device", [["device=cpu"], []])
def test_a_validation_of_more_rows_than_verls_limit_finds_room(device):
    """3,200 questions x 32 responses, which is one batch by default. A row without room is a wrong answer."""
    rows = list(range(3200 * 32))
    limits = [compose(device).transfer_queue.backend.SimpleStorage.total_storage_size, 100_000]
    ours, verls = (StorageUnitData(limit) for limit in limits)
    ours.put_data({"uid": rows}, rows)
    assert ours.active_key_count == 102_400
    with pytest.raises(ValueError, match="Storage capacity exceeded"):
        verls.put_data({"uid": rows}, rows)
