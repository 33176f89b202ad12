"""Whole steps of the trainer without Ray: stages of several methods together, on rows in memory."""

from collections import Counter

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import CONFIG, DataSet, MemoryTrainer, put
from verl_dots.bridge.questions import TrainQuestions
from verl_dots.bridge.rows import TRAIN, Rows
from verl_dots.config import DotsConfig
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.methods.hooks import Run
from verl_dots.methods.selection import worker
from verl_dots.methods.table import enabled, store_of
from verl_dots.step import Step
from verl_dots.training.failures import FailureCount
from verl_dots.training.pipeline import Pipeline
from verl_dots.training.trainer import DotsTrainer

QUESTIONS, B, N = 32, 4, 4
FAILING = {1, 3, 7, 11, 17, 23}  # questions of which a rollout fails, each time
SELECTION = {"enable": True, "references": 4}
BUDGET = {"enable": True, "least": 2, "most": 6, "widen": None}
REPLAY = {"enable": True, "capacity": 8, "sampling": "nearest"}
FILTER = {"enable": True, "threshold": 0.02}
BALANCED = FILTER | {"balanced": True}


class InProcess(OnlinePredictor):
    """The predictor without its worker."""

    def __init__(self, settings, resources, device):
        pass

    def embed(self, texts, answers):
        super().__init__(np.random.default_rng(1).normal(size=(QUESTIONS, 3)).astype(np.float32), 8.0)


class MemoryStep(MemoryTrainer, DotsTrainer):
    """verl's parts in memory: of question q about (q % 5) / 4 of the rollouts are right, rollout i has i + 1 tokens."""

    has_colocated_rewards = use_critic = use_reference_policy = False

    def __init__(self, config, dots, queue):  # noqa: F811
        MemoryTrainer.__init__(self, lambda question: self.of(question, N))
        self.config, self.dots, self.queue, self.missing = config, dots, queue, FAILING
        self.stage_classes, self.questions = enabled(dots, config), TrainQuestions(DataSet(QUESTIONS), "prompt", "keep")
        self._prompts, self._submitted, self.failures = Counter(), Counter(), FailureCount(1.0, B * N)
        self.global_steps, self.asked, self.trained = 0, 0, []
        store = store_of(self.stage_classes)
        fresh = store.fresh(dots, B) if store else B
        self.pipeline = Pipeline(Run(dots, config, self.questions, 10, fresh, vocabulary=16, trainer=self))

    @staticmethod
    def of(question, size):
        return tuple(float(4 * place < question % 5 * size) for place in range(size))

    def next_question(self):
        self.asked += 1
        return (self.asked - 1) % QUESTIONS

    def prepare_step(self):
        self.now = Step(self.global_steps, timing=self.timing_raw)
        self._prompts.clear()
        self._named = 0
        self.pipeline.begin(self.now)
        prompts = self.next_prompts(None)
        names = list(prompts["uid"]) if len(prompts) else []
        sizes = list(prompts["__rollout_n__"]) if "__rollout_n__" in prompts.keys() else [N] * len(names)  # noqa: SIM118
        self._submitted.update(dict(zip(names, map(int, sizes), strict=True)))
        for uid, size in self._submitted.items():
            question = self.now.question_of[uid]
            put(self.now, uid, self.of(question, size)[question in FAILING :])

    def step_once(self):
        """A step; its questions by uid, and its metrics."""
        self.global_steps, self.timing_raw = self.global_steps + 1, {}
        self.prepare_step()
        meta = self._step_once(metrics := {}, self.timing_raw, B)
        metrics["training/generated_tokens"] = self.generated_tokens(Rows(meta))
        self.queue.kv_clear(meta.keys, TRAIN)
        assert not any(not tag.get("is_prompt") for tag in self.queue.tags[TRAIN].values())  # nothing is left behind
        return self.now.question_of, {name: value for name, value in metrics.items() if "seconds" not in name}

    def wait_for_rollouts(self, groups, metrics):
        tags = {key: tag for key, tag in self.queue.tags[TRAIN].items() if not tag.get("is_prompt")}
        rows = Rows.of(list(tags), list(tags.values()))
        assert len(set(rows.uids)) == groups
        self.sampled = rows.own.tokens
        return rows

    def balance(self, rows, metrics):
        missing = -len(rows) % (self.actor_updates * (1 if self.unequal_groups else 2 * N))
        pad = put(self.now, "pad", (0.0,) * missing, lengths=[1] * missing, padding=True)
        return Rows.of([*rows.keys, *pad.keys], [*rows.tags, *pad.tags])

    def compute_advantages(self, rows, metrics):
        reward_N, uid_N = np.array(rows.rewards()), np.array(rows.uids)
        advantages = [reward - reward_N[uid_N == uid].mean() for reward, uid in zip(reward_N, uid_N, strict=True)]
        lengths = [tag["response_len"] for tag in rows.tags]
        rows.put({"advantages": [torch.full((T,), value) for T, value in zip(lengths, advantages, strict=True)]})
        metrics["rollout_corr/kl"] = 0.1

    def update_actor(self, rows, metrics):
        self.trained.append(rows.keys)


@pytest.fixture
def make(monkeypatch, queue, tmp_path):  # noqa: F811
    """Makes the trainer of a run with some settings of `dots`."""
    monkeypatch.setattr(worker, "DifficultyWorkerGroup", InProcess)
    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", list)
    (backbone := tmp_path / "backbone").mkdir()
    for name in ("config.json", "model.safetensors"):
        (backbone / name).write_text("{}")

    def made(dots, critic_warmup=0):
        config = OmegaConf.create(CONFIG)
        config.trainer.critic_warmup = critic_warmup
        parts = config.actor_rollout_ref
        parts.rollout.n, parts.actor.ppo_mini_batch_size, parts.actor.policy_loss.loss_mode = N, 2, "grpo_rr"
        return MemoryStep(config, DotsConfig.from_mapping(dots | {"difficulty": {"backbone": str(backbone)}}), queue)

    return made


@pytest.mark.parametrize(
    "dots",
    [
        {"mopps": {"enable": True}, "replay": REPLAY, "budget": BUDGET, "length_penalty": {"enable": True}},
        {"adarft": {"enable": True, "difficulty": "extra_info.level"}, "replay": REPLAY},
        {"preemptive": {"enable": True, "prompts": 12}, "loss": {"behaviour": "engine"}, "filter": FILTER},
        {"preemptive": {"enable": True, "prompts": 8, "updates": 4}, "budget": BUDGET | {"by": "predicted"},
         "selection": SELECTION | {"reuse_references": False}, "filter": BALANCED},
        {"selection": SELECTION, "replay": REPLAY, "budget": BUDGET | {"by": "predicted"}, "filter": BALANCED},
        {"filter": BALANCED},
        {"selection": SELECTION, "adarft": {"enable": True, "range": [0, 1], "initial": 0.5, "eta": 0.1},
         "budget": BUDGET | {"by": "predicted"}, "temperature": {"enable": True, "low": 0.1, "high": 5.0},
         "replay": REPLAY, "filter": FILTER, "length_penalty": {"enable": True}},
    ],
    ids=lambda dots: "+".join(dots),
)  # fmt: skip
def test_methods_together_count_each_token_once_and_resume_as_if_nothing_had_been(make, dots, tmp_path):
    one, done, sampled = make(dots), [], 0
    for step in range(1, 9):
        done.append(one.step_once())
        sampled += one.sampled
        if step == 5:
            one.pipeline.save(tmp_path)
            asked = one.asked
    assert all("preemptive" in dots or len(questions) == B == len(set(questions.values())) for questions, _ in done)
    # What comes into the train partition is counted there, references that are thrown away and failed ones beside it.
    beside = [metrics.get("training/unused_tokens", 0) for _, metrics in done]
    assert sum(metrics["training/generated_tokens"] for _, metrics in done) == sampled + sum(beside)
    assert any(metrics["training/dropped_groups"] for _, metrics in done) and len(one.trained) == 8
    resumed = make(dots)
    resumed.pipeline.load(tmp_path)
    resumed.asked, resumed.global_steps = asked, 5
    assert [resumed.step_once() for _ in range(3)] == done[5:]


def test_figures_of_the_engine_are_told_where_every_row_is_the_steps_own_and_was_computed(make):
    for dots, told in (
        ({"replay": REPLAY}, [True, False]),
        ({"filter": FILTER}, [False, False]),
        ({"filter": FILTER | {"early": False}}, [True, True]),
    ):
        one = make(dots)
        assert ["rollout_corr/kl" in one.step_once()[1] for _ in told] == told


def test_while_the_critic_warms_up_the_actor_is_not_updated(make):
    one = make({"filter": FILTER}, critic_warmup=2)
    found = [{name for name in one.step_once()[1] if name.startswith("filter/")} for _ in range(2)]
    assert found == [set(), {"filter/rows", "filter/share", "filter/tokens"}] and len(one.trained) == 1
