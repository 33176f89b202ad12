"""Selection through Ray and verl: reference rollouts and a trained predictor; its resume is tested with replay."""

import pytest

from tests.launches import must_train, on, rows_of
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
