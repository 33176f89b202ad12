"""AdaRFT through Ray and verl: the target follows every step's reward, across a resume and with a critic."""

import pytest

from tests.launches import assert_resumes, must_train, on, rows_of
from verl_dots.methods.adarft.rule import next_target

pytestmark = [pytest.mark.e2e, pytest.mark.long]
RULE = {"eta": 4.0, "sensitivity": 2.0, "beta": 0.5, "low": 1.0, "high": 10.0}
ADARFT = on("adarft", difficulty="extra_info.level", range="[1,10]", initial=2, eta=4)


def test_the_target_follows_the_reward_of_every_step(inputs, tmp_path):
    must_train(inputs.without_validation(tmp_path, 3, ADARFT))
    rows = rows_of(tmp_path)
    target = 2.0
    for step in (1, 2, 3):
        assert rows[step]["adarft/target"] == pytest.approx(target)
        assert rows[step]["adarft/reward"] == pytest.approx(rows[step]["critic/score/mean"])
        # 6 of 64 questions have one level: the nearest 8 lie within one of the target, or two at an end.
        assert abs(rows[step]["adarft/difficulty"] - target) < 1.5
        target = next_target(target, rows[step]["adarft/reward"], **RULE)
    assert len({row["adarft/target"] for row in rows.values()}) > 1


def test_ppo_with_a_critic_and_its_resume(inputs, tmp_path):
    """One rollout a question: advantages come from the critic, which is trained and saved with the rest."""
    critic = {"algorithm.adv_estimator": "gae", "critic.model.path": inputs.model, "actor_rollout_ref.rollout.n": 1}
    critic |= {"trainer.save_freq": 2}
    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(inputs.without_validation(whole, 3, ADARFT, critic))
    assert_resumes(whole, 2, half, inputs.without_validation(half, 3, ADARFT, critic))
    rows = rows_of(whole)
    assert all(row["critic/vf_loss"] > 0 and row["critic/grad_norm"] > 0 for row in rows.values())
    assert rows[2]["adarft/target"] == pytest.approx(next_target(2.0, rows[1]["adarft/reward"], **RULE))
