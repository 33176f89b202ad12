"""The report's command line."""

import json
import subprocess
import sys

import pytest

from verl_dots import report

ACCURACY = "val-core/arithmetic/acc/mean@1"


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
    assert "| grpo   |    1 |       0.0 |      30.0 |         +30.0 |     4 |     8.0 s |   2.00 |" in printed
    assert printed.rstrip().endswith(f"Report: {out / 'report.md'}")
    text = (out / "report.md").read_text()
    assert text.startswith("# Training report: grpo, dots\n\nValidation accuracy: `val-core/arithmetic/acc/mean@1`\n")
    assert "## Cost of reaching grpo's final accuracy (30.0 %)" in text
    # dots, smoothed: 0, 0.3, 0.4 at steps 0, 2, 4: 0.3 at step 2, after 2 of grpo's 8 s.
    assert "| dots            |   2.0 |      2.0 s |     2.0 s |      2 |            50.0 |" in text
    assert "|                50.0 |                 75.0 |             50.0 |" in text
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
