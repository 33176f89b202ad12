"""A step without Ray: rows in memory, and a trainer that rolls out what a test says.

The queue has the four functions of verl's TransferQueue that `verl_dots.bridge.queue.rows` calls; a test compares the
two (tests/bridge/test_transfer_queue.py).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import torch
from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta

from verl_dots.bridge.queue import rows as bridge
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.row_tags import ORIGIN, TEMPERATURE
from verl_dots.bridge.queue.rows import TRAIN, Rows
from verl_dots.config import DotsConfig
from verl_dots.methods.run import References, Run
from verl_dots.state import load_state, save_state
from verl_dots.step import Origin, Step


class MemoryQueue:
    """Rows by partition and key, in this process."""

    def __init__(self):
        self.fields: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
        self.tags: dict[str, dict[str, dict]] = defaultdict(dict)

    def kv_batch_put(self, keys, partition_id, fields=None, tags=None) -> KVBatchMeta:
        for place, key in enumerate(keys):
            for name in fields.keys() if fields is not None else ():
                column = fields[name]
                self.fields[partition_id][key][name] = column[place]
            self.tags[partition_id].setdefault(key, {}).update(tags[place] if tags is not None else {})
        return KVBatchMeta(partition_id=partition_id, keys=list(keys), tags=[self.tags[partition_id][k] for k in keys])

    async def async_kv_put(self, key, partition_id, tag) -> None:
        self.tags[partition_id].setdefault(key, {}).update(tag)

    def kv_batch_get(self, keys, partition_id, select_fields=None) -> dict[str, Any]:
        if not keys:
            raise ValueError("keys or partition were not found!")
        rows = [self.fields[partition_id][key] for key in keys]
        names = select_fields or sorted(set.intersection(*(set(row) for row in rows)))
        return {name: _column([row[name] for row in rows]) for name in names}

    def get_client(self) -> "MemoryQueue":
        return self

    def kv_retrieve_meta(self, keys, partition_id) -> SimpleNamespace:
        kinds = {
            name: {"is_non_tensor": not isinstance(value, torch.Tensor)}
            for key in keys
            for name, value in self.fields[partition_id][key].items()
        }
        return SimpleNamespace(field_schema=kinds)

    def kv_clear(self, keys, partition_id) -> None:
        for key in keys:
            self.fields[partition_id].pop(key, None)  # a prompt has none
            del self.tags[partition_id][key]

    def kv_list(self, partition_id=None) -> dict[str, dict[str, dict]]:
        names = [*self.tags] if partition_id is None else [partition_id]
        return {name: {key: dict(tag) for key, tag in self.tags[name].items()} for name in names}


def _column(values: list[Any]) -> Any:
    if not isinstance(values[0], torch.Tensor):
        return values
    if values[0].dim() == 0:
        return torch.stack(values)
    return torch.nested.as_nested_tensor(values, layout=torch.jagged)


class DataSet:
    """What verl's data set has: a table, and rows with the prompt as raw_prompt; `more` are (question, answer)."""

    def __init__(self, count: int, more: Sequence[tuple[str, str]] = ()):
        pairs = [*((f"question {number}", str(number)) for number in range(count)), *more]
        self.dataframe = datasets.Dataset.from_list([
            {
                "prompt": [{"role": "user", "content": text}],
                "reward_model": {"ground_truth": answer},
                "extra_info": {"level": float(place)},
            }
            for place, (text, answer) in enumerate(pairs)
        ])  # fmt: skip

    def __getitem__(self, place: int) -> dict[str, Any]:
        row = self.dataframe[place]
        columns = {"raw_prompt": row["prompt"], "reward_model": row["reward_model"], "data_source": "test"}
        return columns | {"dummy_tensor": torch.tensor([place])}


class MemoryTrainer:
    """What a stage asks the trainer for.

    Args:
        rewards: question -> rewards of its rollouts.
    """

    def __init__(self, rewards: Callable[[int], Sequence[float]] = lambda question: (0.0, 1.0)):
        self.rewards = rewards
        self.forwarded: list[tuple[str, list[str]]] = []  # (field, keys) of each forward pass
        self.temperatures: list[float] = []
        self.entropy_coefficients: list[float] = []
        self.order = iter(range(10**6))  # of the data loader
        self.missing: set[int] = set()  # questions of which a rollout fails
        self.references: list[list[int]] = []  # questions that were rolled out apart, round by round
        self.whole: dict[str, int] = {}  # uid -> rollouts in all of groups of which the rest was rolled out
        self.more: list[list[int]] = []  # further questions of a step's batch, round by round
        self.questions = 0

    def roll_out_references(self, step: Step, questions_K: np.ndarray) -> References:
        self.references.append(questions_K.tolist())
        complete_K = np.array([question not in self.missing for question in questions_K.tolist()])
        named = [(step.name("reference", place), question) for place, question in enumerate(questions_K.tolist())]
        there = [pair for pair, complete in zip(named, complete_K, strict=True) if complete]
        groups = [put(step, uid, self.rewards(question), partition="reference") for uid, question in there]
        rows = together(*groups, partition="reference")
        return References(rows, [uid for uid, _ in there], complete_K, 7 * len(self.missing), 3 * len(self.missing))

    def roll_out_more(self, step: Step, questions_N: np.ndarray, whole: Mapping[str, int] | None = None) -> Rows:
        self.more.append(questions_N.tolist())
        parts = []
        for uid, size in (whole or {}).items():
            self.whole[uid] = size
            there = [tag for key, tag in bridge.tq.tags[TRAIN].items() if key.split("_")[0] == uid]
            begun = Rows.of([f"{uid}_{session}_0" for session in range(len(there))], there)
            question = step.question_of[uid]
            if question in self.missing:
                begun.clear()
                continue
            further = self.rewards(question)[len(there) : size]
            parts += [begun, put(step, uid, further, first_session=len(there))]
        for question in questions_N.tolist():
            uid = step.name("prompt", len(step.question_of))
            step.question_of[uid] = question
            if question not in self.missing:
                parts.append(put(step, uid, self.rewards(question)))
        return together(*parts)

    def forward(self, field: str, rows: Rows, metrics: dict) -> None:
        """Log-probs of -0.25 a token, and an entropy of 0.5."""
        self.forwarded.append((field, list(rows.keys)))
        tokens = rows.get("responses")[0]
        rows.put({field: [torch.full((len(row),), -0.25) for row in tokens]})
        rows.put({"entropy": [torch.full((len(row),), 0.5) for row in tokens]})
        metrics["actor/entropy"] = 0.5

    def next_question(self) -> int:
        return next(self.order) % self.questions

    def set_temperature(self, temperature: float) -> None:
        self.temperatures.append(temperature)

    def set_entropy_coefficient(self, coefficient: float) -> None:
        self.entropy_coefficients.append(coefficient)


CONFIG = {
    "data": {"train_batch_size": 4, "max_response_length": 8},
    "algorithm": {
        "adv_estimator": "grpo", "norm_adv_by_std_in_grpo": True, "use_kl_in_reward": False,
        "rollout_correction": {"rollout_is": None, "rollout_rs": None, "bypass_mode": False},
    },
    "actor_rollout_ref": {
        "rollout": {
            "n": 2, "temperature": 1.0, "log_prob_use_dynamic_bsz": True, "log_prob_micro_batch_size_per_gpu": None,
            "calculate_log_probs": True,
        },
        "ref": {"log_prob_use_dynamic_bsz": True, "log_prob_micro_batch_size_per_gpu": None},
        "actor": {
            "ppo_mini_batch_size": 4, "use_dynamic_bsz": True, "ppo_micro_batch_size_per_gpu": None,
            "policy_loss": {"loss_mode": "vanilla"}, "fsdp_config": {"mixed_precision": {"param_dtype": "fp32"}},
        },
        "model": {"use_fused_kernels": False},
    },
    "reward": {"reward_model": {"enable": False, "enable_resource_pool": False}},
    "trainer": {"device": "cpu", "total_training_steps": 10},
}  # fmt: skip


@cache
def questions_of(count: int) -> TrainQuestions:
    """The questions of a data set; made once, as they take longer than most steps."""
    return TrainQuestions(DataSet(count), "prompt", "keep")


def make_run(dots: Mapping[str, Any], questions: int = 8, trainer: MemoryTrainer | None = None, **more: Any) -> Run:
    """A run of a batch of 4 questions and 2 rollouts each over `questions` questions.

    Args:
        dots: settings that are not the defaults.
        more: dotted keys of verl's config, `__` in place of the dot, or arguments of Run.
    """
    config = OmegaConf.create(CONFIG)
    own = {name: more.pop(name) for name in list(more) if "__" not in name}
    for name, value in more.items():
        OmegaConf.update(config, name.replace("__", "."), value, force_add=True)
    trainer = trainer or MemoryTrainer()
    trainer.questions = questions
    batch_size = config.data.train_batch_size
    values = {"steps": 10, "fresh": batch_size, "vocabulary": 16, "trainer": trainer} | own
    return Run(DotsConfig.from_mapping(dict(dots)), config, copy(questions_of(questions)), **values)


def put(
    step: Step,
    uid: str,
    rewards: Sequence[float],
    *,
    origin: Origin = Origin.FRESH,
    sampled: int | None = None,
    lengths: Sequence[int] | None = None,
    temperature: float | None = None,
    partition: str = TRAIN,
    log_prob: float = -0.5,
    padding: bool = False,
    first_session: int = 0,
) -> Rows:
    """A group's rows with the fields of verl's agent loop: rollout i has i + 1 tokens, or `lengths`."""
    sessions = range(first_session, first_session + len(rewards))
    keys = [f"{uid}_{session}_0" for session in sessions]
    lengths = lengths or [session + 1 for session in sessions]
    tags, fields = [], defaultdict(list)
    for reward, length in zip(rewards, lengths, strict=True):
        tag = {"global_steps": sampled or step.number, "prompt_len": 2, "response_len": length, "seq_len": 2 + length}
        tag |= dict.fromkeys(("min_global_steps", "max_global_steps"), tag["global_steps"] - 1)
        tag |= {ORIGIN: origin.value} if origin is not Origin.FRESH else {}
        tag |= {TEMPERATURE: temperature} if temperature is not None else {}
        tag |= {"is_padding": True} if padding else {}
        tags.append(tag)
        scores = torch.zeros(length)
        scores[-1] = reward
        fields["rm_scores"].append(scores)
        fields["prompts"].append(torch.tensor([1, 2]))
        fields["responses"].append(torch.arange(length))
        fields["rollout_log_probs"].append(torch.full((length,), log_prob))
        for name in ("response_mask", "loss_mask"):
            fields[name].append(torch.full((length,), int(not padding)))
        fields["num_turns"].append(2)
        fields["uid"].append(uid)
    bridge.tq.kv_batch_put(keys=keys, partition_id=partition, fields=fields, tags=tags)
    return Rows.of(keys, tags, partition)


def together(*parts: Rows, partition: str = TRAIN) -> Rows:
    """Rows of several groups as one batch."""
    keys, tags = ([value for part in parts for value in getattr(part, name)] for name in ("keys", "tags"))
    return Rows.of(keys, tags, partition)


def batch(step: Step, rewards: Mapping[int, Sequence[float]], **more: Any) -> Rows:
    """A step's own rows: a group for each question with its rewards; the step knows the questions and the groups."""
    parts = []
    for place, (question, of_question) in enumerate(rewards.items()):
        uid = step.name("prompt", place)
        step.question_of[uid] = question
        parts.append(put(step, uid, of_question, **more))
    rows = together(*parts)
    step.groups |= rows.groups(step.question_of)
    return rows


def carry_over(one: Any, other: Any, folder: Path) -> None:
    """Give one stage's state to another, by way of a file."""
    save_state(folder / "state", "test", one.state_dict())
    other.load_state_dict(load_state(folder / "state", "test"))


def declared(*stages: Any) -> set[str]:
    """Names of all metrics that stages say they report."""
    return {f"{stage.name}/{name}" for stage in stages for name in stage.METRICS}
