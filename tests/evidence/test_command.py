"""The command line of the evidence."""

import pytest

from tests.evidence.hand import evidence, run
from tests.evidence.test_read import root  # noqa: F401  a fixture
from tests.reporting.conftest import write_run  # noqa: F401  a fixture
from verl_dots.evidence import __main__ as command
from verl_dots.evidence import saved

FILES = ["by_seed.csv", "notes.txt", "rounds.csv", "runs.csv", "steps.csv", "summary.csv"]


def test_tables_are_written_from_runs_and_the_same_from_saved_ones(root, tmp_path, capsys):  # noqa: F811
    root("a", "grpo", 1, {0: 0.2, 4: 0.6})
    base = root("a", "dots", 1, {0: 0.2, 2: 0.6, 4: 0.6})
    # Half of the steps are saved. Accuracy runs tell the time of a step where they may stand in: as long as GRPO's.
    for options, time in (((), ["–", "–"]), (("--stand-in",), ["0.0", "50.0"])):
        assert command.main([str(base), "--out", str(tmp_path / "one"), "--smoothing", "none", *options]) == 0
        printed = capsys.readouterr().out
        row = next(line for line in printed.splitlines() if line.startswith("| dots"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells == ["dots", "1", "1", "60.0", "2.0", "50.0", *time, "50.0"]
    shown = ["figures", "index.html", "tables"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(FILES + shown)
    again = [str(tmp_path / "one"), "--out", str(tmp_path / "two"), "--smoothing", "none", "--stand-in"]
    assert command.main(again) == 0
    tables = [str(path.relative_to(tmp_path / "one")) for path in (tmp_path / "one/tables").iterdir()]
    assert len(tables) > 3
    for name in FILES + tables:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert command.main([str(tmp_path / "one"), "--out", str(tmp_path / "one"), "--smoothing", "monotone"]) == 0


@pytest.mark.parametrize("of", ["", "dots"])
def test_runs_of_a_papers_recipe_stand_in_its_row(root, tmp_path, of):  # noqa: F811
    """As `reproduce.sh --scale gpu` leaves them; half of the steps are saved, and the paper saves 16.67 %."""
    root("dots/math-1.5b_math", "grpo", 1, {0: 0.2, 4: 0.6})
    base = root("dots/math-1.5b_math", "dots_rr", 1, {0: 0.2, 2: 0.6, 4: 0.6})
    words = [str(base / of), "--out", str(tmp_path / "out"), "--smoothing", "none", "--stand-in"]
    assert command.main(words) == 0
    lines = (tmp_path / "out/tables/dots_1.md").read_text().splitlines()
    (row,) = [line for line in lines if "Qwen2.5-Math-1.5B on MATH " in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:4] == ["16.67", "50.00"] and cells[5].startswith("0.00") and cells[7].startswith("50.00")
    assert not [line for line in lines if "another scale" in line]


def test_what_cannot_be_measured_or_written_is_an_error(root, tmp_path, capsys):  # noqa: F811
    base = root("a", "dots", 1)
    assert command.main([str(base), "--out", str(tmp_path / "out")]) == 2
    assert "--baseline" in capsys.readouterr().err and not (tmp_path / "out" / "by_seed.csv").exists()
    (tmp_path / "file").touch()
    assert command.main([str(base), "--out", str(tmp_path / "file")]) == 2
    assert "--out" in capsys.readouterr().err
    assert command.main([str(tmp_path / "none"), "--out", str(tmp_path / "out"), "--baseline", "dots"]) == 2
    assert command.main([str(base), "--out", str(tmp_path / "out"), "--baseline", "dots"]) == 0


@pytest.mark.parametrize(
    ("here", "status", "said"),
    [
        ({("grpo", 1): run({0: 0.2, 10: 0.6})}, 0, "1 of 1 runs have the kept fingerprint."),
        ({("grpo", 1): run({0: 0.2, 10: 0.5})}, 1, "0 of 1 runs have the kept fingerprint: c/grpo-seed1 (accuracy)."),
        # Too few runs for tables; they are compared all the same.
        ({("dots", 1): run({0: 0.2, 10: 0.7})}, 2, "1 of 1 runs have the kept fingerprint."),
    ],
)
def test_runs_are_compared_with_kept_ones_whether_or_not_there_are_tables(tmp_path, capsys, here, status, said):
    kept = {("grpo", 1): run({0: 0.2, 10: 0.6}), ("dots", 1): run({0: 0.2, 10: 0.7})}
    saved.save(evidence(kept), tmp_path / "kept")
    saved.save(evidence(here), tmp_path / "here")
    words = [str(tmp_path / "here"), "--out", str(tmp_path / "out"), "--check", str(tmp_path / "kept")]
    assert command.main(words) == status
    assert said in capsys.readouterr().out


def test_a_claim_of_a_measure_that_there_is_not_is_refused_before_anything_is_written(root, tmp_path, capsys):  # noqa: F811
    root("a", "grpo", 1, {0: 0.2, 4: 0.6})
    words = [str(root("a", "dots", 1)), "--out", str(tmp_path / "out"), "--claims", str(tmp_path / "claims.yaml")]
    claim = "[{claim: it saves, method: dots, measure: MEASURE, at_least: 0.1, source: us}]"
    (tmp_path / "claims.yaml").write_text(claim.replace("MEASURE", "saved_tme_100_first"))
    assert command.main(words) == 2
    assert "there is no measure 'saved_tme_100_first'" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))
    (tmp_path / "claims.yaml").write_text(claim.replace("MEASURE", "saved_steps_100_first"))
    assert command.main(words) == 0
    assert command.main([*words, "--metric", "seed"]) == 2 and "--metric seed" in capsys.readouterr().err
