"""The report's command line."""

import json
from pathlib import Path

import pytest

from tests.reporting.conftest import DOTS, GRPO
from verl_dots import report
from verl_dots.reporting import drawing


@pytest.fixture(autouse=True)
def quick_figures(monkeypatch):
    monkeypatch.setattr(drawing, "save", lambda figure, path: path.touch())


@pytest.fixture
def folders(write_run):
    return [str(write_run("grpo", 0, GRPO)), str(write_run("dots", 0, DOTS, 1.0))]


def savings(out):
    """The row of dots in the table of savings, cell by cell."""
    text = (out / "report.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| dots ") and " s |" in line and "%" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_files_and_terminal(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.undo()  # pictures are drawn here alone
    out = tmp_path / "out" / "deep"
    assert report.main([*folders, "--out", str(out), "--smoothing", "3"]) == 0
    names = ["accuracy.png", "report.md", "summary.json", "training.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    printed, text = capsys.readouterr().out, (out / "report.md").read_text()
    row = (
        "| grpo   |    1 |       0.0 |      40.0 |         +40.0 |     6 |                      26.0 s |         2.00 |"
    )
    assert row in printed and row in text
    assert printed.rstrip().endswith(f"Report: {out / 'report.md'}")
    assert text.startswith("# Training report: grpo, dots\n\nValidation accuracy: `val-core/arithmetic/acc/mean@1`\n")
    assert "## Cost of reaching grpo's final accuracy (40.0 %)" in text
    # dots, smoothed: 0, 0.2, 0.4, 0.6 at steps 0, 2, 4, 6: 0.4 at step 4, after 14 of grpo's 22 s of training.
    costs, saved = ["4.0", "14.0 s", "17.0 s", "400"], ["33.3 %", "4.5 %", "36.4 %", "34.6 %", "33.3 %"]
    assert savings(out) == ["dots", "1", *costs, *saved]
    assert "Versions: verl 0.9.1" in text
    data = json.loads((out / "summary.json").read_text())
    assert data["methods"][1]["savings"]["total"] == pytest.approx(8 / 22)


def test_default_folder(folders, tmp_path, capsys):
    assert report.main(folders[:1]) == 0
    assert (tmp_path / "grpo-0" / "report" / "report.md").is_file()
    assert report.main(folders) == 0
    assert (tmp_path / "report" / "report.md").is_file()
    assert f"Report: {tmp_path / 'report' / 'report.md'}" in capsys.readouterr().out


def test_another_baseline_and_metric(folders, tmp_path):
    options = ["--baseline", "dots", "--metric", "response_length/mean", "--out", str(tmp_path / "out")]
    assert report.main([*folders, *options]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert text.startswith("# Training report: dots, grpo\n\nresponse_length/mean: ")
    assert "## Cost of reaching dots's final accuracy (20.000)\n\nNo saving is shown: dots does not climb: " in text


LOGGED = ["timing_s/step", "timing_s/gen", "timing_s/testing"]
LOGGED += ["critic/score/mean", "actor/entropy", "response_length/mean"]


@pytest.fixture
def seeds(write_run):
    """Return a function that writes three seeds of grpo and dots, 6 steps of 2 s and 1 s; one may be cut at step 1."""
    curves = {"grpo": [0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70], "dots": [0.40, 0.48, 0.56, 0.62, 0.68, 0.72, 0.74]}

    def write(cut=None):
        folders = []
        for (name, curve), seconds in zip(curves.items(), (2.0, 1.0), strict=True):
            for seed, more in enumerate((0.01, -0.01, 0.0), start=1):
                last = 1 if (name, seed) == (cut, 3) else 6
                accuracies = {step: accuracy + more for step, accuracy in enumerate(curve[: last + 1])}
                folders.append(str(write_run(name, seed, accuracies, seconds, finished=last == 6, without=LOGGED)))
        return folders

    return write


# dots is at grpo's final 70 % half way from 68 % at step 4 to 72 % at step 5: 4.5 of 6 steps, 14.5 of 22 s of training,
# 20 of 29 s in all (validations at steps 0 to 4 and half of one).
WHOLE = ["4.5", "14.5 s", "20.0 s", "450", "25.0 %", "12.1 %", "34.1 %", "31.0 %", "25.0 %"]


@pytest.mark.parametrize("name", [None, "grpo", "dots"])
def test_one_seed_cut_short_does_not_bend_the_savings(seeds, tmp_path, capsys, name):
    paths, out = seeds(name), tmp_path / "out"
    assert report.main([*paths, "--out", str(out)]) == 0
    assert savings(out) == ["dots", "2" if name == "dots" else "3", *WHOLE]  # the others lie a point above and below
    third = paths[5 if name == "dots" else 2]
    sentence = f"{third} ({name}, seed 3): not finished (step 1). --include-unfinished counts it all the same."
    assert (f"left out: {sentence}" in capsys.readouterr().out) == (name is not None)
    assert (f"## Runs left out\n\n- {sentence}" in (out / "report.md").read_text()) == (name is not None)


def test_asked_for_the_cut_seed_counts_over_shared_steps_alone(seeds, tmp_path):
    out = tmp_path / "out"
    assert report.main([*seeds("grpo"), "--out", str(out), "--include-unfinished"]) == 0
    text = (out / "report.md").read_text()
    assert "## Cost of reaching grpo's accuracy at step 1 (45.0 %)" in text
    assert "- grpo counts up to step 1 only, the last at which all of its 3 runs were validated." in text
    assert "| grpo   | 3 (1 unfinished) | 40.0 ± 1.0 | 45.0 ± 1.0 |    +5.0 ± 0.0 |     1 |" in text
    assert savings(out)[2] == "0.6"  # 45 % is 5/8 of the way from 40 to 48 %
    assert "by phase" not in text  # nobody has timed any


def test_nothing_left_names_the_flag_and_leaves_no_folder(write_run, tmp_path, capsys):
    arguments = [str(write_run("dots", 3, DOTS, finished=False)), "--out", str(tmp_path / "new" / "out")]
    assert report.main(arguments) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: no finished run is among those given. ")
    assert "not finished (step 6). Add --include-unf" in error
    assert not (tmp_path / "new").exists()
    assert report.main([*arguments, "--include-unfinished"]) == 0


def test_what_to_know_is_on_the_console_and_in_the_report(write_run, tmp_path, capsys):
    folders = []
    for name, curve in (("grpo", GRPO), ("dots", DOTS)):
        settings = {"dots": {"preset": name}, "data": {"val_files": f"{name}.parquet"}}
        folders.append(str(write_run(name, 0, curve, settings=settings)))
    file = Path(folders[0], "metrics.jsonl")
    lines = file.read_text().splitlines()
    lines[3] = lines[3][:20]
    file.write_text("\n".join(lines) + "\n")
    assert report.main([*folders, "--out", str(tmp_path / "out")]) == 0
    printed, text = capsys.readouterr().out, (tmp_path / "out" / "report.md").read_text()
    damage = f"{file}, line 4 is not JSON (Unterminated string starting at at character 13): "
    gap = f"{folders[0]} has no row for step 3."
    settings = "methods differ in data.val_files: grpo.parquet (grpo), dots.parquet (dots)."
    for sentence in (damage, gap, settings):
        assert f"note: {sentence}" in printed and f"\n- {sentence}" in text
    times = "Train time: the training steps with their checkpoints, without validation. Wall time: everything since the"
    assert times in printed and times in text
    assert (chance := "Times of fewer than three runs of a method are of chance as well") in printed and chance in text
    assert "| dots.preset    |         grpo |         dots |" in text


@pytest.mark.parametrize("methods, seeds", [(("grpo",), 1), (("grpo", "dots"), 3)])
def test_times_of_three_runs_and_of_nothing_compared_have_no_warning(write_run, tmp_path, capsys, methods, seeds):
    folders = [str(write_run(name, seed, GRPO)) for name in methods for seed in range(seeds)]
    assert report.main([*folders, "--out", str(tmp_path / "out")]) == 0
    assert "of chance" not in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_refused_before_the_runs_are_read(folders, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    Path(folders[0], "metrics.jsonl").write_text("")  # an error of its own, if it came to reading
    assert report.main([*folders, "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be written: Not a directory" in (error := capsys.readouterr().err) and "--out" in error
    (tmp_path / "taken" / "report.md").mkdir(parents=True)
    assert report.main([*folders, "--out", str(tmp_path / "taken")]) == 2
    assert "report.md is a folder" in capsys.readouterr().err
    assert report.main([str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "nowhere").exists()


def test_figures_of_an_earlier_report_do_not_stay(folders, tmp_path):
    for name in ("replay.png", "mine.png"):
        (tmp_path / name).write_text("")
    (tmp_path / "report.md").write_text("# Training report: grpo")
    assert report.main([*folders, "--out", str(tmp_path)]) == 0
    assert not (tmp_path / "replay.png").exists() and (tmp_path / "mine.png").exists()


def test_neither_a_report_among_the_runs_nor_a_folder_named_twice_is_another_run(folders, tmp_path):
    old = tmp_path / "report"
    old.mkdir()
    (old / "report.md").write_text("# Training report: grpo")
    paths = [Path(folder) for folder in folders]
    assert report.run_folders([paths[0], old / ".." / "grpo-0", paths[1], old]) == paths
    assert report.run_folders([old]) == [old]  # whose error says what a run folder is
