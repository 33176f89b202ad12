"""AdaRFT through Ray and verl: the target follows every step's reward, across a resume and on predicted difficulty."""

import pytest

from tests.integration.training import computed, must_train, rows_of
from verl_dots.algorithms.target import next_target

pytestmark = pytest.mark.e2e
RULE = {"eta": 4.0, "alpha": 2.0, "beta": 0.5, "low": 1.0, "high": 10.0}


def overrides(inputs, folder, **more):
    return inputs.overrides(**{
        "dots.adarft.enable": True,
        "dots.adarft.difficulty": "extra_info.level",
        "dots.adarft.range": "[1,10]",
        "dots.adarft.initial": 2,
        "dots.adarft.eta": 4,
        "trainer.default_local_dir": folder,
        "trainer.total_training_steps": 4,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        **more,
    })  # fmt: skip


def test_the_target_follows_the_reward_of_every_step_and_a_resume_goes_on(inputs, tmp_path):
    must_train(overrides(inputs, tmp_path / "whole"))
    half = {"trainer.save_freq": 2}
    must_train(overrides(inputs, tmp_path / "resumed", **half, **{"trainer.total_training_steps": 2}))
    must_train(overrides(inputs, tmp_path / "resumed", **half))
    rows, resumed = rows_of(tmp_path / "whole"), rows_of(tmp_path / "resumed")
    target = 2.0
    for step in (1, 2, 3, 4):
        assert rows[step]["adarft/target"] == pytest.approx(target)
        assert rows[step]["adarft/reward"] == pytest.approx(rows[step]["critic/score/mean"])
        # 6 of 64 questions have one level: the nearest 8 lie within one of the target, or two at an end.
        assert abs(rows[step]["adarft/difficulty"] - target) < 1.5
        target = next_target(target, rows[step]["adarft/reward"], **RULE)
        assert computed(resumed[step]) == computed(rows[step]), f"step {step}"
    assert len({row["adarft/target"] for row in rows.values()}) > 1


def test_on_predicted_difficulty_the_target_takes_the_place_of_alpha(inputs, tmp_path):
    must_train(overrides(inputs, tmp_path / "run", **{
        "dots.adarft.range": "[0,1]",
        "dots.adarft.initial": 0.2,
        "dots.adarft.eta": 0.5,
        "dots.selection.enable": True,
        "dots.selection.references": 12,
        "dots.selection.mu": 1,
        "dots.difficulty.cache": tmp_path / "embeddings",
        "dots.replay.enable": True,
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
        "trainer.total_training_steps": 3,
    }))  # fmt: skip
    rows = rows_of(tmp_path / "run")
    assert rows[1]["adarft/target"] == pytest.approx(0.2)
    for step in (2, 3):
        before = rows[step - 1]
        rule = {**RULE, "eta": 0.5, "low": 0.0, "high": 1.0}
        assert rows[step]["adarft/target"] == pytest.approx(
            next_target(before["adarft/target"], before["adarft/reward"], **rule)
        )
