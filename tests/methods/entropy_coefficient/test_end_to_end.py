"""The entropy bonus through Ray and verl: verl's own at a constant coefficient, none above the target, and a resume."""

import pytest

from tests.launches import assert_resumes, computed, must_train, on, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
COEFFICIENT, HIGH = "actor_rollout_ref.actor.entropy_coeff", 50.0  # a target that no entropy reaches


def train(inputs, folder, steps, *settings):
    must_train(inputs.without_validation(folder, steps, *settings))
    return rows_of(folder)


def assert_same(mine, theirs):
    """Two runs logged the same, but for the figures of the stage."""
    for step, row in theirs.items():
        own = {name: value for name, value in mine[step].items() if not name.startswith("entropy_coefficient/")}
        assert computed(own) == computed(row), f"step {step}"


def test_a_coefficient_that_stays_is_verls_own(inputs, tmp_path):
    constant = on("entropy_coefficient", target=HIGH, initial=0.02, most=0.02, delta=0)
    rows = train(inputs, tmp_path / "stage", 2, constant)
    assert_same(rows, train(inputs, tmp_path / "verl", 2, {COEFFICIENT: 0.02}))
    assert all(row["entropy_coefficient/bonus"] == 0.02 for row in rows.values())


def test_above_its_target_a_run_is_the_one_without_the_bonus(inputs, tmp_path):
    rows = train(inputs, tmp_path / "stage", 2, on("entropy_coefficient", target=1e-6, initial=0.005))
    assert_same(rows, train(inputs, tmp_path / "plain", 2))
    assert [row["entropy_coefficient/bonus"] for row in rows.values()] == [0.0, 0.0]
    assert not any("actor/entropy_loss" in row for row in rows.values())


def test_it_rises_below_the_target_and_a_resume_goes_on(inputs, tmp_path):
    settings = on("entropy_coefficient", target=HIGH, delta=0.01, most=0.02)
    whole = tmp_path / "whole"
    rows = train(inputs, whole, 4, settings, {"trainer.save_freq": 2})
    assert [rows[step]["entropy_coefficient/bonus"] for step in (1, 2, 3, 4)] == pytest.approx([0, 0.01, 0.02, 0.02])
    # verl computes the entropy in the update where its coefficient is above 0.
    assert ["actor/entropy_loss" in rows[step] for step in (1, 2, 3, 4)] == [False, True, True, True]
    assert_resumes(whole, 2, tmp_path / "half", inputs.without_validation(tmp_path / "half", 4, settings))
