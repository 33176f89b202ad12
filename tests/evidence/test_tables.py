"""The papers' tables with ours beside them: rows of either alone, failed claims, and the files."""

import numpy as np
import pytest

from tests.evidence import made
from tests.evidence.latex import unbalanced
from verl_dots.evidence import papers, rendering
from verl_dots.evidence.cells import Figure, Missing, Section, Table, Why
from verl_dots.evidence.combinations import Combination, described
from verl_dots.evidence.measuring import Measured
from verl_dots.evidence.ours import Ours
from verl_dots.evidence.overview import overview
from verl_dots.evidence.tables import HEADINGS, IN_PLACE, all_tables, paper_table, write_tables

CURVE = {0: 0.5, 10: 0.7}
NAN = np.nan
NOT_ALL = (NAN, NAN, NAN, 3, 2)  # two of three seeds have a value


def ours(figures, source="time", evaluations=None, **of_run) -> Ours:
    """Three seeds of each (combination, method), with these measures in the summary."""
    runs = {(*key, seed): CURVE for key in figures for seed in (1, 2, 3)}
    evidence = made.evidence(runs, **of_run)
    return Ours(evidence, Measured(made.by_seed(source, *runs), made.summary(figures)), evaluations or {})


def table_of(name: str, known: Ours, **given: Combination) -> Table:
    return paper_table(name, known, described(known.evidence, given))


def row(table: Table, label: str, method: str, place: int = 0) -> dict[str, object]:
    """Cells by their column's title, of one row of the section at a place."""
    (found,) = [cells for cells in table.sections[place].rows if cells[:2] == (label, method)]
    return {column.title: cell for column, cell in zip(table.columns, found, strict=True)}


DASH_3 = r"""### DASH, table 3: GRPO, DASH and DASH without its filter, mathematics

| model and data                              |              method |                                       time, paper (h) |       time, ours (h) | MATH500, paper (%) | MATH500, ours (%) | GSM8K, paper (%) | GSM8K, ours (%) | own data, final accuracy, ours (%) |
| :------------------------------------------ | ------------------: | ----------------------------------------------------: | -------------------: | -----------------: | ----------------: | ---------------: | --------------: | ---------------------------------: |
| **DASH: Huang et al., table 3**             |                     |                                                       |                      |                    |                   |                  |                 |                                    |
| Qwen2.5-0.5B                                |     before training | not given (a model that is not trained takes no time) |         not measured |               22.6 |      not measured |             30.3 |    not measured |                  50.0 [50.0, 50.0] |
| Qwen2.5-0.5B                                |                GRPO |                                                  38.9 | 1.000 [0.500, 1.500] |               27.6 |      not measured |             32.8 |    not measured |                       not recorded |
| Qwen2.5-0.5B                                | DASH without filter |                                                   6.9 |              not run |               27.4 |           not run |             31.6 |         not run |                            not run |
| Qwen2.5-0.5B                                |        DASH with KL |                                                   6.6 |              not run |               27.2 |           not run |             31.1 |         not run |                            not run |
| **Ours: the same measure at another scale** |                     |                                                       |                      |                    |                   |                  |                 |                                    |
| testbed                                     |                DASH |                                                     – |         not measured |                  – |      not measured |                – |    not measured |                       not recorded |
"""  # noqa: E501


def test_a_table_to_the_letter():
    steps = {"steps": (30.0, 30.0, 30.0, 3, 3)}  # of 120 s each: 1 h
    timed = {**steps, "step_seconds": (120.0, 60.0, 180.0, 3, 3)}
    known = ours({("run", "grpo"): timed, ("cpu", "dash"): steps}, model="tiny", machine="2 cores")
    table = table_of("dash_3", known, run=Combination(paper="dash/0.5b"), cpu=Combination("testbed", "", "a row"))
    text = rendering.markdown(table)
    assert text.partition("\n- ")[0] == DASH_3
    assert text.splitlines()[-2:] == [
        "- Ours, testbed; model tiny; data not recorded; machine 2 cores; stands for a row.",
        "- Ours, run; model tiny; data not recorded; machine 2 cores.",
    ]


@pytest.mark.parametrize("name", papers.tables())
def test_rows_that_were_not_run_have_the_papers_figures(name):
    table = table_of(name, ours({}))
    (section,) = table.sections
    for cells, paper in zip(section.rows, papers.tables()[name].rows, strict=True):
        assert cells[:2] == (paper.model, paper.name)
        pairs = len(cells) - len(papers.tables()[name].ours_only)
        assert cells[2:pairs:2] == paper.cells
        assert {*cells[3:pairs:2], *cells[pairs:]} == {Missing(Why.NOT_RUN)}
    assert "Nothing of this table was run." in table.notes


def test_tables_of_seconds_tell_that_rounds_differ_in_speed():
    names = ("adarft_1", "dash_3", "dash_6", "dots_1", "dash_1")
    told = [name for name in names if any("other rounds" in note for note in table_of(name, ours({})).notes)]
    assert told == ["adarft_1", "dash_3", "dash_6"]


def test_a_combination_named_like_a_recipe_repeats_it():
    table = table_of(
        "dots_1", ours({("dots/3b_deepmath", "dots_rr"): {"saved_steps_100_first": (0.5, 0.4, 0.6, 3, 3)}})
    )
    found = row(table, "Qwen2.5-3B on DeepMath", "DOTS+RR")
    assert found["steps saved, paper (%)"] == Figure(56.67)
    assert found["steps saved, ours (%)"] == Figure(50.0, 40.0, 60.0, seeds=3)
    assert row(table, "Qwen2.5-3B on DeepScaleR", "DOTS+RR")["steps saved, ours (%)"] == Missing(Why.NOT_RUN)
    assert len(table.sections) == 1


def test_ours_without_a_row_in_the_paper_stand_below():
    figures = {("dots/3b_deepmath", "dots"): {}, ("e3/7b", "dots_rr"): {}, ("cpu", "dots_rr"): {}, ("cpu", "e3"): {}}
    table = table_of("dots_1", ours(figures))
    assert [section.heading for section in table.sections[1:]] == list(HEADINGS.values())
    assert [[cells[:2] for cells in section.rows] for section in table.sections[1:]] == [
        [("dots/3b_deepmath", "DOTS")],
        [("e3/7b", "DOTS + RR")],
        [("cpu", "DOTS + RR")],
    ]
    assert row(table, "cpu", "DOTS + RR", 3)["steps saved, paper (%)"] == Missing(Why.NO_ROW)


def test_ours_in_place_of_a_row_have_the_papers_figures_beside_them():
    saved = {"saved_steps_100_first": (0.5, 0.4, 0.6, 3, 3)}
    known = ours({("cpu", "dots_rr"): saved, ("cpu", "dots"): {}, ("two", "dots_rr"): {}})
    given = {
        "cpu": Combination("tiny", "", "DOTS, table 1, Qwen2.5-3B on DeepMath"),
        "two": Combination("", "", "DOTS"),
    }
    table = table_of("dots_1", known, **given)
    assert [section.heading for section in table.sections] == [
        IN_PLACE, "DOTS and rollout replay: Sun et al., NeurIPS 2025, table 1", HEADINGS["other scale"],
    ]  # fmt: skip
    found = row(table, "tiny, for Qwen2.5-3B on DeepMath", "DOTS + RR")
    assert found["steps saved, paper (%)"] == Figure(56.67, remark="other model and data")
    assert found["total time saved, paper (%)"] == Figure(61.65, remark="other model and data")
    assert found["steps saved, ours (%)"] == Figure(50.0, 40.0, 60.0, seeds=3)
    models = [cells[0] for cells in table.sections[1].rows]
    assert len(models) == 5 and "Qwen2.5-3B on DeepMath" not in models, "the rest of the paper's rows stays"
    # The paper has no row of DOTS alone, and "DOTS" names none.
    assert [cells[:2] for cells in table.sections[2].rows] == [("tiny", "DOTS"), ("two", "DOTS + RR")]
    assert {cells[2] for cells in table.sections[2].rows} == {Missing(Why.NO_ROW)}
    rho = row(table_of("dots_2", known, **given), "tiny, for Qwen2.5-3B on DeepMath", "DOTS + RR")
    assert rho["rho, paper"] == Figure(0.7029, spread=0.0082, remark="other model and data")


def test_a_combination_stands_for_a_row_of_each_of_several_papers():
    """AdaRFT's smoothed accuracy is 0.25 after 10 steps, and GRPO's 0.2; so it has AdaRFT's of step 8 at step 10."""
    curves = {"adarft": {0: 0.0, 10: 0.5, 20: 0.6}, "grpo": {0: 0.0, 10: 0.4, 20: 0.64}}
    names = {"small": "Qwen2.5-Math-1.5B, uniform", "large": "Qwen2.5-7B, uniform"}
    runs = {(name, method, 1): curve for name in names for method, curve in curves.items()}
    keys = [key[:2] for key in runs]
    measured = Measured(made.by_seed("time", *runs), made.summary({key: {} for key in keys}))
    known = Ours(made.evidence(runs), measured)
    given = {
        name: Combination(stands_for=("DOTS, table 1, Qwen2.5-3B on DeepMath", f"AdaRFT, table 1, {model}"))
        for name, model in names.items()
    }
    table = table_of("adarft_1", known, **given)
    assert table.sections[0].heading == IN_PLACE and len(table.sections) == 2
    # Of the smaller model it is the accuracy at 60 % of the 20 steps: 3 more than 12. Of the larger at 40 %: 2 than 8.
    for name, paper, extra, share in (("small", 34, 3.0, 25.0), ("large", 13, 2.0, 25.0)):
        found = row(table, f"{name}, for {names[name]}", "GRPO")
        assert found["extra steps, paper"] == Figure(paper, remark="PPO, other model and data")
        assert found["extra steps, ours"].value == pytest.approx(extra)
        assert found["extra steps, ours (%)"].value == pytest.approx(share)
        own = row(table, f"{name}, for {names[name]}", "AdaRFT")
        assert own["extra steps, paper"] == Figure(0, remark="other model and data")
    assert not [
        cells for cells in table.sections[1].rows if cells[0] in names.values() and cells[1] in ("PPO", "AdaRFT")
    ]
    assert table.notes[-2].endswith(
        "stands for DOTS, table 1, Qwen2.5-3B on DeepMath and for AdaRFT, table 1, Qwen2.5-7B, uniform."
    )


def test_columns_of_ours_alone_have_the_accuracy_on_its_own_data():
    accuracies = {"first_accuracy": (0.3, 0.2, 0.4, 3, 3), "final_accuracy": (0.6, 0.5, 0.7, 3, 3)}
    timed = {"steps": (30.0, 30.0, 30.0, 3, 3), "step_seconds": (4.0, 3.0, 5.0, 3, 3)}  # 2 minutes
    known = ours({("cpu", "grpo"): accuracies, ("cpu", "dash"): accuracies | timed})
    table = table_of("dash_1", known, cpu=Combination(stands_for="DASH, table 1, Qwen2.5-0.5B"))
    found = row(table, "cpu, for Qwen2.5-0.5B", "DASH")
    assert found["MATH500, paper (%)"] == Figure(27.2, remark="DASH with KL, other model and data")
    assert found["MATH500, ours (%)"] == Missing(Why.NOT_MEASURED)
    assert found["own data, final accuracy, ours (%)"] == Figure(60.0, 50.0, 70.0, seeds=3)
    assert found["own data, time, ours (min)"] == Figure(2.0, 1.5, 2.5, seeds=3)
    before = row(table, "cpu, for Qwen2.5-0.5B", "before training")
    untrained = 100 * CURVE[0]  # of GRPO's runs at step 0
    assert before["own data, final accuracy, ours (%)"] == Figure(untrained, untrained, untrained, seeds=3)


def test_failed_claims_are_shown():
    figures = {
        "saved_steps_100_first": (-0.1, -0.2, 0.05, 3, 3),
        "saved_per_step": (0.1, -0.05, 0.3, 3, 3),
        "saved_time_100_first": (0.0, 0.0, 0.0, 3, 3),
        "steps_to_100_first": (20, 18, 22, 3, 3),
    }
    found = row(table_of("dots_1", ours({("cpu", "dots_rr"): figures})), "cpu", "DOTS + RR", 1)
    assert found["steps saved, ours (%)"] == Figure(-10.0, -20.0, 5.0, seeds=3, remark="unclear")
    assert found["time per step saved, ours (%)"] == Figure(10.0, -5.0, 30.0, seeds=3, remark="unclear")
    assert found["total time saved, ours (%)"] == Figure(0.0, 0.0, 0.0, seeds=3, remark="saves nothing")


def test_not_reached_not_measured_and_not_recorded_are_told_apart():
    reached = {
        "steps_to_100_first": (20, 18, 22, 3, 3), "difference": (0.02, -0.01, 0.05, 3, 3),
        "generated_tokens": (39_500, 39_000, 40_000, 3, 3), "saved_steps_100_first": (0.1, 0.05, 0.2, 3, 3),
    }  # fmt: skip
    missed = {
        "steps_to_100_first": NOT_ALL, "saved_steps_100_first": NOT_ALL, "saved_per_step": (0.1, 0.05, 0.2, 3, 3),
        "saved_tokens_100_first": NOT_ALL, "bound_tokens_100_first": (0.3, 0.2, 0.4, 3, 3),
        "bound_steps_100_first": (0.2, 0.1, 0.3, 3, 3),
    }  # fmt: skip
    known = ours({("cpu", "grpo"): {}, ("cpu", "dots"): reached, ("cpu", "dots_rr"): missed})
    table = overview(known, {})
    columns = [column.heading for column in table.columns]
    cells = {line[0]: dict(zip(columns, line, strict=True)) for line in table.sections[0].rows}
    assert cells["DOTS"]["reached"] == "3 of 3" and cells["DOTS + RR"]["reached"] == "2 of 3"
    assert cells["DOTS"]["total time saved"] == Missing(Why.NOT_MEASURED)
    assert cells["DOTS"]["tokens saved"] == Missing(Why.NOT_RECORDED)
    least = Figure(20.0, 10.0, 30.0, seeds=3, remark="2 of 3 seeds", at_most=True)
    assert cells["DOTS + RR"]["steps saved"] == least
    assert cells["DOTS + RR"]["total time saved"] == Missing(Why.NOT_REACHED, "2 of 3 seeds")
    bound = Figure(30.0, 20.0, 40.0, seeds=3, remark="2 of 3 seeds", at_most=True)
    assert cells["DOTS + RR"]["tokens saved"] == bound
    assert cells["DOTS + RR"]["time per step saved"] == Figure(10.0, 5.0, 20.0, seeds=3)
    assert cells["GRPO"]["steps saved"] == "baseline" == cells["GRPO"]["above GRPO"]
    assert cells["DOTS"]["above GRPO"] == Figure(2.0, -1.0, 5.0, seeds=3)
    assert cells["DOTS"]["generated tokens"] == Figure(39.5, 39.0, 40.0, seeds=3)


def test_overview_has_a_mean_of_combinations_where_the_summary_has_one():
    known = ours({("b", "dots"): {}, ("a", "grpo"): {}, ("a", "e3"): {}})
    summary = made.summary(
        {
            ("a", "grpo"): {},
            ("mean of combinations", "dots"): {"final_accuracy": (0.5, 0.4, 0.6, 3, 3)},
            ("mean of combinations", "e3"): {"final_accuracy": (NAN, NAN, NAN, 3, 3)},  # b has none
        }
    )
    table = overview(Ours(known.evidence, Measured(known.by_seed, summary)), {"a": Combination("first")})
    assert [section.heading for section in table.sections] == ["first", "b", "mean of combinations, without b"]
    assert [cells[0] for cells in table.sections[0].rows] == ["GRPO", "E3"]
    assert [row[0] for row in table.sections[2].rows] == ["DOTS"]
    assert table.sections[2].rows[0][2] == Figure(50.0, 40.0, 60.0, seeds=3)
    apart = {"a": Combination("first", apart=True)}
    table = overview(Ours(known.evidence, Measured(known.by_seed, summary)), apart)
    assert table.sections[2].heading == "mean of combinations, without first, b"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpu": Combination(paper="dots/9b")}, "'cpu' repeats 'dots/9b', which no table has; choose of adarft/7b_"),
        ({"a": Combination(paper="e3/7b"), "b": Combination(paper="e3/7b")}, "'b' and 'a' both repeat 'e3/7b'"),
    ],
)
def test_a_combination_repeats_one_recipe_that_there_is(given, message):
    with pytest.raises(ValueError, match=message):
        all_tables(ours({}), given)


def test_written_files(tmp_path):
    known = ours({("cpu", "grpo"): {}, ("cpu", "dots_rr"): {"final_accuracy": (0.7, 0.6, 0.8, 3, 3)}}, data="a_b & c")
    arguments = (known.evidence, known.measured, tmp_path / "made")
    paths = write_tables(*arguments)
    names = ["overview", "shares", *papers.tables()]  # no parts of steps
    expected = {f"{name}.{kind}" for name in names for kind in ("md", "tex", "csv")} | {"tables.tex"}
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "made").iterdir()} == expected
    before = {path: path.read_bytes() for path in paths}
    assert write_tables(*arguments) == paths
    assert {path: path.read_bytes() for path in paths} == before
    assert all(unbalanced((tmp_path / "made" / f"{name}.tex").read_text()) == "" for name in names)


def test_a_table_has_its_heading_and_the_source():
    table = table_of("adarft_1", ours({}))
    assert table.title == (
        "AdaRFT, table 1: Final accuracy, time of a step, and what baselines need to reach AdaRFT's accuracy"
    )
    assert "AdaRFT: Shi et al., arXiv 2504.05520, table 1." in table.notes[0]
    assert isinstance(table.sections[0], Section) and table.sections[0].heading == "AdaRFT: Shi et al., table 1"
