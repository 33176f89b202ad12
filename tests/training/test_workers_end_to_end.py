"""Several workers: two data-parallel ones train as one does, and a run is spread over two nodes of Ray."""

import contextlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.launches import ROOT, attended, environment, must_train, on, rollouts_of, rows_of
from verl_dots.state import load_state
from verl_dots.stored import GROUPS, groups_from_state

pytestmark = [pytest.mark.e2e, pytest.mark.long]
STEPS = 3
# Two workers add their halves of a gradient in another order than one adds the whole, and each of the two engines has
# other rows beside a row: float32 then rounds otherwise, by some 1e-7 of a log-prob. Adam divides by the gradient's own
# size, which carries that into the weights, and the weights into the next step. What is chosen, sampled and scored is
# the same all the same; were it not, the figures would differ by more than a hundredth.
FIGURES = {
    "actor/pg_loss": 1e-4,
    "actor/grad_norm": 1e-3,
    "critic/score/mean": 0,
    "critic/advantages/max": 1e-6,
    "critic/advantages/min": 1e-6,
    "response_length/mean": 0,
    "training/generated_tokens": 0,
    "replay/share": 0,
    "filter/share": 0,
    "budget/rollouts/max": 0,
}
LOG_PROB = 1e-4  # absolute, of a token that is kept


def unequal(inputs, folder: Path, workers: int) -> list[str]:
    """Selection, budgets of 2 to 8 rollouts, replay, and rows without an advantage left out."""
    methods = on("selection", references=8, tau=0.1, mu=1) | on("replay", capacity=8) | on("filter")
    methods |= on("budget", by="predicted", widen="null", least=2, most=8)
    return inputs.without_validation(folder / "run", STEPS, methods, {
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
        "data.train_max_samples": 32,
        "dots.difficulty.cache": folder / "embeddings",
        "trainer.n_gpus_per_node": workers,
        "trainer.rollout_data_dir": folder / "rollouts",
        "trainer.save_freq": STEPS,
    })  # fmt: skip


@pytest.fixture(scope="module")
def one_and_two(inputs, tmp_path_factory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    for workers, folder in enumerate(folders, start=1):
        must_train(unequal(inputs, folder, workers))
    return folders


def test_two_workers_ask_and_score_what_one_does(one_and_two):
    for step in range(1, STEPS + 1):
        one, two = (
            sorted((row["input"], row["output"], row["score"]) for row in rollouts_of(folder / "rollouts", step))
            for folder in one_and_two
        )
        assert one == two, f"step {step}"
        prompts = [prompt for prompt, _, _ in one]
        assert len({prompts.count(prompt) for prompt in prompts}) > 1, f"step {step}: all groups are equal"


def test_two_workers_take_the_steps_of_one(one_and_two):
    one, two = (rows_of(folder / "run") for folder in one_and_two)
    assert sorted(one) == sorted(two) == [*range(1, STEPS + 1)]
    for step, row in one.items():
        for name, tolerance in FIGURES.items():
            assert two[step][name] == pytest.approx(row[name], rel=tolerance, abs=tolerance / 100), f"{step}: {name}"
    assert any(row["replay/share"] > 0 for row in one.values()) and any(row["filter/rows"] > 0 for row in one.values())


def test_two_workers_keep_the_groups_of_one(one_and_two):
    files = (folder / "run" / f"global_step_{STEPS}" / "replay.safetensors" for folder in one_and_two)
    states = (load_state(file, "replay")["state"] for file in files)
    one, two = (groups_from_state({name: state[name] for name in GROUPS}) for state in states)
    assert [(group.question, group.step) for group in one] == [(group.question, group.step) for group in two]
    assert len(one) > 0
    for mine, theirs in zip(one, two, strict=True):
        for name, value in vars(mine).items():
            other = vars(theirs)[name]
            if isinstance(value, np.ndarray) and value.dtype == np.float32:  # log-probs
                np.testing.assert_allclose(other, value, rtol=0, atol=LOG_PROB)
            else:
                assert np.array_equal(other, value), name


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    """The address of a Ray of two nodes, each with one logical device, that was started in a folder of its own."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        with contextlib.chdir(tmp_path_factory.mktemp("ray")):
            for _ in range(2):
                cluster.add_node(num_cpus=16, num_gpus=1, object_store_memory=500_000_000, include_dashboard=False)
        cluster.wait_for_nodes(timeout=300)
        yield cluster.address
    finally:
        cluster.shutdown()


@pytest.mark.parametrize("recipe", ["grpo", "dots_rr"])
def test_the_first_command_on_two_nodes(inputs, two_nodes, tmp_path, recipe):
    """The recipes of scripts/quickstart.sh, a worker on each node, for three steps; all paths are relative."""
    paths = {"DATA": inputs.data, "MODEL": inputs.model, "RUN": tmp_path / "run", "CACHE": tmp_path / "cache"}
    variables = {name: os.path.relpath(path, ROOT) for name, path in paths.items()} | {
        "STEPS": STEPS, "SEED": 1, "RAY_ADDRESS": two_nodes,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    of_cluster = [f"++ray_kwargs.ray_init.{key}=null" for key in ("num_cpus", "num_gpus", "object_store_memory")]
    nodes = ["trainer.nnodes=2", "trainer.n_gpus_per_node=1", "trainer.val_before_train=False"]
    few = ["dots.selection.uniform_start=0", "dots.selection.mu=1"] if recipe == "dots_rr" else []
    done = attended(
        ["bash", str(ROOT / "recipes" / "cpu" / f"{recipe}.sh"), *of_cluster, *nodes, *few], environment(**variables)
    )
    assert done.returncode == 0, done.stdout[-4000:]
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [*range(1, STEPS + 1)]
    assert all(np.isfinite(row["actor/grad_norm"]) for row in rows.values())
