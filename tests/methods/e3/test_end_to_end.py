"""E3 through Ray and verl: unequal groups, a controlled temperature, both with replay, and a resume."""

import pytest

from tests.launches import assert_same_rows, cut_off, must_train, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
BATCH, N = 8, 4


def overrides(inputs, folder, **more):
    return inputs.overrides(**{
        "dots.budget.enable": True,
        "dots.budget.least": 1,
        "dots.budget.most": 8,
        "dots.budget.widen": 3,
        "algorithm.adv_estimator": "grpo_rr",
        "dots.temperature.enable": True,
        "dots.temperature.target": 1.5,
        "data.train_max_samples": 16,
        "trainer.default_local_dir": folder / "run",
        "trainer.rollout_data_dir": folder / "rollouts",
        "trainer.total_training_steps": 6,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        **more,
    })  # fmt: skip


def test_budgets_and_temperature_with_replay_and_a_resume(inputs, tmp_path):
    replay = {
        "dots.replay.enable": True,
        "dots.replay.capacity": 8,
        "actor_rollout_ref.actor.loss_agg_mode": "seq-mean-token-sum",
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
        "actor_rollout_ref.actor.ppo_mini_batch_size": 4,
    }
    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(overrides(inputs, whole, **replay, **{"trainer.save_freq": 4}))
    cut_off(whole / "run", 4, half / "run")
    must_train(overrides(inputs, half, **replay))
    rows = rows_of(whole / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5, 6]
    for step, row in rows.items():
        fresh = BATCH - round(BATCH * row["replay/share"])
        logged = (whole / "rollouts" / f"{step}.jsonl").read_text().splitlines()
        assert len(logged) == fresh * N  # whatever each question got
        least, most = row["budget/rollouts/least"], row["budget/rollouts/most"]
        assert least <= row["budget/rollouts/min"] <= row["budget/rollouts/max"] <= most
        # Ratios of fresh rows are 1 in the first update, at whatever temperature they were sampled.
        assert row["training/rollout_probs_diff_max"] < 1e-4
        # A mean over tokens, where the loss and with it verl's figure is a sum over them and a mean over responses.
        tokens = row["training/generated_tokens"] / (fresh * N)
        assert row["actor/entropy"] == pytest.approx(row["temperature/entropy"] * tokens, rel=1e-5)
    assert_same_rows(half / "run", whole / "run", (5, 6))
    assert rows[1]["temperature/temperature"] == 1.0
    # The tiny model is surer than the target: the temperature rises.
    assert rows[6]["temperature/temperature"] > rows[3]["temperature/temperature"] > 1.0
    assert max(row["budget/rollouts/max"] for row in rows.values()) > N
    assert any(row["replay/share"] > 0 for row in rows.values())


def test_the_log_probs_of_the_rollouts_measure_the_entropy_too(inputs, tmp_path):
    changed = {
        "dots.budget.enable": False,
        "dots.temperature.entropy": "engine",
        "dots.temperature.target": 1.0,
        "trainer.total_training_steps": 4,
    }
    must_train(overrides(inputs, tmp_path / "both", **changed))
    rows = rows_of(tmp_path / "both" / "run").values()
    sampled, whole = ([row[name] for row in rows] for name in ("temperature/entropy", "actor/entropy"))
    assert sampled != whole and sum(sampled) == pytest.approx(sum(whole), rel=0.05)

    alone = {"actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr", "dots.loss.behaviour": "engine"}
    must_train(overrides(inputs, tmp_path / "alone", **changed, **alone))
    without = rows_of(tmp_path / "alone" / "run").values()
    assert not any("actor/entropy" in row for row in without)  # there was no forward pass
    assert [row["temperature/entropy"] for row in without] == pytest.approx(sampled, rel=1e-3)
