"""DASH through Ray and verl: several steps sampled at once, rows that leave before the forward passes, a resume."""

from collections import defaultdict

import pytest

from tests.launches import GRPO_RR, LOSS, assert_resumes, must_train, on, rollouts_of, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
ALL_ROWS = 1.4999999  # no advantage of 4 rollouts is above it: the greatest is 3 / sqrt(4), less an epsilon


def overrides(inputs, folder, steps, prompts, updates, **more):
    sampling = on("preemptive", prompts=prompts, updates=updates)
    data = {"data.train_max_samples": 20, "trainer.rollout_data_dir": folder / "rollouts"}
    return inputs.without_validation(folder / "run", steps, sampling, GRPO_RR, data, more)


def asked(folder):
    """Questions of each step, as they were logged: each in the step that is the first to train on it."""
    steps = [int(file.stem) for file in (folder / "rollouts").glob("*.jsonl")]
    return {step: sorted({row["input"] for row in rollouts_of(folder / "rollouts", step)}) for step in steps}


def assert_repeats_differ(folder):
    """A question that is sampled twice at once, over the end of an epoch, has two groups and not one copied."""
    groups = defaultdict(list)
    for step in (1, 2, 3):
        of_step = defaultdict(list)
        for found in rollouts_of(folder / "rollouts", step):
            of_step[found["input"]].append(found["output"])
        for question, outputs in of_step.items():
            groups[question].append(sorted(outputs))
    twice = [found for found in groups.values() if len(found) == 2]
    assert len(twice) == 4  # 24 of 20
    assert any(first != second for first, second in twice)


@pytest.fixture(scope="module")
def one_by_one(inputs, tmp_path_factory):
    """A run in which each step samples for itself, as verl's own do."""
    folder = tmp_path_factory.mktemp("one_by_one")
    must_train(overrides(inputs, folder, 2, 8, 1))
    return folder


@pytest.fixture(scope="module")
def two_at_once(inputs, tmp_path_factory):
    """A run that samples for two steps at once. One that samples for each ends its epochs as verl does."""
    folder = tmp_path_factory.mktemp("two_at_once")
    must_train(overrides(inputs, folder, 6, 16, 2))
    return folder


def test_the_questions_of_each_step_are_the_same_however_many_are_sampled_at_once(inputs, two_at_once, tmp_path):
    """20 questions, 8 a step: epochs end in the middle of a batch, and in the middle of what is sampled at once."""
    must_train(overrides(inputs, tmp_path, 6, 24, 3))
    assert asked(tmp_path) == asked(two_at_once)
    assert sorted(asked(tmp_path)) == [1, 2, 3, 4, 5, 6]
    rows = rows_of(tmp_path / "run")
    assert [rows[step]["preemptive/sampled_groups"] for step in sorted(rows)] == [24, 0, 0, 24, 0, 0]
    assert [rows[step]["preemptive/cached_groups"] for step in sorted(rows)] == [16, 8, 0, 16, 8, 0]
    # The engine gets new weights only for steps that ask it for something.
    for of, told in ((rows, [False, False, True] * 2), (rows_of(two_at_once / "run"), [False, True] * 3)):
        assert ["timing_s/update_weights" in of[step] for step in sorted(of)] == told
    # The first step has the policy, the questions and the seeds of the other run, so the same rollouts.
    first, alone = (rollouts_of(of / "rollouts", 1)[0] for of in (tmp_path, two_at_once))
    assert first == alone
    assert_repeats_differ(tmp_path)
    for step, row in rows.items():
        if step in (1, 4):
            assert row["training/generated_tokens"] > 0
        else:
            assert row["training/generated_tokens"] == 0
            assert row[f"loss/{'age_1' if step in (2, 5) else 'age_2-3'}/ratio/log_difference"] > 0


def test_several_passes_a_frozen_policy_and_a_resume(inputs, tmp_path):
    """With lr 0 the ratio of every kept rollout to its behaviour policy is 1."""
    frozen = {"actor_rollout_ref.actor.optim.lr": 0}
    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(overrides(inputs, whole, 7, 16, 4, **frozen, **{"trainer.save_freq": 2}))
    rows = rows_of(whole / "run")
    # 4 steps of 16 questions; the run ends at step 7, so the second round of 16 is used for three.
    assert [rows[step]["preemptive/sampled_groups"] for step in sorted(rows)] == [16, 0, 0, 0, 16, 0, 0]
    assert sorted(asked(whole)) == [1, 2, 5, 6]  # steps 3, 4 and 7 train again on what was logged
    for step in (2, 3, 4, 6, 7):
        assert rows[step]["loss/replayed/ratio/max"] == pytest.approx(1, abs=1e-4)
    for step in (3, 4):
        assert rows[step]["critic/score/mean"] == rows[step - 2]["critic/score/mean"]
    assert_resumes(whole / "run", 2, half / "run", overrides(inputs, half, 7, 16, 4, **frozen))


@pytest.mark.parametrize(
    ("threshold", "ranks", "loss"), [(0, 1, "vanilla"), (0, 2, "grpo_rr"), (ALL_ROWS, 2, "grpo_rr")]
)
def test_rows_leave_before_the_forward_pass(inputs, one_by_one, tmp_path, threshold, ranks, loss):
    """With a threshold of 0 the gradients are those of the whole batch, on two workers, too."""
    must_train(overrides(inputs, tmp_path, 2, 8, 1, **on("filter", threshold=threshold), **{
        LOSS: loss,
        "trainer.n_gpus_per_node": ranks,
        "actor_rollout_ref.actor.use_kl_loss": bool(threshold),  # a reference policy, too
    }))  # fmt: skip
    theirs, mine = rows_of(one_by_one / "run"), rows_of(tmp_path / "run")
    outcomes = ("critic/score/mean", "critic/advantages/max", "response_length/mean")
    for step in (1, 2):
        if threshold:  # nothing is left: an update without a gradient
            assert mine[step]["filter/share"] == 1
            assert mine[step]["actor/grad_norm"] == mine[step]["actor/pg_loss"] == 0
            continue
        assert mine[step]["filter/share"] == pytest.approx(1 - mine[step]["training/effective_groups"])
        assert mine[step]["filter/rows"] > 0 and mine[step]["filter/seconds_saved"] >= 0
        for key in (*outcomes, "actor/grad_norm", "actor/pg_loss"):
            assert mine[step][key] == pytest.approx(theirs[step][key], rel=1e-4, abs=1e-6), f"step {step}: {key}"


def test_rows_that_stand_for_others_of_their_side(inputs, one_by_one, tmp_path):
    """Advantages are those of whole groups; of groups of 4 with 1 or 3 right, 2 rows stay, one of which counts 3."""
    must_train(overrides(inputs, tmp_path, 2, 8, 1, **on("filter", balanced=True)))
    theirs, mine = rows_of(one_by_one / "run"), rows_of(tmp_path / "run")
    for key in ("critic/score/mean", "critic/advantages/max", "critic/advantages/min", "response_length/mean"):
        assert mine[1][key] == theirs[1][key]
    for row in mine.values():
        assert row["filter/kept_rows"] + row["filter/rows"] == 32
        assert row["filter/drawn_out_rows"] > 0 and row["filter/drawn_out_rows"] % 2 == 0
        assert row["filter/weight/max"] == 3 and row["actor/grad_norm"] > 0
    assert mine[1]["actor/grad_norm"] != theirs[1]["actor/grad_norm"]
