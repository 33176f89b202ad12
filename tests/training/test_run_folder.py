import json
import math
import os

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.state import save_state
from verl_dots.training.run_folder import RunFolder, as_number
from verl_dots.training.run_record import RunRecord, load_record, save_record, saved_settings

CONFIG = OmegaConf.create({"trainer": {"experiment_name": "grpo"}, "dots": {"seed": 3}})


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_rows_carry_totals_and_numbers_only(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    folder.log({"val-core/x/acc/mean@1": np.float64(0.25)}, step=0)
    rollouts = "training/generated_rollouts"
    one = {"timing_s/step": 2.0, "training/generated_tokens": 10, rollouts: 4, "bad": math.nan, "text": "no"}
    folder.log(one, step=1)
    folder.log({"timing_s/step": 3.0, "training/generated_tokens": 5, rollouts: 3, "t": torch.tensor(1.5)}, step=2)
    zero, one, two = rows(tmp_path)
    assert (zero["step"], zero["val-core/x/acc/mean@1"], zero["generated_tokens"]) == (0, 0.25, 0)
    assert (one["train_seconds"], one["generated_tokens"], one["bad"]) == (2.0, 10, None)
    assert "text" not in one
    assert (two["train_seconds"], two["generated_tokens"], two["t"]) == (5.0, 15, 1.5)
    assert [row["generated_rollouts"] for row in (zero, one, two)] == [0, 4, 7]
    assert two["wall_seconds"] >= one["wall_seconds"] >= zero["wall_seconds"] >= 0


def test_a_row_that_could_not_be_written_is_not_counted(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    assert folder.last_step is None
    log(folder, 1, 2.0, 10)

    def full(row):
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(folder, "_append", full)
        with pytest.raises(OSError, match="No space left"):
            log(folder, 2, 3.0, 5)
    assert folder.last_step == 1
    totals = folder.totals_with(0.0, 0)
    assert (totals["train_seconds"], totals["generated_tokens"], totals["generated_rollouts"]) == (2.0, 10, 4)


def test_rows_are_on_the_disk_before_a_checkpoint_is(tmp_path, monkeypatch):
    """The machine may lose its power: a row that has no checkpoint behind it could not be made again."""
    synced = []
    monkeypatch.setattr("os.fsync", lambda place: synced.append(os.readlink(f"/proc/self/fd/{place}")))
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    folder.sync()  # without a row there is nothing
    before = list(synced)
    folder.log({"timing_s/step": 1.0}, step=1)
    assert synced == before
    folder.sync()
    assert synced == [*before, str(tmp_path / "metrics.jsonl")]


def log(folder, step, seconds, tokens):
    rollouts = {"training/generated_rollouts": 4}
    folder.log({"timing_s/step": seconds, "training/generated_tokens": tokens, **rollouts}, step)


def record(step):
    """What the checkpoint of a step of 10 tokens tells: 30 in 6 seconds so far."""
    totals = {"wall_seconds": 9.0, "train_seconds": 6.0, "generated_tokens": 30, "generated_rollouts": 12}
    return RunRecord(step, totals, {"training/generated_tokens": 10, "critic/score/mean": 0.5}, {})


@pytest.mark.parametrize(
    ("logged", "resumed", "recorded", "steps", "seconds", "tokens"),
    [
        ([(1, 2.0, 10), (2, 2.0, 10), (3, 2.0, 10)], 2, False, [1, 2, 3, 3], 5.0, 27),
        # It died between the checkpoint and the row of step 3: the row before counts, or what the checkpoint tells.
        ([(1, 2.0, 10), (2, 2.0, 10)], 3, False, [1, 2, 4], 5.0, 27),
        ([(1, 2.0, 10), (2, 2.0, 10)], 3, True, [1, 2, 3, 4], 7.0, 37),
        # A row that is there is not told twice, and its seconds count.
        ([(3, 8.0, 30), (4, 2.0, 99)], 3, True, [3, 4, 4], 9.0, 37),
    ],
)
def test_a_resumed_run_goes_on_from_the_totals_of_its_step(tmp_path, logged, resumed, recorded, steps, seconds, tokens):
    first = RunFolder(tmp_path, CONFIG, resumed_step=0)
    for row in logged:
        log(first, *row)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "wall_sec')  # cut short by the crash
    log(RunFolder(tmp_path, CONFIG, resumed, record(resumed) if recorded else None), resumed + 1, 1.0, 7)
    last = rows(tmp_path)[-1]
    assert [row["step"] for row in rows(tmp_path)] == steps
    assert (last["train_seconds"], last["generated_tokens"]) == (seconds, tokens)
    assert last["generated_rollouts"] == {27: 12, 37: 16}[tokens]  # 4 a step, or 12 of the checkpoint
    assert json.loads((tmp_path / "run.json").read_text())["resumed_step"] == resumed


def test_a_row_that_a_crash_cut_off_is_told_by_the_checkpoint(tmp_path):
    log(RunFolder(tmp_path, CONFIG, resumed_step=0), 2, 4.0, 20)
    RunFolder(tmp_path, CONFIG, 3, record(3)).log({}, step=4)
    _, told, after = rows(tmp_path)
    assert (told["step"], told["generated_tokens"], told["critic/score/mean"]) == (3, 30, 0.5)
    assert after["wall_seconds"] >= 9.0 == told["wall_seconds"]


def test_a_checkpoint_that_was_brought_from_elsewhere_has_lost_nothing(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=3, record=record(3))
    assert not folder.metrics_file.exists() and not folder.lacks_validation(3)
    log(folder, 4, 1.0, 7)
    assert [(row["step"], row["generated_tokens"]) for row in rows(tmp_path)] == [(4, 37)]


def test_a_validation_that_a_crash_cut_off_is_missed(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    folder.log({"val-core/x/acc/mean@1": 0.5}, step=0)
    folder.log({"training/generated_tokens": 10}, step=2)
    folder = RunFolder(tmp_path, CONFIG, resumed_step=2)
    assert [folder.lacks_validation(step) for step in (0, 2)] == [False, True]


def test_damaged_lines_stop_no_resume(tmp_path, caplog):
    RunFolder(tmp_path, CONFIG, resumed_step=0).log({"training/generated_tokens": 10}, step=1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("\0\0\0\n[1]\n{}\n" + "[" * 100_000 + "\n")
        file.writelines(f'{{"step": {step}}}\n' for step in ("Infinity", "1.5", "null"))
    resumed = RunFolder(tmp_path, CONFIG, resumed_step=1)
    assert resumed.totals_with(0, 5)["generated_tokens"] == 15
    assert all(f"line {number} is damaged" in caplog.text for number in range(2, 9))


def test_a_full_disk_is_named_with_its_file(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device: '.*metrics.jsonl'"):
        folder.log({}, step=1)


def test_a_record_comes_back_from_its_checkpoint_and_from_no_other(tmp_path):
    one, folder = record(4), tmp_path / "global_step_4"
    save_record(folder, one, {"dots": {"seed": 1}, "trainer": {"nnodes": 1}})
    assert load_record(folder) == one
    assert saved_settings(folder)["dots"] == {"seed": 1}
    folder.rename(tmp_path / "global_step_8")
    with refused(f"{tmp_path}/global_step_8/run.state: step", "other run", "'global_step_4'"):
        load_record(tmp_path / "global_step_8")
    assert load_record(tmp_path) is None


def test_a_run_of_a_version_that_counted_no_rollouts_goes_on_without(tmp_path):
    folder = RunFolder(tmp_path, CONFIG, resumed_step=0)
    log(folder, 3, 4.0, 30)
    old = tmp_path / "metrics.jsonl"
    row = json.loads(old.read_text())
    row.pop("generated_rollouts"), row.pop("training/generated_rollouts")
    old.write_text(json.dumps(row) + "\n")
    log(RunFolder(tmp_path, CONFIG, resumed_step=3), 4, 1.0, 7)
    assert [row.get("generated_rollouts", "absent") for row in rows(tmp_path)] == ["absent", None]
    totals = {name: value for name, value in record(3).totals.items() if name != "generated_rollouts"}
    version_1 = {"step": 3, "totals": totals, "row": [], "fingerprints": {}}
    save_state(tmp_path / "global_step_3" / "run.state", "run", version_1)
    found = load_record(tmp_path / "global_step_3")
    assert found.totals == totals | {"generated_rollouts": None}
    log(RunFolder(tmp_path, CONFIG, 3, found), 4, 1.0, 7)
    assert (rows(tmp_path)[-1]["generated_tokens"], rows(tmp_path)[-1]["generated_rollouts"]) == (37, None)


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
    assert before["machine"]["cores"] >= 1 and "commit" in before
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
