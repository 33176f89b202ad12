"""verl's asynchronous mode through Ray, with selection, replay, budgets, AdaRFT and a moving temperature."""

import json
from functools import partial

import pytest

from tests.launches import cut_off, must_train, rollouts_of, rows_of
from tests.training.everything import everything

pytestmark = pytest.mark.e2e

LOGS = ("replay/share", "adarft/target", "temperature/temperature", "length_penalty/share", "filter/share")
# Of the questions that were chosen: a step whose groups are references and replayed ones alone has none.
OF_CHOSEN = ("budget/rollouts/max", "budget/rollouts/std", "budget/epoch")


def overrides(inputs, folder, steps, **more):
    """Of all methods that go together, while rollouts go on."""
    mode = {
        "trainer.v1.trainer_mode": "colocate_async", "dots.loss.behaviour": "engine", "trainer.save_freq": 2,
        "dots.temperature.entropy": "engine", "dots.selection.references": 8, "dots.selection.mu": 2,
    }  # fmt: skip
    return everything(inputs, folder, steps, **mode, **more)


@pytest.fixture(scope="module")
def three_steps(inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("asynchronous")
    must_train(overrides(inputs, folder, 3, **{"trainer.rollout_data_dir": folder / "rollouts"}))
    return folder


def test_everything_while_rollouts_go_on(three_steps):
    rows = rows_of(three_steps / "run")
    assert sorted(rows) == [1, 2, 3]
    for row in rows.values():
        assert all(row[name] == row[name] for name in LOGS)
        assert len({name in row for name in OF_CHOSEN}) == 1
        # Of fresh and replayed rows alike, and the figure that verl has of them.
        for of in ("mean", "max"):
            worst = row[f"training/off_policy/trajectory_staleness_worst/{of}"]
            assert row[f"training/age/{of}"] == pytest.approx(worst)
        assert row["training/in_flight_groups"] > 0 == row["training/dropped_groups"]
    assert any(OF_CHOSEN[0] in row for row in rows.values())
    assert rows[3]["training/age/max"] >= 1 and rows[3]["replay/share"] > 0
    # The engine's log-probs are those of the policy that sampled: a ratio of 1 where that is the current one.
    assert "loss/age_1/ratio/log_difference" in rows[2] | rows[3]
    dumped = sum(len(rollouts_of(three_steps / "rollouts", step)) for step in rows)
    assert dumped <= sum(row["training/generated_rollouts"] for row in rows.values())


def test_its_run_folder_is_that_of_every_mode(three_steps):
    run = three_steps / "run"
    assert json.loads((run / "run.json").read_text())["finished"] and (run / "config.yaml").exists()
    saved = {file.name for file in (run / "global_step_2").iterdir()}
    assert saved >= {"in_flight.safetensors", "selection.safetensors", "replay.safetensors", "transfer_queue"}


@pytest.mark.long
def test_what_is_in_flight_goes_on_after_a_resume(inputs, three_steps, tmp_path):
    cut_off(three_steps / "run", 2, tmp_path / "run")
    resumed = partial(overrides, inputs, tmp_path, **{"dots.difficulty.cache": three_steps / "embeddings"})
    must_train(resumed(4))
    rows = rows_of(tmp_path / "run")
    assert sorted(rows) == [3, 4] and rows[3]["training/age/max"] >= 1
    assert all(row["training/in_flight_groups"] > 0 for row in rows.values())
