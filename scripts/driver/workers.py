"""What stands in for the processes with devices: the rows of an engine, and the columns of the actor's passes.

They write to verl's TransferQueue from a process of their own, as an agent loop worker and an actor worker do, and
compute nothing.
"""

import asyncio
import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import ray
import torch
import transfer_queue as tq
from tensordict import TensorDict
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from scripts.driver.synthetic import group_rows
from verl_dots.bridge.agents.agent_loop import FIRST_SESSION
from verl_dots.bridge.agents.written_rows import GroupRows, RowWriter
from verl_dots.bridge.queue.prompts import SIZE
from verl_dots.bridge.queue.rows import TRAIN

GROUPS_AT_ONCE = 8
ROWS_AT_ONCE = 64
WAIT_SECONDS = 1800.0


class Writer:
    """The process that writes.

    Args:
        longest: most tokens of a response.
        seed: of all that is random.
    """

    def __init__(self, longest: int, seed: int):
        torch.set_num_threads(1)
        tq.init()
        self.longest, self.seed = longest, seed

    def pid(self) -> int:
        """Of this process."""
        return os.getpid()

    def roll_out(self, groups: Sequence[tuple[str, int, int, dict[str, Any]]], step: int) -> None:
        """Write groups, each with (uid, rollouts, first session, fields of the question), a few at a time."""

        async def write() -> None:
            writer = RowWriter(tq, list_of_dict_to_tensordict)
            for first in range(0, len(groups), GROUPS_AT_ONCE):
                await asyncio.gather(*(one(writer, *group) for group in groups[first : first + GROUPS_AT_ONCE]))

        async def one(writer: RowWriter, uid: str, size: int, first: int, question: dict[str, Any]) -> None:
            with writer.group(uid):
                rows = GroupRows()
                rows.add(*group_rows(question, uid, size, step, self.longest, self.seed, first))
                await writer.write(uid, TRAIN, rows, {"is_prompt": True, "status": "finished", "global_steps": step})

        asyncio.run(write())

    def forward(self, keys: Sequence[str], lengths: Sequence[int]) -> None:
        """Write log-probs and entropies of whole sequences, as the actor's forward pass does."""
        for first in range(0, len(keys), ROWS_AT_ONCE):
            part = lengths[first : first + ROWS_AT_ONCE]
            columns = {
                name: torch.nested.as_nested_tensor([torch.full((n,), value) for n in part], layout=torch.jagged)
                for name, value in (("log_probs", -0.5), ("entropy", 0.5))
            }
            content = TensorDict(columns, batch_size=len(part))
            tq.kv_batch_put(keys=list(keys[first : first + ROWS_AT_ONCE]), partition_id=TRAIN, fields=content)


class SyntheticEngine:
    """The agent loops: their rows come at once, from another process."""

    def __init__(self, writer: Any, rollouts: int):
        self.writer, self.rollouts, self.temperature = writer, rollouts, 1.0

    def generate_sequences(self, prompts: TensorDict) -> None:
        """Write the rollouts of these prompts, and wait for the last."""
        names = set(prompts.keys())
        first = list(prompts[FIRST_SESSION]) if FIRST_SESSION in names else [0] * len(prompts)
        sizes = list(prompts[SIZE]) if SIZE in names else [self.rollouts] * len(prompts)
        questions = [
            {name: prompts[name][place] for name in ("raw_prompt", "reward_model", "data_source")}
            for place in range(len(prompts))
        ]
        groups = list(zip(prompts["uid"], map(int, sizes), map(int, first), questions, strict=True))
        ray.get(self.writer.roll_out.remote(groups, int(prompts["global_steps"])), timeout=WAIT_SECONDS)


class SyntheticActor:
    """The actor's worker group: columns of the right shape, and figures of an update.

    Args:
        writer: handle of a `Writer`.
        ranks: data-parallel ranks.
        away: context in which the driver waits for workers.
    """

    def __init__(self, writer: Any, ranks: int, away: Any):
        self.writer, self._away = writer, away
        self._dispatch_info = {"actor": list(range(ranks))}

    def _query_dispatch_info(self, role: str) -> list[int]:
        return self._dispatch_info[role]

    def set_loss_fn(self, loss: Any) -> None:
        """No loss is computed."""

    def compute_log_prob(self, batch: Any) -> Any:
        """The forward pass's columns, from another process."""
        with self._away():
            lengths = [tag["seq_len"] for tag in batch.tags]
            ray.get(self.writer.forward.remote(batch.keys, lengths), timeout=WAIT_SECONDS)
        return batch

    def update_actor(self, batch: Any) -> dict[str, Any]:
        """What the workers tell of an update."""
        return {"metrics": {"mfu": np.array([0.0]), "grad_norm": np.array([1.0]), "lr": np.array([1e-6])}}


def no_replicas() -> SimpleNamespace:
    """A manager of engines that have no weights."""
    return SimpleNamespace(sleep_replicas=lambda: None, update_weights=lambda step: None)
