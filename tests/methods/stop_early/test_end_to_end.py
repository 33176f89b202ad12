"""Stopping early through Ray and verl: two parts are as one, and with the methods that it must agree with a resume."""

import pytest

from tests.launches import GRPO_RR, assert_resumes, must_train, on, rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]
BATCH, N = 8, 4
DOTS = on("selection", references=8, tau=0.1, mu=2, rho_floor=-1)


def test_groups_in_two_parts_train_as_whole_ones(inputs, tmp_path):
    """Where all that could stop is audited, nothing stops; a step has the tokens and rewards that it has anyhow."""
    found = {}
    for name, settings in (("whole", {}), ("parts", on("stop_early", audit=1.0, strength=1.0))):
        cache = {"dots.difficulty.cache": tmp_path / "embeddings"}
        must_train(inputs.without_validation(tmp_path / name, 2, cache, DOTS, settings))
        names = ("training/generated_tokens", "critic/score/mean", "actor/grad_norm", "actor/loss")
        found[name] = [{key: row.get(key) for key in names} for row in rows_of(tmp_path / name).values()]
    assert found["whole"] == found["parts"]


def test_with_replay_budget_and_temperature_and_a_resume(inputs, tmp_path):
    settings = (
        on("stop_early", confidence=0.5, strength=1.0),
        DOTS,
        on("replay", capacity=8) | {"algorithm.adv_estimator": "grpo_rr"} | GRPO_RR,
        on("budget", least=2, most=8, widen="null", by="predicted"),
        on("temperature", target=1.5),
    )

    def overrides(folder, **more):
        cache = {"dots.difficulty.cache": tmp_path / "embeddings"}
        return inputs.without_validation(folder / "run", 3, cache, *settings, more)

    whole, half = tmp_path / "whole", tmp_path / "half"
    must_train(overrides(whole, **{"trainer.save_freq": 1}))
    rows = rows_of(whole / "run")
    assert any(row["stop_early/stopped"] > 0 for row in rows.values())
    for row in rows.values():
        assert row["stop_early/saved"] <= row["stop_early/stopped"]
        assert row["training/generated_tokens"] > row["stop_early/dropped_tokens"]
    assert "stop_early.safetensors" not in {file.name for file in (whole / "run" / "global_step_2").iterdir()}
    assert_resumes(whole / "run", 1, half / "run", overrides(half))
