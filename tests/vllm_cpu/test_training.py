"""Recipes of the testbed, trained through verl's vLLM server on a CPU, which takes the trainer's weights each step."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.launches import rollouts_of, rows_of
from tests.vllm_cpu.conftest import SERVER

pytestmark = [pytest.mark.long, pytest.mark.e2e]
STEPS = 3
LOGS = {
    "dots_rr": ("replay/share", "loss/fresh/ratio/mean"),
    "all": ("replay/share", "adarft/target", "temperature/temperature", "filter/share"),
    "dash": ("filter/share", "training/rollout_probs_diff_max"),
    "e3_temperature": ("temperature/temperature", "training/rollout_probs_diff_max"),
}


@pytest.fixture(scope="module")
def dots_rr(vllm_cpu, tmp_path_factory) -> Path:
    """The run folder of that recipe."""
    run = tmp_path_factory.mktemp("dots_rr") / "run"
    vllm_cpu.train("dots_rr", run, STEPS)
    return run


def assert_learns_from_its_own_rollouts(run: Path, names: Iterable[str]) -> None:
    """Every step has the figures of its method, and the engine has the trainer's weights and log-probs in each."""
    rows = rows_of(run)
    assert sorted(step for step in rows if step) == list(range(1, STEPS + 1))
    for step in range(1, STEPS + 1):
        row = rows[step]
        assert {name for name in names if row.get(name) is None or row[name] != row[name]} == set(), step
        assert row["actor/grad_norm"] > 0, step
        # Weights that are a step old differ by hundredths at this learning rate.
        if "training/rollout_probs_diff_max" in names:
            assert row["training/rollout_probs_diff_max"] < 1e-3, step
        if "loss/fresh/ratio/mean" in names:
            assert row["loss/fresh/ratio/mean"] == pytest.approx(1, abs=1e-4), step


def greedy(run: Path, step: int) -> dict[str, str]:
    """Question -> response of the validation at a step."""
    return {row["input"]: row["output"] for row in rollouts_of(run / "validation", step)}


def test_dots_rr_trains(dots_rr):
    assert_learns_from_its_own_rollouts(dots_rr, LOGS["dots_rr"])
    assert rows_of(dots_rr)[STEPS]["replay/share"] > 0


def test_greedy_answers_change_and_are_those_of_a_new_server_on_the_saved_weights(vllm_cpu, dots_rr, tmp_path):
    before, after = greedy(dots_rr, 0), greedy(dots_rr, STEPS)
    assert len(before) == len(after) == 16 and before != after
    vllm_cpu.run(
        "python", "-m", "verl_dots.evaluate", dots_rr, "--data", vllm_cpu.data / "val.parquet", "--out", tmp_path,
        "--rollouts", 1, *SERVER, "data.max_prompt_length=96", "data.max_response_length=48",
    )  # fmt: skip
    found = pq.read_table(tmp_path / "generations.parquet")["response"].to_pylist()
    assert sorted(found) == sorted(after.values())


def test_the_same_seed_gives_the_same_rollouts(vllm_cpu, dots_rr, tmp_path):
    vllm_cpu.train("dots_rr", tmp_path / "run", STEPS)
    for step in range(1, STEPS + 1):
        once, again = (
            sorted((row["input"], row["output"]) for row in rollouts_of(run / "rollouts", step))
            for run in (dots_rr, tmp_path / "run")
        )
        assert once == again, step
        # Each rollout has a seed of its own: of one seed a question, its answers would be one.
        assert len(set(once)) > len({question for question, _ in once}), step


@pytest.mark.parametrize("recipe", ["all", "dash", "e3_temperature"])
def test_other_recipes_train(vllm_cpu, tmp_path, recipe):
    vllm_cpu.train(recipe, tmp_path / "run", STEPS)
    assert_learns_from_its_own_rollouts(tmp_path / "run", LOGS[recipe])
