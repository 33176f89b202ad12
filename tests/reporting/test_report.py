"""The report's command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from verl_dots import report
from verl_dots.reporting import drawing

ACCURACY = "val-core/arithmetic/acc/mean@1"


@pytest.fixture(autouse=True)
def small_figures(monkeypatch):
    monkeypatch.setattr(drawing, "DOTS_PER_INCH", 20)


@pytest.fixture
def folders(tmp_path):
    """Two runs: grpo reaches 60 % in 4 steps of 2 s, dots in 2 steps of 1 s."""
    paths = []
    for name, seconds, accuracies in (("grpo", 2.0, [0.0, 0.3, 0.6]), ("dots", 1.0, [0.0, 0.6, 0.6])):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        rows = [
            {"step": step, "wall_seconds": seconds * step, "train_seconds": seconds * step, "generated_tokens": step}
            | ({ACCURACY: accuracies[step // 2]} if step % 2 == 0 else {})
            | ({"timing_s/step": seconds, "critic/score/mean": 0.5} if step else {})
            for step in range(5)
        ]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "run.json").write_text(json.dumps({"name": name, "seed": 1, "versions": {"verl": "0.9.1"}}))
        paths.append(str(folder))
    return paths


def test_files_and_terminal(folders, tmp_path, capsys):
    out = tmp_path / "out" / "deep"
    assert report.main([*folders, "--out", str(out), "--smoothing", "3"]) == 0
    names = ["accuracy.png", "report.md", "summary.json", "training.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    printed = capsys.readouterr().out
    row = (
        "| grpo   |    1 |       0.0 |      30.0 |         +30.0 |     4 |                       8.0 s |         2.00 |"
    )
    assert row in printed
    assert printed.rstrip().endswith(f"Report: {out / 'report.md'}")
    text = (out / "report.md").read_text()
    assert text.startswith("# Training report: grpo, dots\n\nValidation accuracy: `val-core/arithmetic/acc/mean@1`\n")
    assert "## Cost of reaching grpo's final accuracy (30.0 %)" in text
    # dots, smoothed: 0, 0.3, 0.4 at steps 0, 2, 4: 0.3 at step 2, after 2 of grpo's 8 s.
    assert (
        "| dots            |    1 |   2.0 |                      2.0 s |                       2.0 s |      2 |" in text
    )
    assert "|      50.0 % |             50.0 % |           75.0 % |          75.0 % |       50.0 % |" in text
    assert "Versions: verl 0.9.1" in text
    data = json.loads((out / "summary.json").read_text())
    assert data["methods"][1]["savings"]["total"] == pytest.approx(0.75)


def test_default_folder(folders, tmp_path, capsys):
    assert report.main(folders[:1]) == 0
    assert (tmp_path / "runs" / "grpo" / "report" / "report.md").is_file()
    assert report.main(folders) == 0
    assert (tmp_path / "runs" / "report" / "report.md").is_file()
    assert f"Report: {tmp_path / 'runs' / 'report' / 'report.md'}" in capsys.readouterr().out


def test_a_folder_named_twice_counts_once(folders, tmp_path, capsys):
    assert report.main([folders[0], folders[0] + "/", "--out", str(tmp_path / "out")]) == 0
    assert "| grpo   |    1 |" in capsys.readouterr().out


def test_another_baseline_and_metric(folders, tmp_path):
    options = ["--baseline", "dots", "--metric", "critic/score/mean", "--out", str(tmp_path / "out")]
    assert report.main([*folders, *options]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert text.startswith("# Training report: dots, grpo\n\ncritic/score/mean: ")


@pytest.fixture
def seeds(tmp_path):
    """Three seeds of grpo and dots, 60 steps of 2 s and 1 s; `cut(name)` cuts the third one of a method at step 10."""
    curves = {"grpo": [0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70], "dots": [0.40, 0.48, 0.56, 0.62, 0.68, 0.72, 0.74]}
    paths = {}
    for (name, curve), seconds in zip(curves.items(), (2.0, 1.0), strict=True):
        for seed in (1, 2, 3):
            folder = paths[name, seed] = tmp_path / "seeds" / f"{name}{seed}"
            folder.mkdir(parents=True)
            rows = [
                {"step": step, "train_seconds": seconds * step, "generated_tokens": 100 * step}
                | {"wall_seconds": seconds * step + 1 + step // 10}
                | ({ACCURACY: curve[step // 10] + (0.0, 0.01, -0.01, 0.0)[seed]} if step % 10 == 0 else {})
                for step in range(61)
            ]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            info = {"name": name, "seed": seed, "versions": {}, "started": "2026-01-01", "finished": "2026-01-02"}
            (folder / "run.json").write_text(json.dumps(info))

    def cut(name):
        folder = paths[name, 3]
        lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        (folder / "metrics.jsonl").write_text("".join(lines[:11]))
        (folder / "run.json").write_text(json.dumps({"name": name, "seed": 3, "versions": {}, "finished": None}))

    return [str(path) for path in paths.values()], cut


def savings(out):
    """The row of dots in the table of savings, cell by cell."""
    text = (out / "report.md").read_text()
    line = next(line for line in text.splitlines() if line.startswith("| dots ") and " s |" in line and "%" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


# dots is at grpo's final 70.0 % half way from 68 % at step 40 to 72 % at step 50: 45 of 60 steps, 45 of 120 s of
# training, 50.5 of 127 s in all (validations at steps 0 to 40 and half of one).
WHOLE = ["45.0", "45.0 s", "50.5 s", "4.5 k", "25.0 %", "50.0 %", "62.5 %", "60.2 %", "25.0 %"]


@pytest.mark.parametrize("name", [None, "grpo", "dots"])
def test_one_seed_cut_at_step_ten_does_not_bend_the_savings(seeds, tmp_path, capsys, name):
    paths, cut = seeds
    if name:
        cut(name)
    out = tmp_path / "out"
    assert report.main([*paths, "--out", str(out)]) == 0
    assert savings(out) == ["dots", "2" if name == "dots" else "3", *WHOLE]  # the others lie a point above and below
    third = paths[5 if name == "dots" else 2]
    sentence = f"{third} ({name}, seed 3): not finished (step 10). --include-unfinished counts it all the same."
    assert (f"left out: {sentence}" in capsys.readouterr().out) == (name is not None)
    assert (f"## Runs left out\n\n- {sentence}" in (out / "report.md").read_text()) == (name is not None)


def test_asked_for_the_cut_seed_counts_over_shared_steps_alone(seeds, tmp_path, capsys):
    paths, cut = seeds
    cut("grpo")
    out = tmp_path / "out"
    assert report.main([*paths, "--out", str(out), "--include-unfinished"]) == 0
    text = (out / "report.md").read_text()
    assert "## Cost of reaching grpo's accuracy at step 10 (45.0 %)" in text
    assert "- grpo counts up to step 10 only, the last at which all of its 3 runs were evaluated." in text
    assert "| grpo   | 3 (1 unfinished) | 40.0 ± 1.0 | 45.0 ± 1.0 |    +5.0 ± 0.0 |    10 |" in text
    assert savings(out)[2] == "6.3" or savings(out)[2] == "6.2"  # 6.25: 45 % is 5/8 of the way from 40 to 48 %


def test_nothing_left_names_the_flag_and_leaves_no_folder(seeds, tmp_path, capsys):
    paths, cut = seeds
    cut("dots")
    assert report.main([paths[5], "--out", str(tmp_path / "new" / "out")]) == 2
    error = capsys.readouterr().err
    assert "no finished run is among those given." in error and "not finished (step 10). Add --include-unf" in error
    assert not (tmp_path / "new").exists()
    assert report.main([paths[5], "--out", str(tmp_path / "new" / "out"), "--include-unfinished"]) == 0


def test_what_to_know_is_on_the_console_and_in_the_report(folders, tmp_path, capsys):
    file = tmp_path / "runs" / "grpo" / "metrics.jsonl"
    lines = file.read_text().splitlines()
    lines[3] = lines[3][:20]
    file.write_text("\n".join(lines) + "\n")
    for folder, preset in zip(folders, ("grpo", "dots"), strict=True):
        Path(folder, "config.yaml").write_text(f"dots: {{preset: {preset}}}\ndata: {{val_files: {preset}.parquet}}\n")
    assert report.main([*folders, "--out", str(tmp_path / "out")]) == 0
    printed, text = capsys.readouterr().out, (tmp_path / "out" / "report.md").read_text()
    damage = f"{file}, line 4 is not JSON (Unterminated string starting at at character 13): "
    gap = f"{folders[0]} has no row for step 3."
    settings = "methods differ in data.val_files: grpo.parquet (grpo), dots.parquet (dots)."
    for sentence in (damage, gap, settings):
        assert f"note: {sentence}" in printed and f"\n- {sentence}" in text
    times = "Train time: the training steps with their checkpoints, without validation. Wall time: everything since the"
    assert times in printed and times in text
    assert "| dots.preset    |         grpo |         dots |" in text


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
    out = tmp_path / "out"
    out.mkdir()
    for name in ("replay.png", "mine.png"):
        (out / name).write_text("")
    assert report.main([*folders, "--out", str(out)]) == 0
    assert not (out / "replay.png").exists() and (out / "mine.png").exists()


def test_a_report_among_the_runs_is_no_run(folders, tmp_path):
    old = tmp_path / "runs" / "report"
    old.mkdir()
    (old / "report.md").write_text("# Training report: grpo")
    paths = [Path(folder) for folder in folders]
    assert report.run_folders([*paths, old]) == paths
    assert report.run_folders([old]) == [old]  # whose error says what a run folder is


@pytest.mark.parametrize("smoothing", ["0", "-3"])
def test_smoothing_over_nothing_is_refused(folders, tmp_path, capsys, smoothing):
    assert report.main([*folders, "--out", str(tmp_path / "out"), "--smoothing", smoothing]) == 2
    assert f"--smoothing is {smoothing}; it must be at least 1" in capsys.readouterr().err


def test_errors_are_one_line_and_status_two(folders, tmp_path, capsys):
    assert report.main([*folders, "--baseline", "gpro"]) == 2
    assert "no method is named 'gpro'; the runs given are of ['dots', 'grpo']. Did you mean 'grpo'?" in (
        capsys.readouterr().err
    )
    assert report.main([str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_importing_the_reports_loads_no_training_code():
    code = "import sys, verl_dots.report; print([m for m in ('torch', 'ray', 'verl') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
