"""Rollout replay through Ray and verl: mixed batches, both losses, a resume, and log-probs that stay what they were."""

import shutil

import pytest
import yaml

from tests.launches import GRPO_RR, LOSS, assert_resumes, must_train, on, rollouts_of, rows_of
from verl_dots.manifest import write_manifest

pytestmark = [pytest.mark.e2e, pytest.mark.long]
BATCH, GROUP = 8, 4


def overrides(inputs, folder, steps, **more):
    replay = on("replay", capacity=8) | {"algorithm.adv_estimator": "grpo_rr"}
    return inputs.without_validation(folder / "run", steps, replay, GRPO_RR, more)


def with_dots(inputs, folder, **more):
    selection = on("selection", references=12, tau=0.1, rho_floor=-1)
    cache = {"dots.difficulty.cache": folder / "embeddings"}
    return overrides(inputs, folder, 6, **selection, **cache, **more)


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """DOTS with replay, six steps in one go: rounds at steps 1, 3 and 5."""
    folder = tmp_path_factory.mktemp("replay")
    kept = {"trainer.save_freq": 3, "trainer.rollout_data_dir": folder / "run" / "rollouts"}
    must_train(with_dots(inputs, folder, **kept))
    return folder


def test_a_batch_is_fresh_and_replayed_groups_and_never_short(whole):
    rows = rows_of(whole / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5, 6]
    assert rows[1]["replay/share"] == 0 and rows[1]["replay/buffer/groups"] > 0
    replayed = [row["replay/share"] * BATCH for row in rows.values()]
    assert max(replayed) >= 2
    for step, row in rows.items():
        # Each rollout is logged in the step that made it, and only there.
        logged = rollouts_of(whole / "run" / "rollouts", step)
        assert len(logged) == (BATCH - row["replay/share"] * BATCH) * GROUP
        trained = BATCH * GROUP * row["response_length/mean"]
        unused = row.get("training/unused_tokens", 0)
        generated = trained - row["replay/tokens_not_generated"] + unused
        assert row["training/generated_tokens"] == pytest.approx(generated, rel=1e-6)
        assert (row["replay/tokens_not_generated"] > 0) == (row["replay/share"] > 0)
        assert ("loss/replayed/ratio/mean" in row) == (row["replay/share"] > 0)
        assert row["loss/fresh/effective_sample_size"] > 0.9
        # Engine and trainer give fresh tokens the same log-probs.
        assert row["training/rollout_probs_diff_max"] < 1e-4
        if row["replay/share"]:
            # What is replayed keeps the log-probs of its own policy, not those of this step's.
            assert row["loss/replayed/ratio/log_difference"] > 2 * row["loss/fresh/ratio/log_difference"]
            assert 1 <= row["replay/age/mean"] <= row["replay/age/max"] < step


def test_a_resumed_run_goes_on_bit_for_bit(inputs, whole, tmp_path):
    # Step 3 began a round of two batches: the second one, and the predictor's memory, come from the checkpoint, too.
    shutil.copytree(whole / "embeddings", tmp_path / "embeddings")
    assert_resumes(whole / "run", 3, tmp_path / "run", with_dots(inputs, tmp_path))


def test_stored_log_probs_are_those_of_the_same_policy_at_the_same_temperature(inputs, tmp_path):
    """With a learning rate of 0 the policy stays what it was: every ratio is 1, at whatever temperature comes later."""
    frozen = {
        "actor_rollout_ref.actor.optim.lr": 0.0,
        "dots.loss.behaviour": "engine",
        LOSS: "grpo_rr_decoupled",
        "trainer.save_freq": 3,
    }
    must_train(overrides(inputs, tmp_path, 3, **frozen))
    # As if it had been saved at that temperature: a resume at another one is refused.
    saved = tmp_path / "run" / "global_step_3" / "config.yaml"
    settings = yaml.safe_load(saved.read_text())
    settings["actor_rollout_ref"]["rollout"]["temperature"] = 0.6
    saved.write_text(yaml.safe_dump(settings))
    write_manifest(saved.parent, 3)
    must_train(overrides(inputs, tmp_path, 5, **frozen, **{"actor_rollout_ref.rollout.temperature": 0.6}))
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5]
    assert rows[4]["replay/share"] > 0
    for row in rows.values():
        for kind in ("fresh", "replayed") if row["replay/share"] else ("fresh",):
            assert row[f"loss/{kind}/ratio/log_difference"] < 1e-4
            assert row[f"loss/{kind}/ratio/max"] == pytest.approx(1, abs=1e-3)


def test_a_question_can_be_rolled_out_and_replayed_in_one_batch(inputs, tmp_path):
    """Twelve questions: in a batch of eight some are there twice, each group with its own uid."""
    few = {"data.train_max_samples": 12, "dots.replay.overlap": "buffer", "dots.replay.fresh_steps": 2}
    must_train(overrides(inputs, tmp_path, 5, **few))
    rows = rows_of(tmp_path / "run")
    assert rows[1]["replay/share"] == rows[2]["replay/share"] == 0
    assert [rows[step]["replay/share"] for step in (3, 4, 5)] == [0.5] * 3
    assert max(row["replay/overlapping_groups"] for row in rows.values()) > 0
    for row in rows.values():
        assert row["training/dropped_groups"] == 0
        assert abs(row["critic/advantages/mean"]) < 0.05  # of groups that are each compared within themselves
