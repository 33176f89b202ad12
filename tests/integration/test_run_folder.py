import json
import math

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from verl_dots.integration.run_folder import RunFolder, as_number

CONFIG = OmegaConf.create({"trainer": {"experiment_name": "grpo"}, "dots": {"seed": 3}})


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_rows_carry_totals_and_numbers_only(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    folder.log({"val-core/x/acc/mean@1": np.float64(0.25)}, step=0)
    folder.log({"timing_s/step": 2.0, "training/generated_tokens": 10, "bad": math.nan, "text": "no"}, step=1)
    folder.log({"timing_s/step": 3.0, "training/generated_tokens": 5, "tensor": torch.tensor(1.5)}, step=2)
    zero, one, two = rows(tmp_path)
    assert (zero["step"], zero["val-core/x/acc/mean@1"], zero["generated_tokens"]) == (0, 0.25, 0)
    assert (one["train_seconds"], one["generated_tokens"], one["bad"]) == (2.0, 10, None)
    assert "text" not in one
    assert (two["train_seconds"], two["generated_tokens"], two["tensor"]) == (5.0, 15, 1.5)
    assert two["wall_seconds"] >= one["wall_seconds"] >= zero["wall_seconds"] >= 0


def test_a_resumed_run_goes_on_from_the_totals_of_its_step(tmp_path):
    first = RunFolder(tmp_path, CONFIG, resumed_step=0)
    for step in (1, 2, 3):
        first.log({"timing_s/step": 2.0, "training/generated_tokens": 10}, step=step)
    # The crash cut the last row short.
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "wall_sec')
    resumed = RunFolder(tmp_path, CONFIG, resumed_step=2)
    resumed.log({"timing_s/step": 1.0, "training/generated_tokens": 7}, step=3)
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3, 3]
    assert (rows(tmp_path)[-1]["train_seconds"], rows(tmp_path)[-1]["generated_tokens"]) == (5.0, 27)
    assert json.loads((tmp_path / "run.json").read_text())["resumed_step"] == 2


def test_a_run_that_died_between_checkpoint_and_row_goes_on_from_the_row_before(tmp_path):
    first = RunFolder(tmp_path, CONFIG, resumed_step=0)
    for step in (1, 2):
        first.log({"timing_s/step": 2.0, "training/generated_tokens": 10}, step=step)
    resumed = RunFolder(tmp_path, CONFIG, resumed_step=3)  # saved, but not yet logged
    resumed.log({"timing_s/step": 1.0, "training/generated_tokens": 7}, step=4)
    assert (rows(tmp_path)[-1]["train_seconds"], rows(tmp_path)[-1]["generated_tokens"]) == (5.0, 27)


def test_a_new_run_keeps_the_rows_of_an_old_one_aside(tmp_path):
    RunFolder(tmp_path, CONFIG, resumed_step=0).log({}, step=1)
    RunFolder(tmp_path, CONFIG, resumed_step=0).log({}, step=1)
    assert len(rows(tmp_path)) == 1
    assert len(list(tmp_path.glob("metrics.*.jsonl"))) == 1


def test_run_json_tells_name_seed_versions_and_the_end(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    before = json.loads((tmp_path / "run.json").read_text())
    assert (before["name"], before["seed"], before["finished"]) == ("grpo", 3, None)
    assert before["versions"]["verl"] == "0.9.1"
    folder.finish()
    assert json.loads((tmp_path / "run.json").read_text())["finished"] >= before["started"]
    assert OmegaConf.load(tmp_path / "config.yaml") == CONFIG


@pytest.mark.parametrize(
    "value, number",
    [(1, 1), (True, 1), (2.5, 2.5), (np.int64(3), 3), (np.array(4.0), 4.0), (torch.tensor([5]), 5), ("6", None),
     ([7], None), (np.array([1, 2]), None)],
)  # fmt: skip
def test_as_number(value, number):
    assert as_number(value) == number


def test_a_stop_is_asked_for_by_a_file_and_leaves_the_run_unfinished(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    assert not folder.stop_requested()
    (tmp_path / "stop").touch()
    assert folder.stop_requested()
    assert not (tmp_path / "stop").exists()
    folder.finish()
    assert json.loads((tmp_path / "run.json").read_text())["finished"] is None
