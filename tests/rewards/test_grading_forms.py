"""The differential test: answers against themselves in equal forms, which score, and in changed ones, which do not."""

import json
import random
from pathlib import Path

import pytest

from scripts.answer_shapes import core, differs, members, number
from scripts.changed_forms import CHANGED
from scripts.equal_forms import EQUAL
from scripts.grading_rates import main, rates_of
from scripts.grading_sweep import FILES, ground_truths, measurements, sweep
from verl_dots.rewards.compute import compute_score
from verl_dots.rewards.grading import Verdict, grade
from verl_dots.rewards.mathematics import close

SHARED = Path(__file__).parents[3] / "shared"
DATA, CASES = SHARED / "data", SHARED / "cases" / "grading.jsonl"
needs_data = pytest.mark.skipif(
    not all((DATA / name).is_file() for name in FILES), reason="needs the published files in ../shared/data"
)

# One of each kind that the published files hold.
GOLDS = (
    "42", "-7", "073", "16384", "1234567", "2.5", "-0.125", ".82721", r"\frac{3}{4}", r"-\frac{29}{9}",
    r"\dfrac{15}{8}",
    "5/16", r"3\frac{1}{2}", r"\sqrt{12}", r"-2\sqrt{3}", r"\frac{5\sqrt{5}}{3}", r"9\pi", r"\frac{\pi}{3}",
    r"8\sqrt{2}-4-\pi", "x^2+4x+9", "(3x+7)(x+1)", r"\frac{n(n+1)}{2}", "3g", "y = -3x+30", "5x-7y+11z+4=0", "k=3",
    "(4,0,-1)", r"\left(\frac{17}{10}, -\frac{1}{10}\right)", "3, 5, 7", r"1 \pm \sqrt{19}", r"\pm 8", "[2,12)",
    r"(-\infty, -1) \cup (4, \infty)", r"0 \le x < 1", "x > 2", r"\{1,2\}", r"46\%", r"72^\circ", r"\$5.50", "204_5",
    "12:40", "1:2", r"\text{Evelyn}", "Tuesday", r"90 \text{ mph}", r"\frac{1}{2004!}", "5 - 11i", r"0.\overline{6}",
    r"\begin{pmatrix} -3 \\ 4 \end{pmatrix}", r"$\boxed{n^2-n-1}$", r"\[ 72 \]", r"\frac{2^{2005}+1}{3 \cdot 2^{2006}}",
)  # fmt: skip


def value(response: str, gold: str, measured: bool) -> bool:
    return grade(response, gold, measured) is Verdict.CORRECT


def test_equal_and_changed_forms_of_every_kind_of_answer():
    rates = sweep(value, list(GOLDS), list(GOLDS))
    rates.merge(sweep(value, measurements(10), measurements(10, seed=1), measured=True))
    assert rates.errors == {}
    assert sum(rates.gradings.get(form, 0) for form in EQUAL) > 700
    assert sum(rates.gradings.get(form, 0) for form in CHANGED) > 250


@needs_data
def test_a_sample_of_the_published_ground_truths():
    golds = ground_truths(DATA)
    rates = sweep(value, random.Random(3).sample(golds, 40), golds)
    assert rates.errors == {}


@pytest.mark.long
@needs_data
def test_all_published_ground_truths():
    rates = rates_of(value, ground_truths(DATA), sample=0, seed=0)
    assert rates.rate(EQUAL) <= 0.003, {form: errors[:3] for form, errors in rates.errors.items()}
    assert rates.rate(CHANGED) <= 0.001, {form: errors[:3] for form, errors in rates.errors.items()}


def test_a_folder_without_the_files_is_refused_with_all_that_it_lacks(tmp_path, capsys):
    (tmp_path / "math500.jsonl").write_text("")
    assert main(["--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "math500.jsonl" not in told and all(name in told for name in list(FILES)[1:]) and "--help" in told


@pytest.mark.skipif(not CASES.is_file(), reason="needs ../shared/cases")
def test_inputs_that_were_graded_wrong_once():
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    try:
        scores = [compute_score(case["source"], case["response"], case["gold"])["score"] for case in cases]
    finally:
        close()
    assert [case for case, score in zip(cases, scores, strict=True) if score != case["right"]] == []


def test_a_grader_that_errs_is_found_out():
    """The sweep itself: one that takes everything, one that takes nothing, one that compares text."""
    golds = ["42", r"\frac{3}{4}"]
    everything = sweep(lambda response, gold, measured: True, golds, golds)
    assert everything.rate(EQUAL) == 0.0 and everything.rate(CHANGED) == 1.0
    nothing = sweep(lambda response, gold, measured: False, golds, golds)
    assert nothing.rate(EQUAL) == 1.0 and nothing.rate(CHANGED) == 0.0
    text = sweep(lambda response, gold, measured: rf"\boxed{{{gold}}}" in response, golds, golds)
    assert text.errors["full_stop_inside"] == [(gold, rf"Therefore \boxed{{{gold}.}}") for gold in golds]
    assert text.errors["as_decimal"] == [(golds[1], r"So the answer is $\boxed{0.75}$.")]
    assert "empty_last_box" in text.errors and "another_answer" not in text.errors


@pytest.mark.parametrize(
    ("form", "gold", "answer"),
    [
        ("comma_groups", "1234567", "1,234,567"),
        ("unreduced_fraction", r"-\frac{3}{4}", r"-\frac{9}{12}"),
        ("shifted_power", "4.5e33", r"45\times 10^{32}"),
        ("bound_as_interval", "x > 2", r"(2, \infty)"),
        ("both_signs", r"1 \pm \sqrt{19}", r"1+\sqrt{19}, 1-\sqrt{19}"),
        ("reversed_list", "3, 5, 7", "7, 5, 3"),
    ],
)
def test_what_a_form_makes(form, gold, answer):
    assert EQUAL[form](gold).replace(" ", "") == f"So the answer is $\\boxed{{{answer}}}$.".replace(" ", "")


def test_a_form_applies_only_where_it_keeps_the_meaning():
    assert EQUAL["comma_groups"]("12") is EQUAL["comma_groups"]("0123") is EQUAL["named"]("x = 3") is None
    assert EQUAL["reversed_list"]("(1,2)") is EQUAL["without_degrees"](r"\sin 30^\circ") is None
    assert CHANGED["other_base"]("1_7", "") is CHANGED["swapped_pair"]("(1,1)", "") is None
    assert CHANGED["another_answer"]("0.5", r"\frac{1}{2}") is None


def test_what_the_forms_are_made_with():
    assert core(r"$\boxed{n^2-n-1}$") == "n^2-n-1" and core(r"\[ 72 \]") == "72" and core("$2$ or $3$") == "$2$ or $3$"
    assert number("1,234") == 1234 and number("4.5e3") == 4500 and number(r"\frac{1}{0}") is number("x") is None
    assert members("3, 5, 7") == ["3", "5", "7"] and members("1,234") is members("(1,2)") is members("1,1") is None
    assert differs("3", "5") and not differs("0.5", r"\frac{1}{2}") and not differs("1000", "1000.5")
