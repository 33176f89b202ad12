import pytest

from tests.methods.memory import MemoryQueue
from verl_dots.bridge.queue import rows


@pytest.fixture(autouse=True)
def queue(monkeypatch) -> MemoryQueue:
    """The TransferQueue of these tests, in memory; end-to-end runs have processes of their own."""
    memory = MemoryQueue()
    monkeypatch.setattr(rows, "tq", memory)
    return memory
