"""Steps of the asynchronous trainer without Ray: verl's own replay buffer over a queue in memory.

The engine ends a group once a later one is asked for: what a step asks for the next one trains on.
"""

from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from omegaconf import OmegaConf
from verl.trainer.ppo.v1 import replay_buffer, trainer_base

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import CONFIG, DataSet, MemoryTrainer, put
from tests.refusals import refused
from tests.training.test_step import ALL, QUESTIONS, B, InProcess, N
from verl_dots.bridge.agents import failures
from verl_dots.bridge.agents.agent_loop import PARTITION, TEMPERATURE
from verl_dots.bridge.agents.failures import RolloutFailure
from verl_dots.bridge.queue import arrivals
from verl_dots.bridge.queue.evictions import tell_evictions
from verl_dots.bridge.queue.looks import Looks
from verl_dots.bridge.queue.prompts import SIZE
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.rows import TRAIN, VALIDATION, Rows
from verl_dots.bridge.trainer import bridge_trainer as bridge
from verl_dots.config import DotsConfig
from verl_dots.methods.run import Run
from verl_dots.methods.selection import worker
from verl_dots.methods.table import enabled, store_of
from verl_dots.state import load_state
from verl_dots.step import Step
from verl_dots.training.failures import FailureCount
from verl_dots.training.in_flight import FILE, KIND, Asked, InFlight
from verl_dots.training.modes import ColocateAsyncTrainer
from verl_dots.training.pipeline import Pipeline
from verl_dots.training.tolerant_trainer import REFERENCE_PARTITION
from verl_dots.training.trainer import DotsTrainer

# The engine's log-probs are -0.5: the temperature rises towards an entropy of 1.
HOLDS = {"entropy": "engine", "target": 1.0}
ENGINE = {"loss": {"behaviour": "engine"}, "temperature": ALL["temperature"] | HOLDS}
EVERYTHING = {name: group for name, group in ALL.items() if name != "filter"} | ENGINE


class Engine:
    """Ends what it was asked for before; of question q q % 5 of 4 rollouts are right, rollout i has i + 1 tokens."""

    def __init__(self, queue):  # noqa: F811
        self.queue, self.waiting, self.failing = queue, [], set()
        self.asked = {}  # uid -> (question, temperature, step)
        self.temperature = None
        self.tokens = 0

    def generate_sequences(self, prompts):
        partitions = list(prompts[PARTITION]) if PARTITION in prompts.keys() else [TRAIN] * len(prompts)  # noqa: SIM118
        sizes = list(prompts[SIZE]) if SIZE in prompts.keys() else [N] * len(prompts)  # noqa: SIM118
        step = int(prompts["global_steps"])
        given = list(prompts[TEMPERATURE]) if TEMPERATURE in prompts.keys() else [None] * len(prompts)  # noqa: SIM118
        self.end(step - 1)
        rows = zip(prompts["uid"], prompts["raw_prompt"], partitions, sizes, given, strict=True)
        for uid, messages, partition, size, temperature in rows:
            self.asked[uid] = (int(messages[0]["content"].split()[1]), temperature, step)
            self.waiting.append((uid, partition, int(size)))
        if partitions[0] != TRAIN:
            self.end(step - 1)

    def end(self, version):
        """The last token of what waits is of these weights, the first of those that there were when it was asked."""
        for uid, partition, size in self.waiting:
            question, _, step = self.asked[uid]
            rewards = [float(place % N < question % 5) for place in range(size)]
            failed = question in self.failing
            rows = put(Step(step), uid, rewards[failed:], partition=partition)
            self.tokens += rows.tokens
            self.queue.kv_batch_put(rows.keys, partition, tags=[{"max_global_steps": version}] * len(rows))
            self.queue.kv_batch_put([uid], partition, tags=[{"status": "failure" if failed else "finished"}])
        self.waiting = []


class MemoryAsync(MemoryTrainer, ColocateAsyncTrainer):
    """verl's parts in memory, but for its replay buffer, its submission and its hooks."""

    has_colocated_rewards = use_critic = use_reference_policy = False
    ranks = critic_ranks = 1
    trainer_mode, parameter_sync_step, _restored_tq_prompt_count = "colocate_async", 1, 0

    def __init__(self, config, dots, queue):  # noqa: F811
        MemoryTrainer.__init__(self)
        self.config, self.dots, self.queue = config, dots, queue
        self.stage_classes, self.questions = enabled(dots, config), TrainQuestions(DataSet(QUESTIONS), "prompt", "keep")
        self._submitted, self.failures = trainer_base.defaultdict(int), FailureCount(1.0, B * N)
        self.in_flight, self._ahead, self.global_steps, self.asked, self.trained = InFlight(), False, 0, 0, []
        sampler = config.trainer.v1.sampler
        self.replay_buffer = replay_buffer.ReplayBufferAsync(
            "colocate_async", {}, sampler.threshold, "drop", {}, poll_interval=0.01, refill_fn=self._more
        )
        self.looks = Looks(0.01, self.patience.news)
        tell_evictions(self.replay_buffer, self.evicted)
        self.agent_loop_manager = Engine(queue)
        store = store_of(self.stage_classes)
        fresh = store.fresh(dots, B) if store else B
        self.pipeline = Pipeline(Run(dots, config, self.questions, 10, fresh, vocabulary=16, trainer=self))
        self.train_dataloader = SimpleNamespace(state_dict=lambda: {"asked": self.asked})

    def _more(self, count):
        added = self._add_prompts_to_generate(count)
        self.agent_loop_manager.end(self.global_steps - 1)
        return added

    # What `MemoryTrainer` does in the place of a trainer, this one does itself.
    roll_out_references = ColocateAsyncTrainer.roll_out_references
    roll_out_more = ColocateAsyncTrainer.roll_out_more

    def set_temperature(self, temperature):
        ColocateAsyncTrainer.set_temperature(self, temperature)

    def wait_for(self, uids, metrics):
        self.agent_loop_manager.end(self.global_steps - 1)
        return super().wait_for(uids, metrics)

    def next_question(self):
        self.asked += 1
        return (self.asked - 1) % QUESTIONS

    def sampling(self):
        return nullcontext()

    def _balance_batch(self, batch, metrics):
        return batch

    def compute_advantages(self, rows, metrics):
        pass

    forward = MemoryTrainer.forward

    def update_actor(self, rows, metrics):
        self._keep_temperatures(rows)
        columns = rows.get("old_log_probs", "rollout_log_probs")
        assert all((old == engine).all() for old, engine in zip(*columns, strict=True))  # the behaviour is the engine's
        self.trained.append([(key, dict(tag)) for key, tag in zip(rows.keys, rows.tags, strict=True)])
        self.ages = [int(age) for age in rows.get("replay_age")[0]]

    def begin(self):
        """What a run does before its first step."""
        self.global_steps += 1
        self.on_train_begin()

    def step_once(self):
        """A step's questions by uid, and its metrics."""
        self.timing_raw = {}
        self.keep_beginning()
        self.prepare_step()
        meta = self._step_once(metrics := {}, self.timing_raw, B)
        self._whole, self._begun = self.global_steps, None
        metrics |= self.generated(Rows(meta))
        self.queue.kv_clear(meta.keys, TRAIN)
        self.global_steps += 1
        return self.now.question_of, metrics

    def on_train_begin(self):
        self.begin_step({})
        ahead = trainer_base.PPOTrainer._add_async_warmup_batches
        self._ahead_by(lambda: ahead(self, self.config.trainer.v1.colocate_async.num_warmup_batches))


@pytest.fixture
def make(monkeypatch, queue, tmp_path):  # noqa: F811
    """Makes the trainer of a run with some settings of `dots`."""
    for module in (arrivals, bridge, failures, replay_buffer, trainer_base):
        monkeypatch.setattr(module, "tq", queue)
    monkeypatch.setattr(worker, "DifficultyWorkerGroup", InProcess)
    monkeypatch.setattr("verl_dots.training.tolerant_trainer.take_failures", lambda of: [])
    (backbone := tmp_path / "backbone").mkdir()
    for name in ("config.json", "model.safetensors"):
        (backbone / name).write_text("{}")

    def made(dots, threshold=8, ahead=1):
        config = OmegaConf.create(CONFIG)
        config.trainer.critic_warmup = 0
        config.trainer.v1 = {"colocate_async": {"num_warmup_batches": ahead}, "sampler": {"threshold": threshold}}
        config.skip = {"rollout_tq": {"enable": False}}
        config.data.gen_batch_size = 1
        parts = config.actor_rollout_ref
        parts.rollout.n, parts.actor.ppo_mini_batch_size, parts.actor.policy_loss.loss_mode = N, 2, "grpo_rr"
        return MemoryAsync(config, DotsConfig.from_mapping(dots | {"difficulty": {"backbone": str(backbone)}}), queue)

    return made


def test_each_row_has_its_temperature_whatever_part_of_the_batch_is_computed(make):
    one = make(ENGINE)
    one.begin()
    rows = put(one.now, "a", [0.0] * 3)
    for tag, temperature in zip(rows.tags, (0.7, 0.7, 1.1), strict=True):
        tag["temperature"] = temperature
    rows = one.balance(rows, {})
    part = rows.at([0, 1])
    assert [float(found) for found in part.get("temperature")[0]] == pytest.approx([0.7, 0.7])
    part.meta.extra_info.update(temperature=1.0)  # verl's, of the step
    assert "temperature" not in part.meta.extra_info


def test_a_group_keeps_its_question_and_temperature_until_a_later_step_trains_on_it(make):
    one, found, taken, asked_for = make(EVERYTHING), [], 0, []
    one.begin()
    assert len(one.in_flight) >= B  # two batches of the two questions that a step rolls out, or more with references
    for step in range(1, 6):
        questions, metrics = one.step_once()
        found.append(metrics)
        rows = one.trained[-1]
        names = {key.split("_")[0] for key, _ in rows}
        assert len(names) == B and names == set(questions)
        for (key, tag), age in zip(rows, one.ages, strict=True):
            uid = key.split("_")[0]
            if uid in one.agent_loop_manager.asked:
                question, temperature, asked = one.agent_loop_manager.asked[uid]
                assert questions[uid] == question
                if temperature is not None and asked != step:  # references have no temperature of their own
                    assert tag.get("temperature", one.now.temperature) == temperature
            # Of a fresh row as of a replayed one: by the weights that sampled its first token.
            assert age == step - (tag["min_global_steps"] + 1)
        taken += sum(tag["response_len"] for key, tag in rows if "replayed" not in key)
        asked_for += [age for age, (key, _) in zip(one.ages, rows, strict=True) if "prompt" in key and step > 1]
        assert metrics["training/age/mean"] == pytest.approx(np.mean(one.ages))
        assert metrics["training/age/max"] == max(one.ages)
    assert any(metrics["replay/share"] > 0 for metrics in found)
    assert asked_for and min(asked_for) >= 1  # in an earlier step
    assert len({metrics["temperature/temperature"] for metrics in found}) > 1
    # Every token is counted once, in the step that takes it.
    unused = sum(metrics.get("training/unused_tokens", 0) for metrics in found)
    assert sum(metrics["training/generated_tokens"] for metrics in found) == taken + unused


@pytest.mark.parametrize(
    "dots",
    [
        {"budget": {"enable": True, "least": 2, "most": 6, "widen": None}},
        {"adarft": {"enable": True, "difficulty": "extra_info.level"}},
        {"mopps": {"enable": True}, "refill": {"enable": True, "within": [0.2, 0.8]}},
        {"selection": ALL["selection"] | {"mu": 1, "reuse_references": True}},
    ],
    ids="+".join,
)
def test_each_source_rolls_out_ahead_and_every_batch_is_whole(make, dots):
    one = make(dots | {"loss": {"behaviour": "engine"}})
    one.begin()
    before = len(one.in_flight)
    for _ in range(3):
        questions, metrics = one.step_once()
        assert len({key.split("_")[0] for key, _ in one.trained[-1]}) == B == len(questions) - len(one.now.dropped)
        assert len(one.in_flight) == before and metrics["training/dropped_groups"] == 0
    # What it trains on was asked for within the caps of the step before.
    assert "budget/rollouts/least" not in metrics and ("budget/rollouts/max" in metrics) == ("budget" in dots)


@pytest.mark.parametrize(
    "dots", [{"mopps": {"enable": True}}, {"replay": {"enable": True, "delta": 0.75}}], ids="+".join
)
def test_a_resume_asks_for_as_many_groups_as_its_window_lacks(make, dots):
    """A step that broke has taken some of those in flight, and what is left is no multiple of a batch's fresh ones."""
    whole = make(dots | {"loss": {"behaviour": "engine"}})
    whole.begin()
    one = make(dots | {"loss": {"behaviour": "engine"}})
    one.count_restored(1)
    one.begin()
    assert len(whole.in_flight) == B and len(one.in_flight) == B - 1
    asked = [question for question in one.in_flight.questions if question >= 0]
    assert len(asked) == B - 1


@pytest.mark.parametrize("overlap", ["none", "batch"])
def test_no_question_is_replayed_beside_a_group_of_it_that_was_asked_for_earlier(make, overlap):
    """With an overlap one is; the figure counts what the batch holds, not what its step has asked for."""
    one, twice = (
        make(ENGINE | {"replay": {"enable": True, "delta": 0.5, "capacity": QUESTIONS, "overlap": overlap}}),
        [],
    )
    one.begin()
    for _ in range(40):
        questions, metrics = one.step_once()
        times = Counter(questions.values())
        replayed = {key.split("_")[0] for key, _ in one.trained[-1] if "replayed" in key}
        twice.append(sum(times[questions[uid]] > 1 for uid in replayed))
        assert metrics["replay/overlapping_groups"] == twice[-1]
    assert (sum(twice) > 0) == (overlap == "batch")


def test_a_step_knows_which_of_the_questions_that_it_takes_were_drawn_uniformly(make):
    uniform_first = ALL["selection"] | {"mu": 1, "uniform_start": 2, "reuse_references": False}
    one = make({"selection": uniform_first, "loss": {"behaviour": "engine"}})
    one.begin()
    # Those of the two uniform rounds were asked for before the first step, and in it; a later step takes each.
    for uniform in (True, True, False, False):
        questions, _ = one.step_once()
        assert one.now.uniform & set(questions.values()) == (set(questions.values()) if uniform else set())


EXPLORING = ALL["selection"] | {"references": 0, "mu": 1, "rho_floor": -1.0}


@pytest.mark.parametrize(("mu", "ahead"), [(1, 1), (2, 1), (1, 2)])
def test_what_is_drawn_uniformly_is_measured_whichever_round_its_rollouts_come_in(make, mu, ahead):
    one = make({"selection": EXPLORING | {"mu": mu, "explore": 0.5}, "loss": {"behaviour": "engine"}}, ahead=ahead)
    one.begin()
    found = []
    for _ in range(10):
        _, metrics = one.step_once()
        found.append(metrics)
    # Nothing is known until step 1 has observed. Of each batch that is planned later 2 of 4 questions are drawn
    # uniformly, and it is trained on `ahead` steps later; a round is planned before its first step observes.
    due = range(2, 11, mu)
    counted = [2 * max(0, planned - 2 - ahead) for planned in due]
    shown = [found[planned - 1]["selection/explored/groups"] for planned in due]
    assert shown == counted and counted[-1] > 0
    assert -1 <= found[due[-1] - 1]["selection/explored/rho"] <= 1


def test_predictions_are_distrusted_while_rollouts_go_on(make):
    settings = EXPLORING | {"explore": 0.5, "rho_floor": 1.0, "rho_rounds": 1, "uniform_rounds": 2}
    one = make({"selection": settings, "loss": {"behaviour": "engine"}})
    one.begin()
    trusted = [one.step_once()[1]["selection/trusted"] for _ in range(23)]
    # Predictions begin in step 2, whose batch step 3 trains on: 32 pairs, two a step, are there before step 19 alone.
    assert trusted == [0] + [1] * 17 + [0, 0, 0] + [1, 1]


def test_what_the_chosen_show_is_compared_with_what_was_predicted_of_them(make):
    chosen = ALL["selection"] | {"mu": 1, "reuse_references": False, "rho_floor": -1.0}
    one = make({"selection": chosen, "loss": {"behaviour": "engine"}})
    one.begin()
    for _ in range(4):
        state = one.in_flight.state_dict()
        predicted = dict(zip(state["uids"], state["predicted"], strict=True))
        questions, metrics = one.step_once()
        of_batch = [predicted[uid] for uid in questions]  # as its own round saw them, before this step began another
        assert len(of_batch) == B and metrics["selection/predicted_difficulty"] == pytest.approx(np.mean(of_batch))


def test_failed_groups_give_way_to_others_and_are_counted(make):
    one = make({"adarft": {"enable": True, "difficulty": "extra_info.level"}, "loss": {"behaviour": "engine"}})
    one.agent_loop_manager.failing = {0, 1}
    one.begin()
    assert one.in_flight.questions >= {0, 1}
    questions, metrics = one.step_once()
    assert len(questions) == B and not {0, 1} & set(questions.values())
    assert metrics["training/dropped_groups"] >= 2
    assert metrics["training/failed_rollouts"] == metrics["training/dropped_groups"] == one.failures.failed
    kept = sum(tag["response_len"] for _, tag in one.trained[-1])
    # The first rollout of a failed group is missing: 1 + 2 + 3 tokens of the others are given up.
    assert metrics["training/dropped_tokens"] == 6 * metrics["training/dropped_groups"]
    assert metrics["training/generated_tokens"] == kept + metrics["training/dropped_tokens"]


def test_a_run_whose_every_rollout_fails_ends(make):
    one = make({"mopps": {"enable": True}, "loss": {"behaviour": "engine"}})
    one.failures = FailureCount(0.0, B * N)
    one.agent_loop_manager.failing = set(range(QUESTIONS))
    one.begin()
    with pytest.raises(RolloutFailure, match="rollouts failed in the last 20 steps"):
        one.step_once()


@pytest.fixture
def resumed(monkeypatch, tmp_path):
    """Has a step that broke save the one before it, and goes on from there as a resumed run does."""

    def loaded(one):
        one.checkpoint = tmp_path
        one.pipeline.load(tmp_path)

    monkeypatch.setattr(DotsTrainer, "load", loaded)

    def where_it_broke(one, error):
        """Names of the groups that are in flight there."""
        whole, begun = one._whole, one._begun
        one.run, one.saving, one.save = tmp_path / "run", nullcontext, lambda: one.save_stages(tmp_path)
        with pytest.raises(RolloutFailure, match=f"^step {whole + 1}: "), one.kept():
            raise one._ended(error)
        one.global_steps, one.in_flight, one.now, one._begun, one._whole = whole, InFlight(), None, None, None
        ColocateAsyncTrainer.load(one)
        kept = set(one.in_flight)
        one.asked = begun.loader["asked"]
        assert one._restored_tq_prompt_count == len(kept) and arrivals.prompts_there() == kept
        one.agent_loop_manager.waiting = [asked for asked in one.agent_loop_manager.waiting if asked[0] in kept]
        one.agent_loop_manager.failing = set()
        one.failures = FailureCount(1.0, B * N)
        one.begin()
        assert len(one.in_flight) >= B  # as many as at every begin: what was given up is made up for
        questions, _ = one.step_once()
        assert len(questions) == B == len({key.split("_")[0] for key, _ in one.trained[-1]})
        return kept

    return where_it_broke


@pytest.mark.parametrize("dots", [{"mopps": {"enable": True}, "loss": {"behaviour": "engine"}}, EVERYTHING])
def test_what_a_step_saves_in_which_too_many_rollouts_failed_can_be_resumed_from(make, resumed, dots):
    one = make(dots)
    one.begin()
    one.step_once()
    one.failures, before = FailureCount(0.0, 0), set(one.in_flight)
    one.agent_loop_manager.failing = set(range(QUESTIONS))
    with pytest.raises(RolloutFailure, match="rollouts failed in the last 20 steps") as raised:
        one.step_once()
    assert resumed(one, raised.value) <= before


def test_what_a_step_saves_that_broke_before_it_took_its_stored_groups_can_be_resumed_from(make, resumed):
    one = make(EVERYTHING)
    one.begin()
    for _ in range(3):
        one.step_once()
    one.timing_raw, before = {}, set(one.in_flight)
    one.keep_beginning()
    one.prepare_step()
    stored = set(one.now.question_of) - set(one.in_flight)
    assert stored and stored <= arrivals.prompts_there()
    lost = next(iter(one.in_flight))
    one.queue.kv_clear([lost], TRAIN)  # verl's buffer had taken it when a process died
    assert set(one.in_flight) > before
    assert resumed(one, RolloutFailure("waited 9 s for rollouts")) == before - {lost}


def test_what_is_too_old_is_given_up_and_its_tokens_are_counted(make):
    one = make({"mopps": {"enable": True}, "loss": {"behaviour": "engine"}}, threshold=1)
    one.begin()
    one.step_once()
    _, metrics = one.step_once()
    assert metrics["training/off_policy/evicted_samples"] == B and metrics["training/dropped_groups"] == 0
    kept = sum(tag["response_len"] for _, tag in one.trained[-1])
    assert metrics["training/generated_tokens"] == kept + B * (1 + 2 + 3 + 4)
    assert max(one.ages) == 0


def test_nothing_ahead_is_a_step_that_trains_on_what_it_asks_for(make):
    one = make({"mopps": {"enable": True}, "loss": {"behaviour": "engine"}}, ahead=0)
    one.begin()
    assert len(one.in_flight) == 0
    wait = one.replay_buffer._wait_for_next_poll
    one.replay_buffer._wait_for_next_poll = lambda *given: (
        one.agent_loop_manager.end(one.global_steps - 1) or wait(*given)
    )
    for _ in range(2):
        one.step_once()
        assert max(one.ages) == 0 == len(one.in_flight)


def test_a_checkpoint_holds_what_is_in_flight(make, tmp_path):
    one = make(EVERYTHING)
    one.begin()
    for _ in range(3):
        one.step_once()
    one.save_stages(tmp_path)
    restored = InFlight()
    restored.load_state_dict(load_state(tmp_path / FILE, KIND))
    there = set(restored)
    assert restored.take(sorted(there)) == {uid: one.in_flight.take([uid])[uid] for uid in sorted(there)} != {}
    assert arrivals.prompts_there() == there


def test_a_question_in_flight_that_is_not_in_the_data_ends_the_resume(make, tmp_path, monkeypatch):
    one = make(EVERYTHING)
    one.begin()
    one.in_flight.add("wrong", Asked(QUESTIONS, N, 1.0, one.global_steps))
    one.save_stages(tmp_path)
    monkeypatch.setattr(DotsTrainer, "load", lambda self: setattr(self, "checkpoint", tmp_path))
    with refused("question", "damaged", FILE, f"at most {QUESTIONS - 1}"):
        ColocateAsyncTrainer.load(one)


def test_a_resumed_run_trains_on_its_groups_in_flight_and_keeps_nothing_of_the_step_that_broke(
    make, tmp_path, monkeypatch
):
    one = make(EVERYTHING)
    one.begin()
    one.step_once()
    there = set(one.in_flight)
    # Of a group whose prompt a step had taken, of one that it had asked for, of references that were being rolled out,
    # and of a validation.
    one.queue.kv_batch_put(["taken_0_0"], TRAIN, tags=[{}])
    one.in_flight.add("later", Asked(0, N, 1.0, one.global_steps + 1))
    one.queue.kv_batch_put(["later", "later_0_0"], TRAIN, tags=[{"is_prompt": True}, {}])
    one.queue.kv_batch_put(["r1", "r1_0_0"], REFERENCE_PARTITION, tags=[{"is_prompt": True}, {}])
    one.queue.kv_batch_put(["v1", "v1_0_0"], VALIDATION, tags=[{"is_prompt": True, "status": "finished"}, {}])
    causes = [f"{group}_1" for group in (min(there), "later", "r1", "v1")]
    one.queue.kv_batch_put(causes, failures.PARTITION, tags=[{"cause": "ActorDiedError: gone", "time": 0.0}] * 4)
    one.save_stages(tmp_path)
    monkeypatch.setattr(DotsTrainer, "load", lambda self: setattr(self, "checkpoint", tmp_path))
    ColocateAsyncTrainer.load(one)
    assert set(one.in_flight) == there == arrivals.prompts_there() and one._restored_tq_prompt_count == len(there)
    assert not arrivals.prompts_there(REFERENCE_PARTITION) and not arrivals.prompts_there(VALIDATION)
    left = {key for kept in one.queue.kv_list().values() for key in kept}
    assert not any(key.startswith(("taken", "later", "r1", "v1")) for key in left)
    # Of what goes on the cause is still told.
    assert [failure.rollout for failure in failures.take_failures()] == causes[:1]
