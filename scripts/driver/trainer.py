"""The real trainer of `dots` without devices: all of its step on the driver, over workers that compute nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import torch
from omegaconf import DictConfig
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import AutoTokenizer

from scripts.driver.meters import Meters
from scripts.driver.workers import WAIT_SECONDS, SyntheticActor, SyntheticEngine, no_replicas
from verl_dots.bridge.queue import rows as bridge
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.bridge.queue.rows import Rows
from verl_dots.launch.compose import compose
from verl_dots.methods.dash.filter_stage import Filter
from verl_dots.training.modes import SyncTrainer
from verl_dots.training.pipeline import make_pipeline

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "recipes/cpu/tiny_model"
GROUP, RANKS, MINI_BATCHES = 8, 8, 4
# All that the driver does with rows: replay of half of each batch, budgets, a controlled temperature, DASH's filter.
METHODS = (
    "dots.adarft.enable=True", "dots.adarft.difficulty=extra_info.level", "dots.adarft.range=[0,100]",
    "dots.adarft.initial=50", "dots.adarft.eta=10",
    "dots.budget.enable=True", "dots.budget.least=4", "dots.budget.most=12",
    "dots.temperature.enable=True", "dots.temperature.target=0.5", "dots.temperature.entropy=recomputed",
    "dots.length_penalty.enable=True",
    "dots.replay.enable=True", "dots.replay.delta=0.5",
    "dots.filter.enable=True", "dots.filter.threshold=0.02",
    "algorithm.adv_estimator=grpo_rr", "actor_rollout_ref.actor.policy_loss.loss_mode=grpo_rr",
    "actor_rollout_ref.actor.use_dynamic_bsz=True", "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True",
    "actor_rollout_ref.rollout.calculate_log_probs=True", "actor_rollout_ref.actor.use_kl_loss=False",
)  # fmt: skip


class Questions:
    """What verl's data set has: a table, and rows with the prompt as raw_prompt."""

    def __init__(self, count: int):
        self.dataframe = datasets.Dataset.from_list([
            {
                "prompt": [{"role": "user", "content": f"question {number}"}],
                "reward_model": {"ground_truth": str(number), "style": "rule"},
                "extra_info": {"level": float(number % 100)},
            }
            for number in range(count)
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.dataframe)

    def __getitem__(self, place: int) -> dict[str, Any]:
        row = self.dataframe[place]
        columns = {"raw_prompt": row["prompt"], "reward_model": row["reward_model"], "data_source": "synthetic"}
        return columns | {"dummy_tensor": torch.tensor([place])}


def config_of(rows: int, longest: int, folder: Path, steps: int) -> DictConfig:
    """A run of batches of `rows` rollouts of up to `longest` tokens, in groups of eight."""
    questions = rows // GROUP
    return compose([
        "device=cpu", *METHODS, f"data.train_batch_size={questions}", f"data.max_response_length={longest}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={max(1, questions // MINI_BATCHES)}",
        f"actor_rollout_ref.rollout.n={GROUP}", f"dots.replay.capacity={questions}",
        f"actor_rollout_ref.model.path={MODEL}", f"trainer.default_local_dir={folder}",
        f"trainer.total_training_steps={steps}", "trainer.logger=[]", "trainer.val_before_train=False",
    ])  # fmt: skip


class DriverTrainer(SyncTrainer):
    """verl's and this project's trainer, made without its workers.

    Args:
        config: of `config_of`.
        writer: handle of a `Writer`.
        meters: whose stages the trainer's parts are.
    """

    def __init__(self, config: DictConfig, writer: Any, meters: Meters):
        super().__init__(config)
        self.meters = meters
        self.tokenizer, self.processor = AutoTokenizer.from_pretrained(MODEL), None
        self.actor_rollout_wg = SyntheticActor(writer, RANKS, meters.away)
        self.agent_loop_manager = SyntheticEngine(writer, config.actor_rollout_ref.rollout.n)
        self.checkpoint_manager = no_replicas()
        self.reward_loop_manager = SimpleNamespace(reward_loop_worker_handles=())
        self.resource_pool_manager = SimpleNamespace(resource_pool_dict={"global": None}, get_n_gpus=lambda: RANKS)
        self.total_training_steps = config.trainer.total_training_steps
        self.steps_per_epoch = self.total_training_steps
        self.global_steps, self.curr_step_profile, self._resumed_step = 0, False, 0
        self.train_dataset = Questions(2 * config.data.train_batch_size)
        self.train_dataloader = StatefulDataLoader(self.train_dataset, config.data.train_batch_size)
        self.questions = TrainQuestions(self.train_dataset, "prompt", "keep")
        self.logger = SimpleNamespace(logger={})
        self._open_run_folder()
        self._init_dump_executor()
        self.begin_anew()
        self.meters.wrap(self, {
            "next_prompts": "plan", "wait_for_rollouts": "arrival", "drop_failed": "arrival", "balance": "balance",
            "forward": "forward pass, driver's part", "entropy_of": "entropy, logged",
            "compute_advantages": "advantages", "add_figures": "metrics", "log_rollouts": "rollout log",
            "keep_beginning": "state: keep",
        })  # fmt: skip

    def begin_anew(self) -> None:
        """Stages that remember nothing, as a resumed run has them before it reads its checkpoint."""
        self.pipeline = make_pipeline(self)
        stages = {stage.name: stage for stage in self.pipeline.stages if stage.name != "loss"}
        losses = [stage for stage in self.pipeline.stages if stage.name == "loss"]
        wrap = self.meters.wrap
        wrap(stages["replay"], {"_fill_up": "replay: draw", "observe": "replay: store"})
        wrap(stages["budget"], {"sizes": "budgets", "observe": "budgets"})
        wrap(stages["temperature"], {"observe": "entropy, controlled"})
        wrap(stages["filter"], {"reduce": "DASH filter"})
        for loss in losses:
            wrap(loss, {"forward": "ages, behaviour, pinned entries", "reduce": "ages, behaviour, pinned entries"})
        wrap(self.pipeline, {"rewards": "length penalty", "metrics": "metrics"})

    def submit(self, prompts: Any) -> int:
        with self.meters.away():
            return super().submit(prompts)

    def one_step(self) -> None:
        """A step from its plan to the empty queue, as verl's `fit` makes it."""
        self.global_steps += 1
        self.timing_raw, metrics = {}, {}
        with self.meters.stage("rest of the step"):
            batch = self.step(metrics, self.timing_raw)
            self.timing_raw["step"] = sum(self.timing_raw.values())
        self._decide_before_forward(Rows(batch))
        self._compute_metrics(batch, metrics, self.timing_raw, self.global_steps, 0)
        self._log_rollout_data(batch, self.timing_raw, str(self.run / "rollouts"))
        with self.meters.stage("rollout log"):
            for written in self._dump_futures:
                written.result(timeout=WAIT_SECONDS)
        with self.meters.stage("clear"):
            bridge.tq.kv_clear(keys=batch.keys, partition_id=batch.partition_id)
        with self.meters.stage("metrics"):
            self.logger.logger["run_folder"].log(metrics, self.global_steps)

    def _decide_before_forward(self, rows: Rows) -> None:
        """DASH's decision by the rewards alone, which a run without replay makes before its forward passes."""
        early = Filter(self.pipeline.run)
        early.early = True
        with self.meters.stage("DASH filter, before the passes"):
            early.complete(self.now, rows)

    def save_and_load(self, folder: Path) -> None:
        """Write the stages' state, forget it, and read it."""
        folder.mkdir(parents=True)
        with self.meters.stage("state: write"):
            self.pipeline.save(folder)
        self.begin_anew()
        with self.meters.stage("state: read"):
            self.pipeline.load(folder)


@contextmanager
def rows_metered(meters: Meters) -> Iterator[None]:
    """Account what `Rows` does for the step itself."""
    before = {name: getattr(Rows, name) for name in ("sort", "groups", "rewarded")}
    meters.wrap(Rows, {"sort": "order", "groups": "scores"})
    Rows.rewarded = _rewarded(meters, before["rewarded"])
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(Rows, name, function)


def _rewarded(meters: Meters, inner: Any) -> Any:
    @contextmanager
    def rewarded(rows: Rows, changed_N: Any) -> Iterator[None]:
        context = inner(rows, changed_N)
        with meters.stage("length penalty"):
            context.__enter__()
        try:
            yield
        finally:
            with meters.stage("length penalty"):
                context.__exit__(None, None, None)

    return rewarded
