"""What a recipe sets differently from verl, as lines."""

import pytest

from scripts import recipe_difference
from tests.recipes.recipe_runs import RECIPES


def test_the_difference_of_a_recipe(cpu_environment, capsys):
    recipe_difference.main([str(RECIPES / "dash/0.5b.sh"), "multi", "data.truncation=left", "trainer.test_freq=-1"])
    lines = capsys.readouterr().out.splitlines()
    assert lines == sorted(lines)
    assert {
        "actor_rollout_ref.actor.optim.lr: 1e-06 -> 3e-06",
        "actor_rollout_ref.actor.policy_loss.loss_mode: vanilla -> grpo_rr",
        "actor_rollout_ref.rollout.name: - -> vllm",
        "algorithm.adv_estimator: gae -> grpo",
        "data.train_batch_size: 1024 -> 256",
        "data.truncation: error -> left",
        "data.val_files: ~/data/rlhf/gsm8k/test.parquet -> [data/math500.parquet,data/gsm8k_test.parquet]",
        "dots.filter.threshold: 0 -> 0.1",
        "dots.preemptive.prompts: null -> 256",
        "dots.preemptive.updates: null -> 3",
        "trainer.total_training_steps: null -> 261",
    } <= set(lines)
    keys = [line.split(": ")[0] for line in lines]
    assert len(set(keys)) == len(keys)
    # As verl has it: not listed, whoever set it.
    assert not {"trainer.test_freq", "actor_rollout_ref.actor.use_kl_loss", "trainer.nnodes"} & set(keys)
    # verl derives it from data.train_batch_size's like; it is no setting of the recipe.
    assert not {"critic.ppo_mini_batch_size", "actor_rollout_ref.rollout.response_length"} & set(keys)


def test_a_recipe_that_does_not_train():
    with pytest.raises(SystemExit, match="recipe_difference: .*common.sh trains nothing"):
        recipe_difference.main([str(RECIPES / "common.sh")])
    with pytest.raises(SystemExit, match="No such file"):
        recipe_difference.main(["recipes/nowhere.sh"])
