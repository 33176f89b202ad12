"""The papers' figures: each has a source, and those that belong together agree."""

import re
from pathlib import Path

import pytest
import yaml

from verl_dots.evidence import papers
from verl_dots.evidence.cells import Figure, Missing, Why
from verl_dots.evidence.ours import MEASURES
from verl_dots.evidence.results import read_about

RECIPES = Path(__file__).parents[2] / "recipes"
TABLES = papers.tables()
every_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
# Rows whose own average is not that of the six accuracies beside it, as printed.
NOT_THEIR_MEAN = {
    ("adarft/math-1.5b_easy", "adarft"): 39.65,
    ("adarft/7b_difficult", "adarft"): 46.50,
    ("adarft/7b_difficult", "ppo"): 44.83,
    ("adarft/7b_easy", "ppo"): 45.24,
}


def values(row: papers.PaperRow) -> list[float | None]:
    return [cell.value if isinstance(cell, Figure) else None for cell in row.cells]


def of(name: str) -> dict[tuple[str, str], list[float | None]]:
    return {(row.setting, row.method): values(row) for row in TABLES[name].rows}


@every_table
def test_every_figure_has_a_source(table):
    assert re.fullmatch(r"\d{4}\.\d{5}", table.paper.arxiv)
    assert all((table.paper.title, table.paper.read, table.measured, table.hardware, table.number, table.rows))
    assert table.paper.arxiv in table.source and f"table {table.number}." in table.source


def test_the_tables_that_are_repeated():
    numbers = {}
    for table in TABLES.values():
        numbers.setdefault(table.paper.arxiv, []).append(table.number)
    assert numbers == {
        "2506.05316": [1, 2, 8],
        "2504.05520": [1, 2],
        "2505.18573": [1, 2, 3],
        "2505.17218": [1, 3, 4, 5, 6],
    }


@every_table
def test_a_row_stands_once_and_names_a_recipe(table):
    keys = [(row.setting, row.method) for row in table.rows]
    assert len(set(keys)) == len(keys)
    for row in table.rows:
        assert (RECIPES / f"{row.setting.removesuffix('_code')}.sh").is_file()
        assert row.model and row.name


@every_table
def test_every_column_is_measured_of_our_runs(table):
    for column in (*table.columns, *table.ours_only):
        assert column.ours in MEASURES or re.fullmatch(r"(accuracy|pass@\d+)/\w+", column.ours)


def test_total_time_saved_follows_from_steps_and_time_per_step():
    for row in TABLES["dots_1"].rows:
        steps, per_step, total = (value / 100 for value in values(row))
        assert 1 - (1 - steps) * (1 - per_step) == pytest.approx(total, abs=0.002)


def test_rho_is_the_same_in_both_of_its_tables():
    assert {key: cells[1] for key, cells in of("dots_8").items()} == {
        key: cells[0] for key, cells in of("dots_2").items()
    }


def test_extra_steps_share_and_seconds_follow_from_one_another():
    for row in TABLES["adarft_1"].rows:
        _, seconds, share, extra, time = values(row)
        steps = 60 if row.share is None else 100 * row.share
        assert 100 * extra / steps == pytest.approx(share, abs=0.051)
        assert extra * seconds == pytest.approx(time, abs=0.011)


def test_final_accuracies_are_the_means_of_the_benchmarks():
    final = {key: cells[0] for key, cells in of("adarft_1").items()}
    for key, (*benchmarks, average) in of("adarft_2").items():
        assert average == final[key]
        expected = NOT_THEIR_MEAN.get(key, average)
        assert sum(benchmarks) / 6 == pytest.approx(expected, abs=0.011)


@pytest.mark.parametrize("name", ["e3_1", "e3_2", "e3_3"])
def test_averages_of_pass_at_k_are_the_means_of_the_benchmarks(name):
    for cells in of(name).values():
        for place in (0, 1):
            assert sum(cells[place:8:2]) / 4 == pytest.approx(cells[8 + place], abs=0.011)


def test_rows_that_several_tables_have_are_alike():
    assert of("e3_2")[("e3/1.5b", "grpo")] == of("e3_1")[("e3/1.5b", "grpo")]
    assert of("e3_3")[("e3/7b", "e3")] == of("e3_1")[("e3/7b", "e3")]
    assert of("e3_3")[("e3/1.5b", "annealing")] == of("e3_2")[("e3/1.5b", "annealing")]
    for setting in ("dash/0.5b", "dash/1.5b", "dash/3b"):
        assert of("dash_6")[(setting, "dash_kl")][1:] == of("dash_1")[(setting, "dash_kl")]
    assert of("dash_3")[("dash/0.5b", "dash_kl")] == of("dash_6")[("dash/0.5b", "dash_kl")] == [6.6, 27.2, 31.1]


@pytest.mark.parametrize(
    ("words", "method", "first"),
    [
        ("DOTS, table 1, Qwen2.5-Math-1.5B on ORZ", "dots_rr", 13.33),
        ("DOTS, table 2, Qwen2.5-Math-1.5B on ORZ", "dots_rr", 13.33),
        ("DOTS, table 1, Qwen2.5-Math-1.5B on ORZ", "dots", None),
        ("DOTS, table 1, Qwen2.5-Math-1.5B", "dots_rr", None),
        ("AdaRFT, table 1, Qwen2.5-Math-1.5B on ORZ", "dots_rr", None),
        ("DOTS", "dots_rr", None),
        ("", "dots_rr", None),
    ],
)
def test_a_row_is_named_by_paper_and_model(words, method, first):
    found = TABLES["dots_1"].row_named(words, method)
    assert (found and found.cells[0].value) == first


def test_ours_of_another_name_stands_for_the_papers_method():
    words = "AdaRFT, table 1, Qwen2.5-Math-1.5B, uniform"
    assert TABLES["adarft_1"].row_named(words, "grpo").name == "PPO"
    assert TABLES["adarft_1"].row_named(words, "adarft").name == "AdaRFT"
    assert TABLES["dash_3"].row_named("DASH, table 1, Qwen2.5-0.5B", "grpo").name == "DASH without filter"
    assert TABLES["dash_6"].row_named("DASH, table 1, Qwen2.5-0.5B", "dash").name == "DASH"


@every_table
def test_what_stands_for_a_method_is_listed_and_the_method_is_the_papers(table):
    assert set(table.stands) <= set(table.own) and set(table.stands.values()) <= {row.method for row in table.rows}


def test_every_combination_of_the_testbed_stands_for_a_row():
    about = read_about(RECIPES / "evidence/cpu.yaml", None).combinations
    for name in ("dots_1", "dots_2", "dots_8"):
        found = [TABLES[name].row_named(of.rows[0], "dots_rr") for of in about.values()]
        assert None not in found and len({row.setting for row in found}) == 6
    settings = {
        name: [
            row.setting for of in about.values() for words in of.rows if (row := TABLES[name].row_named(words, method))
        ]
        for name, method in {"adarft_1": "grpo", "e3_1": "e3", "dash_1": "dash", "dash_5": "dash"}.items()
    }
    assert settings == {
        "adarft_1": ["adarft/math-1.5b_uniform", "adarft/math-1.5b_difficult", "adarft/math-1.5b_easy",
                     "adarft/7b_uniform", "adarft/7b_difficult"],
        "e3_1": ["e3/7b", "e3/1.5b"], "dash_1": ["dash/0.5b", "dash/1.5b"], "dash_5": ["dash/0.5b", "dash/1.5b"],
    }  # fmt: skip
    every = {words for of in about.values() for words in of.rows}
    named = {
        words for words in every for table in TABLES.values() for method in table.own if table.row_named(words, method)
    }
    assert every == named, "each names a row that there is"


def test_the_recipes_documents_say_the_same():
    scripts = {
        name: paper.get("scripts")
        for name, paper in yaml.safe_load((RECIPES / "paper_settings.yaml").read_text()).items()
    }
    for script, row in scripts["dots"]["rows"].items():
        steps, per_step, total, _ = map(str, row["results"])
        assert of("dots_1")[(f"dots/{script}", "dots_rr")] == [float(steps), float(per_step), float(total)]
    for script, row in scripts["e3"]["rows"].items():
        grpo = row["results"][scripts["e3"]["results"].index("grpo")]
        assert of("e3_1")[(f"e3/{script}", "grpo")][8:] == [float(share) for share in grpo.split("/")]


def test_a_figure_that_the_paper_lacks_says_why():
    row = TABLES["dash_3"].rows[0]
    assert row.cells[0] == Missing(Why.NOT_GIVEN, "a model that is not trained takes no time")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("figures: [1.0]", "has 1 figures, not 2"),
        ("figures: [1.0, null]", "has a null; say `why`"),
    ],
)
def test_a_broken_row_is_refused(tmp_path, broken, message):
    file = tmp_path / "papers.yaml"
    file.write_text(
        f"""
papers: {{one: {{title: One, arxiv: "1234.56789", read: here}}}}
tables:
  first:
    {{paper: one, number: 1, title: t, measured: m, hardware: h, differs: d, own: [],
     columns: [{{heading: a, ours: rho}}, {{heading: b, ours: rho}}],
     rows: [{{setting: s, method: grpo, model: m, name: n, {broken}}}]}}
"""
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        papers.tables(file)
