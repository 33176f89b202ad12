"""The document of the kept results is what the kept tables give."""

import pandas as pd
import pytest
import yaml

from scripts.reproduce import front, results
from scripts.sections import begin_of, end_of
from tests.evidence import made
from tests.refusals import refused
from tests.test_documents import MOST_WORDS, sentences, words
from verl_dots.evidence import results as kept_results
from verl_dots.evidence import saved
from verl_dots.evidence.records import Evidence, fingerprint

CURVES = {
    ("one", "grpo", 1): {0: 0.1, 2: 0.2, 4: 0.3}, ("one", "dots_rr", 1): {0: 0.1, 2: 0.3, 4: 0.4},
    ("one", "grpo", 2): {0: 0.1, 2: 0.2, 4: 0.3}, ("one", "dots_rr", 2): {0: 0.1, 2: 0.3, 4: 0.4},
}  # fmt: skip
COMBINATION = {
    "title": "the first", "model": "m", "data": "d", "learning_rate": 1e-4, "batch": 8, "steps": 4, "test_freq": 2,
    "chosen": "by a rule", "stands_for": "DOTS, table 1",
}  # fmt: skip
CLAIMS = [
    {"claim": "half of the steps are saved", "method": "dots_rr", "measure": "saved_steps_100_first",
     "at_least": 0.45, "combination": "one", "source": "a test"},
    {"claim": "nearly all steps are saved", "method": "dots_rr", "measure": "saved_steps_100_first",
     "at_least": 0.9, "combination": "one", "source": "a test"},
]  # fmt: skip


def evidence() -> Evidence:
    """Two seeds of two methods, each with 10 s, 100 tokens and 8 rollouts a step; DOTS has GRPO's accuracy at half."""
    found = made.evidence(CURVES, machine="two cores", commit="abc", started="2026-01-01T00:00:00")
    costs = {"wall_seconds": 10.0, "train_seconds": 10.0, "generated_tokens": 100.0, "generated_rollouts": 8.0}
    steps = found.steps.assign(**{name: found.steps.step * each for name, each in costs.items()})
    prints = [
        fingerprint(steps[(steps.method == run.method) & (steps.seed == run.seed)]) for run in found.runs.itertuples()
    ]
    return Evidence(steps, found.runs.assign(fingerprint=prints), ("one: a run is left out.",))


def table_rows(text: str, heading: str) -> list[list[str]]:
    """Cells of a table of the document, below its head."""
    lines = [line for line in text.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@pytest.fixture
def places(monkeypatch, tmp_path):
    """The folder of matrix and claims, with kept results, and the place of the document."""
    folder = tmp_path / "evidence"
    folder.mkdir()
    matrix = {
        "seeds": [1, 2], "methods": {"grpo": {}, "dots_rr": {}}, "time": {"steps": 2, "rounds": 1},
        "combinations": {"one": COMBINATION, "two": COMBINATION},
    }  # fmt: skip
    for name, content in {"cpu.yaml": matrix, "claims.yaml": CLAIMS, "inputs.yaml": {}}.items():
        (folder / name).write_text(yaml.dump(content, sort_keys=False))
    saved.save(evidence(), folder / "results")
    for name, path in {
        "FOLDER": folder, "KEPT": folder / "results", "DOCUMENT": tmp_path / "RESULTS.md",
        "FRONT": tmp_path / "README.md",
    }.items():  # fmt: skip
        monkeypatch.setattr(results, name, path)
    (tmp_path / "README.md").write_text(f"before\n{begin_of('results', results.SCRIPT)}{end_of('results')}after\n")
    return tmp_path


def test_the_document_is_written_from_the_kept_tables_and_compared_with_them(places):
    assert results.main([]) == 1, "there is no document yet"
    assert results.main(["--write"]) == 0 == results.main([])
    text = (places / "RESULTS.md").read_text()
    assert table_rows(text, "Machines and commits") == [["all 2 methods", "one", "accuracy", "4", "abc", "two cores"]]
    assert "- Machine:" not in text and "- Commit:" not in text
    assert "the first" in text and "two" not in text.split("## Combinations")[1].split("##")[0].split()
    half, nearly = [line for line in text.splitlines() if "steps are saved" in line]
    assert half.rstrip(" |").endswith("met") and nearly.rstrip(" |").endswith("missed")
    assert "50.0" in half and "50.0" in nearly
    assert fingerprint(evidence().run("one", "grpo", 1, "accuracy")) in text
    assert "one: a run is left out." in text
    claims, combinations = text.index("## Claims"), text.index("## Combinations")
    for file in ("evidence/README.md#why-dots-with-replay-misses-its-targets-here", "#why-e3-and-mopps-train-on-80-"):
        assert claims < text.index(file) < combinations
    # Half of the gain is there after one of two steps, and after two of four.
    shares = table_rows(text, "Savings until shares of the baseline's gain, the first")
    rows = [row for row in shares if row[0] == "DOTS + RR"]
    assert [row[1] for row in rows] == ["2 of 2"] * 4 and {row[3] for row in rows} == {"not measured"}
    assert rows[3][2] == "50.0 [50.0, 50.0]" == rows[3][4]
    (places / "RESULTS.md").write_text(text.replace("50.0", "60.0"))
    assert results.main([]) == 1


def test_columns_are_told_below_their_table_and_combinations_are_linked(places):
    results.main(["--write"])
    text = (places / "RESULTS.md").read_text()
    methods = text.split("## All methods\n")[1].split("\n## ")[0]
    for told in ("- At equal tokens: ", "For good: until the accuracy stays.", "- Saves nothing: ", "- Not reached: "):
        assert told in methods
    assert "- Fingerprint: " in text and "- A dash: never reached" in text
    combinations = text.split("## Combinations\n")[1].split("\n## ")[0]
    assert "[The combinations](evidence/README.md#the-combinations)" in combinations
    assert "\n- Ours" not in text, "what combinations ran on has tables of its own"


def test_a_combination_may_stand_for_rows_of_several_papers(places, tmp_path):
    matrix = yaml.safe_load((places / "evidence/cpu.yaml").read_text())
    matrix["combinations"]["one"]["stands_for"] = ["DOTS, table 1, x", "AdaRFT, table 1, y"]
    (places / "evidence/cpu.yaml").write_text(yaml.dump(matrix))
    results.main(["--write"])
    (row,) = table_rows((places / "RESULTS.md").read_text(), "Combinations")
    assert row[-1] == "DOTS, table 1, x; AdaRFT, table 1, y"
    matrix["combinations"]["one"]["stands_for"] = ["DOTS, table 1, x", 2]
    (file := tmp_path / "wrong.yaml").write_text(yaml.dump(matrix))
    with refused("stands_for", "type", "combinations.one.stands_for=", "must be text, or a list of texts"):
        kept_results.read_about(file, None)


def test_the_readme_has_a_row_a_method_and_the_curves(places):
    assert results.main(["--write"]) == 0
    text = (places / "README.md").read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert cells[0] == list(front.SHOWN)
    assert [row[0] for row in cells[2:]] == ["GRPO", "DOTS + RR"] and [row[-1] for row in cells[2:]] == ["2 of 2"] * 2
    # Means of the three validations: (10 + 30 + 40) / 3, and 20 of GRPO.
    assert cells[3][1].startswith("26.67") and cells[3][4].startswith("0.4")
    assert cells[3][2].startswith("6.67") and cells[3][3].startswith("6.67"), "both generate as many tokens"
    assert text.startswith("before\n") and text.endswith("after\n")
    drawn = (places / "evidence/results/accuracy.svg").read_text()
    assert "2 runs a line" in drawn and "generated tokens" in drawn and "seeds a line" not in drawn
    (places / "README.md").write_text(text.replace("26.67", "27.67"))
    assert results.main([]) == 1


def test_ablations_are_left_to_the_document(places, monkeypatch):
    more = made.evidence({("one", "dots_rr_levels", 1): {0: 0.1, 2: 0.2, 4: 0.3}})
    monkeypatch.setattr(results, "read_evidence", lambda folder: Evidence(more.steps, more.runs))
    assert results.main(["--keep", "/home/me/runs", "--write"]) == 0
    assert "levels known" in (places / "RESULTS.md").read_text()
    for shown in (places / "README.md", places / "evidence/results/accuracy.svg"):
        assert "DOTS + RR" in shown.read_text() and "levels known" not in shown.read_text()


def test_the_title_of_the_curves_is_no_wider_than_they_are():
    figure = front.curves_of(evidence())
    figure.draw_without_rendering()
    extent = figure._suptitle.get_window_extent()
    assert figure.get_suptitle().endswith("2 runs a line") and 0 <= extent.x0 < extent.x1 <= figure.bbox.width


def test_its_sentences_are_plain(places):
    results.main(["--write"])
    assert [one for one in sentences((places / "RESULTS.md").read_text()) if words(one) > MOST_WORDS] == []


def test_runs_are_added_to_those_that_are_kept(places, monkeypatch):
    third = made.evidence(
        {("one", "grpo", 3): {0: 0.1, 2: 0.2, 4: 0.3}}, machine="four cores", commit="def", path="/home/me/runs/one/a"
    )
    told = Evidence(third.steps, third.runs, ("one: /home/me/runs/one/b is left out.",))
    monkeypatch.setattr(results, "read_evidence", lambda folder: told)
    assert results.main(["--keep", "/home/me/runs", "--write"]) == 0
    found = saved.load(places / "evidence/results")
    kept = found.runs
    assert kept.path[2] == "one/a" and found.notes == ("one: one/b is left out.",)
    assert [(run.method, run.seed) for run in kept.itertuples()] == [
        ("grpo", 1), ("grpo", 2), ("grpo", 3), ("dots_rr", 1), ("dots_rr", 2),
    ]  # fmt: skip
    assert [row[-3:] for row in table_rows((places / "RESULTS.md").read_text(), "Machines and commits")] == [
        ["4", "abc", "two cores"], ["1", "def", "four cores"],
    ]  # fmt: skip


def test_timing_runs_can_be_taken_out_by_their_name(places, capsys):
    kept = places / "evidence/results"
    timed = made.evidence(
        {("one", name, number): {0: 0.1, 2: 0.2} for name in ("grpo", "dots_rr") for number in (1, 2)}
    )
    timed = Evidence(timed.steps.assign(kind="time"), timed.runs.assign(kind="time"))
    saved.save(results.merged(saved.load(kept), timed), kept)
    assert results.main(["--drop", "dots_rr", "2", "--write"]) == 0 == results.main([])
    left = saved.load(kept).runs
    assert [(run.method, run.seed) for run in left[left.kind == "time"].itertuples()] == [
        ("grpo", 1), ("grpo", 2), ("dots_rr", 1),
    ]  # fmt: skip
    assert (left.kind == "accuracy").sum() == 4, "accuracy runs of seed 2 stay"
    with refused("--drop", "unknown", "dots_rr 2", "dots_rr 1, grpo 1, grpo 2"):
        results.main(["--drop", "dots_rr", "2"])
    with pytest.raises(SystemExit):
        results.main(["--drop", "dots_rr", "second"])
    assert "--drop dots_rr second: the round must be a number" in capsys.readouterr().err


def test_what_times_were_not_compared_is_told(places):
    kept = places / "evidence/results"
    timed = made.evidence({("one", name, 1): {0: 0.1, 2: 0.2} for name in ("grpo", "dots_rr")})
    runs = timed.runs.assign(kind="time", commit=timed.runs.method)
    saved.save(results.merged(saved.load(kept), Evidence(timed.steps.assign(kind="time"), runs)), kept)
    assert results.main(["--write"]) == 0
    told = (places / "RESULTS.md").read_text().split("## Left out")[1]
    assert "one, round 1: times of a step are compared of one commit alone, and dots_rr of dots_rr and grpo" in told


def test_without_kept_results_there_is_no_document(places, monkeypatch):
    monkeypatch.setattr(results, "KEPT", places / "nothing")
    assert results.main([]) == 0
    (places / "RESULTS.md").write_text("left from before")
    assert results.main([]) == 1


def test_the_page_is_made_again_from_the_kept_tables(places, capsys):
    from verl_dots.evidence.__main__ import main

    out, kept = places / "out", places / "evidence/results"
    options = ["--about", str(places / "evidence/cpu.yaml"), "--claims", str(places / "evidence/claims.yaml")]
    assert main([str(kept), "--out", str(out), *options, "--check", str(kept), "--made-by", "bash all.sh"]) == 0
    assert "4 of 4 runs have the kept fingerprint" in capsys.readouterr().out
    for name in ("steps.csv", "runs.csv"):
        assert (out / name).read_bytes() == (kept / name).read_bytes()
    page = (out / "index.html").read_text()
    assert "the first" in page and "bash all.sh" in page and 'class="missed">missed' in page
    assert page.count("<figure>") == len(list((out / "figures").glob("*.png"))) > 0
    changed = evidence()
    steps = changed.steps.assign(accuracy=changed.steps.accuracy + 0.01)
    prints = [
        fingerprint(steps[(steps.method == r.method) & (steps.seed == r.seed)]) for r in changed.runs.itertuples()
    ]
    saved.save(Evidence(steps, changed.runs.assign(fingerprint=prints)), places / "other")
    assert main([str(places / "other"), "--out", str(out), "--check", str(kept)]) == 1
    assert "0 of 4 runs have the kept fingerprint: one/dots_rr-seed1 (accuracy)" in capsys.readouterr().out
    assert isinstance(pd.read_csv(out / "summary.csv"), pd.DataFrame)
