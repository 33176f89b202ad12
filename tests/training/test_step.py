"""Whole steps of the trainer without Ray: stages of several methods together, on rows in memory."""

from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import CONFIG, DataSet, MemoryTrainer, put
from verl_dots.bridge.agents.agent_loop import FIRST_SESSION
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue.prompts import StepPrompts
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.rows import TRAIN, Rows
from verl_dots.config import DotsConfig
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.methods.run import Run
from verl_dots.methods.selection import worker
from verl_dots.methods.table import enabled, store_of
from verl_dots.step import Step
from verl_dots.training.failures import FailureCount
from verl_dots.training.modes import SyncTrainer
from verl_dots.training.pipeline import Pipeline

QUESTIONS, B, N = 32, 4, 4
FAILING = {1, 3, 7, 11, 17, 23}  # questions of which a rollout fails, each time
SELECTION = {"enable": True, "references": 4}
BUDGET = {"enable": True, "least": 2, "most": 6, "widen": None}
REPLAY = {"enable": True, "capacity": 8, "sampling": "nearest"}
FILTER = {"enable": True, "threshold": 0.02}
STOP_EARLY = {"enable": True, "confidence": 0.5, "audit": 0.2}
REFILL = {"enable": True, "within": [0.2, 0.8]}
ALL = {
    "selection": SELECTION, "adarft": {"enable": True, "range": [0, 1], "initial": 0.5, "eta": 0.1},
    "budget": BUDGET | {"by": "predicted"}, "temperature": {"enable": True, "low": 0.1, "high": 5.0},
    "replay": REPLAY, "filter": FILTER, "length_penalty": {"enable": True},
}  # fmt: skip
BALANCED = FILTER | {"balanced": True}


class InProcess(OnlinePredictor):
    """The predictor without its worker."""

    def __init__(self, settings, resources, device):
        pass

    def embed(self, texts, answers, news, known_P=None):
        super().__init__(np.random.default_rng(1).normal(size=(QUESTIONS, 3)).astype(np.float32), 8.0)


class MemoryStep(MemoryTrainer, SyncTrainer):
    """verl's parts in memory: of each 4 rollouts of question q q % 5 are right; rollout i has i + 1 tokens."""

    has_colocated_rewards = use_critic = use_reference_policy = False
    ranks = critic_ranks = 1

    def __init__(self, config, dots, queue):  # noqa: F811
        MemoryTrainer.__init__(self, lambda question: self.of(question, N))
        self.config, self.dots, self.queue, self.missing = config, dots, queue, FAILING
        self.stage_classes, self.questions = enabled(dots, config), TrainQuestions(DataSet(QUESTIONS), "prompt", "keep")
        self._submitted, self.failures = Counter(), FailureCount(1.0, B * N)
        self.global_steps, self.asked, self.trained, self.handed_out = 0, 0, [], set()
        self.counted = set()  # keys of rows whose tokens are in `sampled`
        self.reference_rollouts = 0
        store = store_of(self.stage_classes)
        fresh = store.fresh(dots, B) if store else B
        self.pipeline = Pipeline(Run(dots, config, self.questions, 10, fresh, vocabulary=16, trainer=self))
        self.train_dataloader = SimpleNamespace(state_dict=lambda: {"asked": self.asked})

    @staticmethod
    def of(question, size):
        return tuple(float(place % N < question % 5) for place in range(size))

    def next_question(self):
        self.asked += 1
        return (self.asked - 1) % QUESTIONS

    def prepare_step(self):
        self.now = Step(self.global_steps, timing=self.timing_raw)
        self.prompts = StepPrompts(self.now, N)
        self.pipeline.begin(self.now)
        prompts = self.next_prompts(None)
        self.sampled = self.sampled_rollouts = 0
        self.submit(prompts)

    def submit(self, prompts):
        names = list(prompts["uid"]) if len(prompts) else []
        sizes = self.prompts.sizes(prompts) if names else []
        first = list(prompts[FIRST_SESSION]) if FIRST_SESSION in prompts.keys() else [0] * len(names)  # noqa: SIM118
        self._submitted.update(dict(zip(names, sizes, strict=True)))
        for uid, size, begun in zip(names, sizes, first, strict=True):
            question = self.now.question_of[uid]
            put(self.now, uid, self.of(question, begun + size)[begun + (question in FAILING) :], first_session=begun)
        self.handed_out -= set(names)

    def roll_out_more(self, step, questions_N, whole=None):
        return SyncTrainer.roll_out_more(self, step, questions_N, whole)

    def roll_out_references(self, step, questions_K):
        found = MemoryTrainer.roll_out_references(self, step, questions_K)
        self.reference_rollouts += len(found.rows) + found.dropped_rollouts
        return found

    def sampling(self):
        return nullcontext()

    def step_once(self):
        """A step; its questions by uid, and its metrics."""
        self.global_steps, self.timing_raw = self.global_steps + 1, {}
        self.prepare_step()
        meta = self._step_once(metrics := {}, self.timing_raw, B)
        metrics |= self.generated(Rows(meta))
        self.queue.kv_clear(meta.keys, TRAIN)
        assert not any(not tag.get("is_prompt") for tag in self.queue.tags[TRAIN].values())  # nothing is left behind
        return self.now.question_of, {name: value for name, value in metrics.items() if "seconds" not in name}

    def wait_for_rollouts(self, groups, metrics):
        tags = {key: tag for key, tag in self.queue.tags[TRAIN].items() if not tag.get("is_prompt")}
        rows = Rows.of(list(tags), list(tags.values()))
        rows = rows.at([place for place, uid in enumerate(rows.uids) if uid not in self.handed_out])
        assert len(set(rows.uids)) == groups
        self.handed_out |= set(rows.uids)
        new = rows.at([place for place, key in enumerate(rows.keys) if key not in self.counted])
        self.sampled += new.own.tokens
        self.sampled_rollouts += len(new.own)
        self.counted |= set(rows.keys)
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
    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: [])
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


TOGETHER = pytest.mark.parametrize(
    "dots",
    [
        {"mopps": {"enable": True}, "replay": REPLAY, "budget": BUDGET, "length_penalty": {"enable": True}},
        {"adarft": {"enable": True, "difficulty": "extra_info.level"}, "replay": REPLAY,
         "entropy_coefficient": {"enable": True, "target": 1.0}},
        {"preemptive": {"enable": True, "prompts": 12}, "loss": {"behaviour": "engine"}, "filter": FILTER},
        {"preemptive": {"enable": True, "prompts": 8, "updates": 4}, "budget": BUDGET | {"by": "predicted"},
         "selection": SELECTION | {"reuse_references": False}, "filter": BALANCED},
        {"selection": SELECTION, "replay": REPLAY, "budget": BUDGET | {"by": "predicted"}, "filter": BALANCED},
        {"filter": BALANCED},
        ALL,
        {"refill": REFILL} | ALL,
        {"refill": REFILL, "budget": BUDGET, "filter": FILTER},
        {"refill": {"enable": True, "max_rounds": 1}, "adarft": {"enable": True, "difficulty": "extra_info.level"}},
        {"refill": REFILL, "mopps": {"enable": True}, "replay": REPLAY},
        {"stop_early": STOP_EARLY, "mopps": {"enable": True}, "budget": BUDGET},
        {"stop_early": STOP_EARLY, "refill": REFILL} | ALL,
    ],
    ids=lambda dots: "+".join(dots),
)  # fmt: skip


@TOGETHER
def test_methods_together_count_each_token_once_and_resume_as_if_nothing_had_been(make, dots, tmp_path):
    one, done, sampled, rollouts = make(dots), [], 0, 0
    for step in range(1, 9):
        done.append(one.step_once())
        sampled, rollouts = sampled + one.sampled, rollouts + one.sampled_rollouts
        if step == 5:
            one.pipeline.save(tmp_path)
            asked = one.asked
    for questions, _ in done:
        assert {"preemptive", "refill", "stop_early"} & set(dots) or len(questions) == B
        assert "preemptive" in dots or len(set(questions.values())) == len(questions)
    # What comes into the train partition is counted there, references that are thrown away and failed ones beside it.
    beside = [metrics.get("training/unused_tokens", 0) for _, metrics in done]
    assert sum(metrics["training/generated_tokens"] for _, metrics in done) == sampled + sum(beside)
    reused = sum(metrics.get("selection/reference/reused_groups", 0) for _, metrics in done)
    beside = one.reference_rollouts - N * reused
    assert sum(metrics["training/generated_rollouts"] for _, metrics in done) == rollouts + beside > 0
    assert any(metrics["training/dropped_groups"] for _, metrics in done) and len(one.trained) == 8
    # The engine's log-probs are -0.5 of every token, and where rows of earlier steps keep the trainer's, -0.25.
    assert {metrics.get("training/sampled_entropy", 0.5) for _, metrics in done} <= {0.5, 0.25}
    resumed = make(dots)
    resumed.pipeline.load(tmp_path)
    resumed.asked, resumed.global_steps = asked, 5
    assert [resumed.step_once() for _ in range(3)] == done[5:]


def breaks(*_):
    raise RuntimeError("out of memory")


@TOGETHER
@pytest.mark.parametrize(("at", "broken"), [("wait_for_rollouts", 2), ("update_actor", 4)])
def test_a_step_that_breaks_before_its_updates_is_resumed_as_if_it_had_not_begun(make, dots, at, broken, tmp_path):
    plain = make(dots)
    done = [plain.step_once() for _ in range(5)]
    plain.queue.tags.clear()
    one = make(dots)
    assert [one.step_once() for _ in range(broken - 1)] == done[: broken - 1]
    one._whole = one.global_steps
    one.keep_beginning()
    setattr(one, at, breaks)
    with pytest.raises(RuntimeError, match="out of memory"):
        one.step_once()
    one.save_stages(tmp_path)
    one.queue.tags.clear()
    resumed = make(dots)
    resumed.pipeline.load(tmp_path)
    resumed.asked, resumed.global_steps = one._begun.loader["asked"], broken - 1
    assert [resumed.step_once() for _ in range(6 - broken)] == done[broken - 1 :]


def test_the_sampled_entropy_needs_no_forward_pass_but_the_engines_log_probs(make):
    one = make({"mopps": {"enable": True}})
    assert [one.step_once()[1]["training/sampled_entropy"] for _ in range(2)] == [0.5] * 2
    one.config.actor_rollout_ref.rollout.calculate_log_probs = False
    assert "training/sampled_entropy" not in one.step_once()[1]


def test_a_refilled_batch_is_whole_its_groups_teach_and_what_is_dropped_is_learnt_from(make):
    one, dropped = make({"refill": REFILL, "mopps": {"enable": True}}), 0.0
    for _ in range(4):
        questions, metrics = one.step_once()
        trained = {key.split("_")[0] for key in one.trained[-1]} - {"pad"}
        # A question's number modulo 5 says how many of its 4 rollouts are right.
        assert len(trained) == B and {questions[uid] % 5 for uid in trained} <= {1, 2, 3}
        assert not {questions[uid] for uid in trained} & FAILING
        assert metrics["training/effective_groups"] == 1 == metrics["training/all_wrong_groups"] + 1
        seen = {group.question for group in one.now.new}
        assert seen == {question for question in questions.values() if question not in FAILING}
        measured = np.mean([min(question % 5, 4) / 4 for question in seen])
        assert metrics["mopps/measured_difficulty"] == pytest.approx(1 - measured)
        dropped += metrics["refill/dropped_groups"]
    assert dropped > 0


@pytest.mark.parametrize(
    "dots", [ALL, {"budget": BUDGET}, {"mopps": {"enable": True}}], ids=lambda dots: "+".join(dots)
)
def test_a_band_that_every_group_is_within_changes_nothing(make, monkeypatch, dots):
    monkeypatch.setattr("tests.training.test_step.FAILING", set())
    without, neutral = make(dots), make(dots | {"refill": {"enable": True, "within": [0, 1]}})
    for _ in range(6):
        questions, metrics = neutral.step_once()
        figures = {name: value for name, value in metrics.items() if not name.startswith("refill/")}
        assert (questions, figures) == without.step_once()
    assert neutral.trained == without.trained


@pytest.mark.parametrize("dots", [ALL, {"mopps": {"enable": True}}], ids=lambda dots: "+".join(dots))
def test_two_parts_of_which_nothing_stops_are_as_one(make, monkeypatch, dots):
    monkeypatch.setattr("tests.training.test_step.FAILING", set())
    without, neutral = make(dots), make(dots | {"stop_early": STOP_EARLY | {"audit": 1.0}})
    for _ in range(6):
        questions, metrics = neutral.step_once()
        figures = {name: value for name, value in metrics.items() if not name.startswith("stop_early/")}
        assert (questions, figures) == without.step_once()
    assert neutral.trained == without.trained


def test_questions_that_always_end_alike_stop_once_that_is_known(make, monkeypatch):
    monkeypatch.setattr("tests.training.test_step.FAILING", set())
    one, rows = make({"stop_early": STOP_EARLY | {"audit": 0.0}, "mopps": {"enable": True}}), []
    for _ in range(30):
        questions, metrics = one.step_once()
        rows.append(metrics)
        trained = Counter(key.split("_")[0] for key in one.trained[-1] if not key.startswith("pad"))
        for group in one.now.dropped:  # of number 1 and 2 modulo 5 the first two of four may be alike, too
            assert group.size == 2 and not group.effective and group.uid not in trained
        assert set(trained.values()) == {N} and len(trained) + len(one.now.dropped) == len(questions)
        # All rollouts, of stopped groups as well, are no more than without.
        assert sum(trained.values()) + 2 * len(one.now.dropped) <= B * N
        saved = metrics["stop_early/saved"] * B * N
        assert saved == 2 * len(one.now.dropped) and metrics["stop_early/further_groups"] == saved // N
    assert sum(metrics["stop_early/further_groups"] for metrics in rows) > 3


def whose_first_refill_breaks(make, breaks):
    """A trainer whose second wait is `breaks(trainer, groups)`, and the groups of each wait."""
    one, waits = make({"refill": REFILL, "budget": BUDGET}), []
    wait = one.wait_for_rollouts

    def waited(groups, metrics):
        waits.append(groups)
        if len(waits) == 2:
            breaks(one, groups)
        return wait(groups, metrics)

    one.wait_for_rollouts = waited
    return one, waits


def test_a_round_of_which_no_rollout_comes_counts_as_failed_and_the_next_one_is_rolled_out(make):
    def fails(one, groups):
        for key in [key for key in one.queue.tags[TRAIN] if key.split("_")[0] not in one.handed_out]:
            one.queue.kv_clear([key], TRAIN)
        one.queue.kv_batch_put([list(one._submitted)[place] for place in range(groups)], TRAIN, tags=[{}] * groups)
        raise RuntimeError("selected terminal groups with no materializable trajectories")

    one, waits = whose_first_refill_breaks(make, fails)
    questions, metrics = one.step_once()
    assert waits[1] == waits[2] and metrics["refill/rounds"] == len(waits) - 1
    assert metrics["training/dropped_groups"] >= waits[1] and metrics["refill/missing_groups"] == 0
    assert one.failures.failed == metrics["training/failed_rollouts"] >= waits[1] * N


def test_a_round_that_was_waited_for_too_long_ends_the_step(make):
    """What stands still, or has died, is no rollout that failed: the next round would be waited for as long."""

    def stands_still(one, groups):
        raise RolloutFailure("waited 9 s for rollouts")

    one, waits = whose_first_refill_breaks(make, stands_still)
    with pytest.raises(RolloutFailure, match="^waited 9 s for rollouts$"):
        one.step_once()
    assert len(waits) == 2 and not one.trained


def test_where_every_group_fails_nothing_more_is_rolled_out(make, monkeypatch):
    monkeypatch.setattr("tests.training.test_step.FAILING", set(range(QUESTIONS)))
    one = make({"refill": REFILL, "budget": BUDGET})
    with pytest.raises(RolloutFailure, match="no group is complete"):
        one.step_once()
    assert one.asked == B and not one.trained


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
