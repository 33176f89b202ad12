"""Tables and figure of what each change brings, from kept runs: figures by hand."""

from types import SimpleNamespace

import pytest
import yaml

from scripts import savings_figure, savings_results
from scripts.sections import begin_of, end_of, status_of
from tests.evidence import made
from verl_dots.evidence import saved
from verl_dots.evidence.curves import smoothed_curves
from verl_dots.evidence.records import Evidence
from verl_dots.reporting.validation_curves import smooth

# Trailing means of three: GRPO 10, 15, 20, 30 %; `half` 10, 20, 28.3, 43.3, and 10, 17.5, 20, 25 with seed 2.
GRPO = {0: 0.1, 2: 0.2, 4: 0.3, 6: 0.4}
FAST, LOW = {0: 0.1, 2: 0.3, 4: 0.45, 6: 0.55}, {0: 0.1, 2: 0.25, 4: 0.25, 6: 0.25}
COMBINATION = {
    "title": "the first", "model": "m", "data": "d", "learning_rate": 1e-4, "batch": 8, "steps": 6, "test_freq": 2,
    "chosen": "by a rule", "stands_for": "none",
}  # fmt: skip


def evidence(kind: str, seconds: dict[str, float], *runs: tuple[str, int, dict[int, float]]) -> Evidence:
    """Runs of a method and seed, with 100 tokens a step, `half` with 50."""
    found = made.evidence({("one", method, seed): curve for method, seed, curve in runs})
    steps, each = found.steps.assign(kind=kind), found.steps.method.map({"grpo": 100.0, "half": 50.0, "quarter": 25.0})
    steps = steps.assign(generated_tokens=each * steps.step, train_seconds=steps.method.map(seconds) * steps.step)
    steps["timing_s/step"] = steps.method.map(seconds)
    steps["training/effective_groups"] = 0.5
    steps["selection/effective_groups"] = steps.method.map({"quarter": 0.25})
    steps["filter/share"] = steps.method.map({"half": 0.375, "quarter": 0.375})
    return Evidence(steps, found.runs.assign(kind=kind))


@pytest.fixture
def places(monkeypatch, tmp_path):
    """GRPO kept with the papers' runs, two changes with the savings'."""
    matrix = {
        "seeds": [1, 2], "time": {"steps": 2, "rounds": 1}, "combinations": {"one": COMBINATION},
        "methods": {"grpo": {}, "half": {"recipe": "grpo"}, "quarter": {"recipe": "half"}, "later": {}},
    }  # fmt: skip
    for name, content in {"savings.yaml": matrix, "inputs.yaml": {}}.items():
        (tmp_path / name).write_text(yaml.dump(content, sort_keys=False))
    unknown = dict.fromkeys(("grpo", "half", "quarter"), float("nan"))
    saved.save(evidence("accuracy", unknown, ("grpo", 1, GRPO), ("grpo", 2, GRPO)), tmp_path / "results")
    changes = [("half", 1, FAST), ("half", 2, LOW), ("quarter", 1, GRPO), ("quarter", 2, GRPO)]
    saved.save(evidence("accuracy", unknown, *changes), tmp_path / "savings")
    for name, path in {
        "MATRIX": "savings.yaml", "RESULTS": "results", "KEPT": "savings", "DOCUMENT": "SAVINGS.md",
        "FIGURE": "savings.svg",
    }.items():  # fmt: skip
        monkeypatch.setattr(savings_results, name, tmp_path / path)
    marks = begin_of("savings", savings_results.SCRIPT) + "old\n" + end_of("savings")
    (tmp_path / "SAVINGS.md").write_text(f"before\n{marks}after\n")
    return tmp_path


def rows_of(document) -> dict[str, list[list[str]]]:
    """Method -> its cells in each table."""
    found = {}
    for line in document.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found.setdefault(cells[0].strip("`"), []).append(cells[1:])
    return found


def test_each_change_is_beside_what_it_changes_and_beside_grpo(places):
    assert savings_results.main([]) == 1, "the document has other tables"
    assert savings_results.main(["--write"]) == 0 == savings_results.main([])
    text = (places / "SAVINGS.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "later" not in text
    rows = rows_of(places / "SAVINGS.md")
    # 43.3 and 25 % against 30.
    base, final, points, better, above, at_tokens, *shares = rows["half"][0]
    assert (base, final, points, better) == ("`grpo`", "34.2 [25.0, 43.3]", "4.2 [-5.0, 13.3]", "1 of 2")
    # With 300 tokens of 600 GRPO has 17.5 %.
    assert above == points and at_tokens == "16.7 [7.5, 25.8]"
    # Three eighths of the rows left the update.
    assert shares == ["50", "–", "62"] and rows["quarter"][0][-2:] == ["25", "62"]
    assert rows["grpo"][0][-3:] == ["50", "–", "–"]
    assert "- Effective among the selected: " in text and "- Effective groups: " in text
    assert rows["quarter"][0][:4] == ["`half`", "30.0 [30.0, 30.0]", "-4.2 [-13.3, 5.0]", "1 of 2"]


def test_the_way_to_grpos_accuracy_is_that_of_the_mean_curves(places):
    savings_results.main(["--write"])
    rows = rows_of(places / "SAVINGS.md")
    # The mean of `half` is 10, 18.75, 24.17, 34.17: 25 % comes after 4.17 steps of GRPO's 5, 30 % after 5.17 of 6.
    tokens, time, *to_75, steps, time_to_it, tokens_to_it, reached = rows["half"][1]
    assert (tokens, time, reached) == ("0.50", "not measured", "1 of 2")
    assert to_75 == ["0.83", "not measured", "0.42"]
    assert (steps, time_to_it, tokens_to_it) == ("0.86", "not measured", "0.43")
    assert rows["grpo"][1][2:5] == ["1.00", "not measured", "1.00"]


def test_timing_runs_of_the_same_round_tell_the_time(places, monkeypatch):
    seconds = {"grpo": 2.0, "half": 1.0, "quarter": 1.5}
    timed = evidence("time", seconds, ("grpo", 1, GRPO), ("half", 1, GRPO), ("quarter", 1, GRPO))
    monkeypatch.setattr(savings_results, "read_evidence", lambda folder: timed)
    assert savings_results.main(["--keep", "/home/me/runs", "--write"]) == 0
    rows = rows_of(places / "SAVINGS.md")
    assert rows["half"][1][1] == "0.50" and rows["half"][1][3] == "0.42"
    assert len(saved.load(places / "savings").runs) == 7, "the accuracy runs stay"
    slower = evidence("time", {**seconds, "half": 1.2}, ("grpo", 2, GRPO), ("half", 2, GRPO))
    monkeypatch.setattr(savings_results, "read_evidence", lambda folder: slower)
    savings_results.main(["--keep", "/home/me/runs", "--write"])
    rows = rows_of(places / "SAVINGS.md")
    assert rows["half"][1][1] == "0.55 [0.50, 0.60]" and rows["half"][1][3] == "0.46", "0.83 of the steps"
    assert rows["quarter"][1][1] == "0.75" and rows["grpo"][1][1] == "1.00"


def test_times_of_other_rounds_are_not_compared(places):
    """Timing runs of the papers' comparison are of another sitting."""
    kept = saved.load(places / "results")
    timed = evidence("time", {"grpo": 2.0, "half": 1.0, "quarter": 1.0}, ("grpo", 1, GRPO), ("half", 1, GRPO))
    saved.save(savings_results.merged(kept, timed), places / "results")
    savings_results.main(["--write"])
    assert rows_of(places / "SAVINGS.md")["half"][1][1] == "not measured"


def test_what_does_not_get_there_is_not_reached(places):
    found = saved.load(places / "savings")
    steps = found.steps.assign(accuracy=found.steps.accuracy.where(found.steps.method != "quarter", 0.2))
    saved.save(Evidence(steps, found.runs), places / "savings")
    savings_results.main(["--write"])
    assert rows_of(places / "SAVINGS.md")["quarter"][1][2:] == ["not reached"] * 6 + ["0 of 2"]


def test_the_figure_has_a_line_a_change(places):
    savings_results.main(["--write"])
    drawn = (places / "savings.svg").read_text()
    assert "half" in drawn and "at equal generated tokens" in drawn and "95 % intervals" in drawn
    matrix = savings_results.read_matrix(savings_results.MATRIX)
    measured = savings_results.measure(savings_results.evidence_of(matrix), stand_in=False)
    figure = savings_figure.figure_of(measured.summary, "one", ["grpo", "half", "quarter"])
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["half", "quarter"]
    means = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert means == pytest.approx([25 / 6, 0])


def test_of_several_combinations_the_mean_is_shown():
    assert savings_results.where(SimpleNamespace(combinations={"one": 1, "two": 2})) == "mean of combinations"


def test_runs_that_are_not_there_are_refused_in_a_sentence(tmp_path, capsys):
    found = status_of(lambda: savings_results.main(["--keep", str(tmp_path / "none")]))
    assert found == 2 and "none is not a folder" in " ".join(capsys.readouterr().err.split())


def test_a_method_of_one_seed_is_held_against_grpo_of_that_seed():
    unknown = dict.fromkeys(("grpo", "half"), float("nan"))
    known = evidence("accuracy", unknown, ("grpo", 1, GRPO), ("grpo", 2, LOW), ("half", 1, FAST))
    own, of_grpo = savings_results.mean_curves(smoothed_curves(known), "half")
    for found, curve in ((own, FAST), (of_grpo, GRPO)):
        assert found.accuracy.tolist() == pytest.approx(smooth(list(curve.values())).tolist())
