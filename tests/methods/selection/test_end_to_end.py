"""Selection through Ray and verl: references and a trained predictor, or neither; replay has the resume of these."""

import pytest

from tests.launches import assert_resumes, must_train, on, rows_of
from verl_dots.difficulty import train as train_predictor
from verl_dots.labelling import command

pytestmark = [pytest.mark.e2e, pytest.mark.long]
REFERENCES, BATCH = 12, 8


def overrides(inputs, folder, steps=5, **more):
    selection = on("selection", references=REFERENCES, tau=0.1, rho_floor=-1)
    cache = {"dots.difficulty.cache": folder / "embeddings"}
    return inputs.without_validation(folder / "run", steps, selection, cache, more)


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """Five steps in one go: rounds at steps 1, 3 and 5."""
    folder = tmp_path_factory.mktemp("selection")
    must_train(overrides(inputs, folder, **{"trainer.rollout_data_dir": folder / "run" / "rollouts"}))
    return folder


def test_what_selection_logs(whole):
    rows = rows_of(whole / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5]
    for step, row in rows.items():
        assert ("selection/reference/difficulty" in row) == (step % 2 == 1)
        assert 0 <= row["selection/effective_groups"] <= 1
        # All groups of the batch: the fresh ones, and in the first batch of a round the reused references.
        reused = row.get("selection/reference/reused_groups", 0)
        fresh = BATCH - reused
        effective = row["selection/effective_groups"] * fresh + reused
        assert row["training/effective_groups"] * BATCH == pytest.approx(effective)
        if step % 2 == 1:
            assert row["timing_s/reference_rollouts"] + row["timing_s/predict_difficulty"] <= row["timing_s/selection"]
            assert reused == min(BATCH - 1, REFERENCES * row["selection/reference/effective_groups"])
    assert any(row.get("selection/reference/reused_groups", 0) > 0 for row in rows.values())


def test_a_predictor_trained_on_the_labels_of_a_run_selects_in_the_next(inputs, whole, cpu_environment, tmp_path):
    labels, predictor, cache = tmp_path / "labels.parquet", tmp_path / "predictor", whole / "embeddings"
    assert command.main(["--from-run", str(whole / "run"), "--out", str(labels)]) == 0
    shares = ["--test-share", "0.35", "--dev-share", "0.45", "--references", "2", "--epochs", "2"]
    paths = ["--backbone", str(inputs.model), "--cache", str(cache), "--out", str(predictor)]
    assert train_predictor.main([str(labels), *paths, *shares]) == 0
    trained = {"predictor": "attention", "checkpoint": predictor, "cache": cache}
    must_train(overrides(inputs, tmp_path, 2, **{f"dots.difficulty.{key}": value for key, value in trained.items()}))
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2]
    everywhere = rows[1]["selection/predicted_difficulty/all"]
    assert 0 < everywhere < 1
    for row in rows.values():
        assert 0 <= row["selection/calibration_error"] <= 1
        assert abs(row["selection/predicted_difficulty"] - 0.5) <= abs(everywhere - 0.5) + 0.02


def test_without_references_and_by_effectiveness_with_a_resume(inputs, tmp_path):
    """Rounds of two steps: a uniform one, from which the predictor learns, and then chosen ones."""
    settings = {"dots.selection.references": 0, "dots.selection.score": "effectiveness", "dots.selection.explore": 0.25}
    whole, half = tmp_path / "whole", tmp_path / "half"

    def of(folder, **more):
        return overrides(inputs, folder, 4, **settings, **more, **{"dots.difficulty.cache": tmp_path / "embeddings"})

    must_train(of(whole, **{"trainer.save_freq": 1}))
    rows = rows_of(whole / "run")
    assert rows[1]["selection/trusted"] == 0 and "selection/predicted_difficulty/all" not in rows[1]
    assert rows[3]["selection/trusted"] == 1 and 0 < rows[3]["selection/predicted_difficulty/all"] < 1
    assert 0 < rows[3]["selection/predicted_effective_groups/all"] <= rows[3]["selection/predicted_effective_groups"]
    assert not any("reference_rollouts" in name for row in rows.values() for name in row)
    assert all(row["training/unused_tokens"] == 0 for row in rows.values() if "training/unused_tokens" in row)
    assert_resumes(whole / "run", 2, half / "run", of(half))
