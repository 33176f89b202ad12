"""Runs as verl's own trackers have kept them."""

import csv

import pytest

from tests.refusals import refused
from tests.reporting.conftest import load_run
from verl_dots import report
from verl_dots.reporting import drawing
from verl_dots.reporting.runs import NothingRecordedError, read_run

ACCURACY = "val-core/x/acc/mean@1"
BATCH = {"perf/total_num_tokens": 480, "prompt_length/mean": 50.0, "response_length/mean": 10.0}
LOGGED = [
    (0, {ACCURACY: 0.25}),
    (1, {"timing_s/step": 2.0} | BATCH),
    (2, {"timing_s/step": 4.0, "timing_s/testing": 1.0, ACCURACY: 0.5} | BATCH),
]
COLUMNS = ["step", "wall_seconds", "train_seconds", "generated_tokens", "generated_rollouts"]
TOTALS = [[0, 0, 0, 0, 0], [1, 2, 2, 80, 8], [2, 7, 6, 160, 16]]


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """Logs steps by verl's own trackers: file and tensorboard."""
    from verl.utils.tracking import Tracking

    def logged(name, rows, backend, folder=""):
        monkeypatch.setenv("VERL_FILE_LOGGER_ROOT", str(tmp_path))
        monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / folder))
        tracking = Tracking("project", name, [backend])
        for step, data in rows:
            tracking.log(data, step)
        tracking.finish()
        return tmp_path / folder if folder else tmp_path / "project" / f"{name}.jsonl"

    return logged


def write_csv(file, header, *lines):
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *lines])
    return file


def table(run):
    return run.rows[COLUMNS].to_numpy().tolist()


def test_verls_file_logger(tracked):
    run = load_run(tracked("grpo-seed3", LOGGED, "file"))
    assert (run.name, run.seed, run.metric_keys, run.unfinished) == ("grpo", 3, (ACCURACY,), None)
    assert table(run) == TOTALS
    assert any("tells metrics alone" in note for note in run.notes)


def test_tensorboard_and_a_run_that_resumed(tracked):
    folder = tracked("any", LOGGED, "tensorboard", folder="logs/dots_seed12")
    run = load_run(folder)
    assert (run.name, run.seed) == ("dots", 12) and table(run) == TOTALS
    assert load_run(next(folder.iterdir())).name == "dots"
    # It comes back at step 1: what was told of step 2 is of the life that crashed.
    more = tracked("any", [(1, {"timing_s/step": 3.0} | BATCH)], "tensorboard", folder="logs/dots_seed12")
    first, second = sorted(more.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    first.rename(more / "events.out.tfevents.1.host"), second.rename(more / "events.out.tfevents.2.host")
    run = read_run(more)
    assert run.resumes == 1 and run.rows["step"].tolist() == [0, 1]
    assert run.rows["train_seconds"].tolist() == [0, 3]


def test_the_history_that_wandb_exports(tmp_path):
    header = ["_runtime", "_step", "note", *(names := list(LOGGED[2][1]))]
    lines = [["1.5", step, "text", *(data.get(name, "") for name in names)] for step, data in LOGGED]
    run = load_run(write_csv(tmp_path / "grpo-seed1.csv", header, *lines))
    assert (run.name, run.seed) == ("grpo", 1) and table(run) == TOTALS
    assert "note" not in run.rows


def test_a_chart_that_wandb_exports(tmp_path):
    header = ["Step", f"my - run-seed2 - {ACCURACY}", f"my - run-seed2 - {ACCURACY}__MIN"]
    run = load_run(write_csv(tmp_path / "wandb_export.csv", header, [0, 0.25, 0.2], [4, 0.5, 0.4], [8, "NaN", ""]))
    assert (run.name, run.seed) == ("my - run", 2)
    assert run.rows[ACCURACY].dropna().tolist() == [0.25, 0.5]
    assert run.rows["train_seconds"].isna().all() and f"{ACCURACY}__MIN" not in run.rows
    assert any("tells no wall_seconds, no train_seconds, no generated_tokens" in note for note in run.notes)


def test_files_that_are_no_run_or_several(tmp_path):
    several = write_csv(tmp_path / "a.csv", ["Step", "one - loss", "two - loss"], [0, 1, 2])
    with refused(str(several), "file", "2 runs (one, two)"):
        read_run(several)
    seeds = write_csv(tmp_path / "e.csv", ["Step", "one - loss", "one - loss"], [0, 1, 2])
    with refused(str(seeds), "file", "'one - loss'"):
        read_run(seeds)
    means = write_csv(tmp_path / "f.csv", ["Step", "Group: one - loss"], [0, 1])
    with refused(str(means), "file", "'Group: one'"):
        read_run(means)
    other = write_csv(tmp_path / "b.csv", ["time", "loss"], [0, 1])
    with refused(str(other), "file", "time"):
        read_run(other)
    wrong = write_csv(tmp_path / "c.csv", ["_step", "loss"], [1, 1], ["x", 2])
    with refused(str(wrong), "damaged", "line 3", "'x'"):
        read_run(wrong)
    (flat := tmp_path / "d.jsonl").write_text('{"step": 1, "loss": 2}\n')
    with pytest.raises(NothingRecordedError, match='no line that can be read. .*line 1 has no object "data"'):
        read_run(flat)
    (text := tmp_path / "notes.txt").touch()
    with refused(str(text), "file", "trainer.logger=file"):
        read_run(text)


def test_a_report_of_what_trackers_have_kept(tracked, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "save", lambda figure, path: path.touch())
    faster = [(step, data | {"timing_s/step": 1.0} if step else data) for step, data in LOGGED]
    paths = [tracked("grpo-seed1", LOGGED, "file"), tracked("dots-seed1", faster, "file")]
    assert report.main(list(map(str, paths))) == 0
    assert "Report:" in capsys.readouterr().out and (tmp_path / "project" / "report" / "report.md").is_file()
    assert report.main([str(paths[0]), "--out", str(tmp_path / "one")]) == 0
    assert report.main([str(tmp_path / "none")]) == 2
    assert "trainer.logger=file" in capsys.readouterr().err
