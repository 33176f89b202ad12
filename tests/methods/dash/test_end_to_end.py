"""DASH through Ray and verl: several steps sampled at once, rows that leave before the forward passes, a resume."""

import json
from collections import defaultdict

import pytest

from tests.launches import assert_same_rows, cut_off, must_train, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def overrides(inputs, folder, **more):
    return inputs.overrides(**{
        "data.train_max_samples": 20,
        "trainer.default_local_dir": folder / "run",
        "trainer.rollout_data_dir": folder / "rollouts",
        "trainer.total_training_steps": 6,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
        **more,
    })  # fmt: skip


def preemptive(prompts, updates):
    return {
        "dots.preemptive.enable": True,
        "dots.preemptive.prompts": prompts,
        "dots.preemptive.updates": updates,
        "actor_rollout_ref.actor.policy_loss.loss_mode": "grpo_rr",
    }


def asked(folder):
    """Questions of each step, as they were logged: each in the step that is the first to train on it."""
    return {
        int(file.stem): sorted({json.loads(line)["input"] for line in file.read_text().splitlines()})
        for file in (folder / "rollouts").glob("*.jsonl")
    }


def assert_repeats_differ(folder):
    """A question that is sampled twice at once, over the end of an epoch, has two groups and not one copied."""
    groups = defaultdict(list)
    for step in (1, 2, 3):
        of_step = defaultdict(list)
        for line in (folder / "rollouts" / f"{step}.jsonl").read_text().splitlines():
            found = json.loads(line)
            of_step[found["input"]].append(found["output"])
        for question, outputs in of_step.items():
            groups[question].append(sorted(outputs))
    twice = [found for found in groups.values() if len(found) == 2]
    assert len(twice) == 4  # 24 of 20
    assert any(first != second for first, second in twice)


@pytest.fixture(scope="module")
def one_by_one(inputs, tmp_path_factory):
    """A run in which each step samples for itself, with questions fetched one by one."""
    folder = tmp_path_factory.mktemp("one_by_one")
    must_train(overrides(inputs, folder, **preemptive(8, 1)))
    return folder


def test_the_questions_of_each_step_are_the_same_however_many_are_sampled_at_once(inputs, one_by_one, tmp_path):
    """20 questions, 8 a step: epochs end in the middle of a batch, and in the middle of what is sampled at once."""
    must_train(overrides(inputs, tmp_path, **preemptive(24, 3)))
    assert asked(tmp_path) == asked(one_by_one)
    assert sorted(asked(tmp_path)) == [1, 2, 3, 4, 5, 6]
    rows = rows_of(tmp_path / "run")
    assert [rows[step]["preemptive/sampled_groups"] for step in sorted(rows)] == [24, 0, 0, 24, 0, 0]
    assert [rows[step]["preemptive/cached_groups"] for step in sorted(rows)] == [16, 8, 0, 16, 8, 0]
    # The first step has the policy, the questions and the seeds of the other run, so the same rollouts.
    first, alone = (
        json.loads((of / "rollouts" / "1.jsonl").read_text().splitlines()[0]) for of in (tmp_path, one_by_one)
    )
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
    frozen = {**preemptive(16, 4), "actor_rollout_ref.actor.optim.lr": 0, "trainer.total_training_steps": 7}
    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(overrides(inputs, whole, **frozen, **{"trainer.save_freq": 2}))
    rows = rows_of(whole / "run")
    # 4 steps of 16 questions; the run ends at step 7, so the second round of 16 is used for three.
    assert [rows[step]["preemptive/sampled_groups"] for step in sorted(rows)] == [16, 0, 0, 0, 16, 0, 0]
    assert sorted(asked(whole)) == [1, 2, 5, 6]  # steps 3, 4 and 7 train again on what was logged
    for step in (2, 3, 4, 6, 7):
        assert rows[step]["loss/replayed/ratio/max"] == pytest.approx(1, abs=1e-4)
    for step in (3, 4):
        assert rows[step]["critic/score/mean"] == rows[step - 2]["critic/score/mean"]
    cut_off(whole / "run", 2, half / "run")
    must_train(overrides(inputs, half, **frozen))
    assert_same_rows(half / "run", whole / "run", (3, 4, 5, 6, 7))


@pytest.mark.parametrize(("threshold", "ranks"), [(0, 1), (0, 2), (1000, 2)])
def test_rows_leave_before_the_forward_pass(inputs, one_by_one, tmp_path, threshold, ranks):
    """With a threshold of 0 the gradients are those of the whole batch, on two workers, too."""
    must_train(overrides(inputs, tmp_path, **{
        **preemptive(8, 1),
        "trainer.total_training_steps": 2,
        "trainer.n_gpus_per_node": ranks,
        "dots.filter.enable": True,
        "dots.filter.threshold": threshold,
        "actor_rollout_ref.actor.use_kl_loss": bool(threshold),  # a reference policy, too
    }))  # fmt: skip
    theirs, mine = rows_of(one_by_one / "run"), rows_of(tmp_path / "run")
    for step in (1, 2):
        if threshold:
            assert mine[step]["filter/share"] == 1
            assert mine[step]["actor/grad_norm"] == mine[step]["actor/pg_loss"] == 0
            continue
        assert mine[step]["filter/share"] == pytest.approx(1 - mine[step]["training/effective_groups"])
        assert mine[step]["filter/rows"] > 0 and mine[step]["filter/seconds_saved"] >= 0
        for key in ("actor/grad_norm", "actor/pg_loss", "critic/score/mean", "critic/advantages/max"):
            assert mine[step][key] == pytest.approx(theirs[step][key], rel=1e-4, abs=1e-6), f"step {step}: {key}"
