"""E3 through Ray and verl: unequal groups, a controlled temperature, both with replay, and a resume."""

import pytest

from tests.launches import GRPO_RR, assert_resumes, must_train, on, rollouts_of, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
BATCH, N = 8, 4


def overrides(inputs, folder, steps, *more):
    data = {"data.train_max_samples": 16, "trainer.rollout_data_dir": folder / "rollouts"}
    advantage = {"algorithm.adv_estimator": "grpo_rr"}
    return inputs.without_validation(folder / "run", steps, data, advantage, *more)


def test_budgets_and_temperature_with_replay_and_a_resume(inputs, tmp_path):
    whole, half = tmp_path / "whole", tmp_path / "half"
    actor = {"loss_agg_mode": "seq-mean-token-sum", "ppo_mini_batch_size": 4}
    settings = (
        on("budget", least=1, most=8, widen=3),
        on("temperature", target=1.5),
        on("replay", capacity=8),
        GRPO_RR,
        {f"actor_rollout_ref.actor.{key}": value for key, value in actor.items()},
    )
    must_train(overrides(inputs, whole, 6, *settings, {"trainer.save_freq": 4}))
    assert_resumes(whole / "run", 4, half / "run", overrides(inputs, half, 6, *settings))
    rows = rows_of(whole / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5, 6]
    for step, row in rows.items():
        fresh = BATCH - round(BATCH * row["replay/share"])
        assert len(rollouts_of(whole / "rollouts", step)) == fresh * N  # whatever each question got
        least, most = row["budget/rollouts/least"], row["budget/rollouts/most"]
        assert least <= row["budget/rollouts/min"] <= row["budget/rollouts/max"] <= most
        # Ratios of fresh rows are 1 in the first update, at whatever temperature they were sampled.
        assert row["training/rollout_probs_diff_max"] < 1e-4
        # A mean over tokens, where the loss and with it verl's figure is a sum over them and a mean over responses.
        tokens = row["training/generated_tokens"] / (fresh * N)
        alike = row["actor/entropy"] == pytest.approx(row["temperature/entropy"] * tokens, rel=1e-5)
        # The temperature follows all questions alike, also where some have more rollouts.
        assert alike == (row["budget/rollouts/min"] == row["budget/rollouts/max"])
    assert rows[1]["temperature/temperature"] == 1.0
    # The tiny model is surer than the target: the temperature rises to its bound.
    assert 1.0 < rows[2]["temperature/temperature"] < rows[3]["temperature/temperature"] == 1.5
    assert rows[6]["temperature/temperature"] == 1.5
    assert max(row["budget/rollouts/max"] for row in rows.values()) > N
    assert any(row["replay/share"] > 0 for row in rows.values())


def test_the_log_probs_of_the_rollouts_measure_the_entropy_too(inputs, tmp_path):
    measured = on("temperature", entropy="engine", target=1.0)
    must_train(overrides(inputs, tmp_path / "both", 4, measured))
    rows = rows_of(tmp_path / "both" / "run").values()
    sampled, whole = ([row[name] for row in rows] for name in ("temperature/entropy", "actor/entropy"))
    assert sampled != whole and sum(sampled) == pytest.approx(sum(whole), rel=0.05)

    must_train(overrides(inputs, tmp_path / "alone", 4, measured, GRPO_RR, {"dots.loss.behaviour": "engine"}))
    without = rows_of(tmp_path / "alone" / "run").values()
    assert not any("actor/entropy" in row for row in without)  # there was no forward pass
    assert [row["temperature/entropy"] for row in without] == pytest.approx(sampled, rel=1e-3)
