"""Every method at once through Ray and verl."""

import pytest

from tests.integration.training import must_train, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def test_all_together(inputs, tmp_path):
    must_train(inputs.overrides(**{
        "dots.preset": "all",
        "dots.selection.references": 12,
        "dots.selection.tau": 0.1,
        "dots.selection.mu": 1,
        "dots.replay.capacity": 8,
        "dots.budget.widen": 3,
        "dots.budget.least": 2,
        "dots.budget.most": 8,
        "dots.difficulty.cache": tmp_path / "embeddings",
        "data.train_max_samples": 32,
        "trainer.default_local_dir": tmp_path / "run",
        "trainer.total_training_steps": 5,
        "trainer.save_freq": 5,
        "trainer.test_freq": -1,
        "trainer.val_before_train": False,
    }))  # fmt: skip
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [1, 2, 3, 4, 5]
    for row in rows.values():
        for name in (
            "selection/trusted", "adarft/target", "budget/rollouts/max", "temperature/temperature",
            "filter/share", "replay/share", "off_policy/fresh/ratio/mean",
        ):  # fmt: skip
            assert row[name] == row[name], name
    assert any(row["replay/share"] > 0 for row in rows.values())
    assert rows[5]["adarft/target"] != rows[1]["adarft/target"]
    states = {file.name for file in (tmp_path / "run" / "global_step_5").glob("*.safetensors")}
    assert states == {f"{name}.safetensors" for name in ("selection", "adarft", "budget", "temperature", "replay")}
