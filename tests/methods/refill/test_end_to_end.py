"""Refill through Ray and verl: with the methods that it must agree with, a resume, and a batch that stays short."""

import pytest

from tests.launches import GRPO_RR, assert_resumes, must_train, on, rollouts_of, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
BATCH, N = 8, 4


def test_with_selection_replay_budget_and_temperature_and_a_resume(inputs, tmp_path):
    settings = (
        on("refill", within="[0.2,0.8]", max_rounds=3),
        on("selection", references=8, tau=0.1, mu=2, rho_floor=-1),
        on("replay", capacity=8) | {"algorithm.adv_estimator": "grpo_rr"} | GRPO_RR,
        on("budget", least=2, most=8, widen="null", by="predicted"),
        on("temperature", target=1.5),
    )

    def overrides(folder, **more):
        cache = {"dots.difficulty.cache": tmp_path / "embeddings", "trainer.rollout_data_dir": folder / "rollouts"}
        return inputs.without_validation(folder / "run", 2, cache, *settings, more)

    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(overrides(whole, **{"trainer.save_freq": 1}))
    rows = rows_of(whole / "run")
    for step, row in rows.items():
        replayed, missing = round(BATCH * row["replay/share"]), row["refill/missing_groups"]
        logged = rollouts_of(whole / "rollouts", step)
        assert len({line["input"] for line in logged}) == BATCH - replayed - missing
        # What is dropped costs tokens and is not trained on.
        assert row["refill/dropped_groups"] > 0 and row["refill/rounds"] >= 1
        assert row["training/generated_tokens"] > row["refill/dropped_tokens"] > 0
        assert row["refill/stayed"] < 1
        assert missing > 0 or row["training/effective_groups"] == 1
    assert rows[2]["replay/share"] > 0 and rows[2]["temperature/temperature"] != 1.0
    assert "refill.safetensors" not in {file.name for file in (whole / "run" / "global_step_2").iterdir()}
    assert_resumes(whole / "run", 1, half / "run", overrides(half))


def test_verls_order_of_the_data_and_batches_that_lack_groups(inputs, tmp_path):
    narrow = on("refill", within="[0.5,0.5]", max_rounds=1)
    halves = {"actor_rollout_ref.actor.ppo_mini_batch_size": BATCH // 2}
    must_train(inputs.without_validation(tmp_path / "run", 2, narrow, halves))
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2] and all(row["refill/rounds"] == 1 for row in rows.values())
    for row in rows.values():
        assert 0 < row["refill/missing_groups"] <= BATCH
        assert row["refill/stayed"] * (BATCH + row["refill/dropped_groups"]) > 0
        if row["refill/missing_groups"] < BATCH:
            assert row["critic/score/mean"] == 0.5 and row["training/effective_groups"] == 1
    assert rows[1]["actor/grad_norm"] == rows[1]["actor/grad_norm"]
