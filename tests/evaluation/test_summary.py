"""Results and tables of generations small enough to be checked by hand."""

import json
import math

import pyarrow as pa
import pytest

from verl_dots.evaluation.storage import SCHEMA
from verl_dots.evaluation.summary import summarise, to_json
from verl_dots.evaluation.tables import document, notes, table


def rows(data_set, question, answers, source="math500", truth="7"):
    """Rollouts by their answers; those that are the ground truth are right, of 10 tokens, and the others cut at 20."""
    return [
        {
            "data_set": data_set, "data_source": source, "question_id": question, "ground_truth": truth,
            "rollout": index, "response": "", "tokens": 10 if answer == truth else 20,
            "reward": float(answer == truth), "acc": float(answer == truth), "answer": answer,
            "stop_reason": "stop" if answer == truth else "length",
        }
        for index, answer in enumerate(answers)
    ]  # fmt: skip


@pytest.fixture
def generations():
    found = [
        # 2 of 4 right: pass@2 5/6. The majority is 7.
        *rows("first", "a", ["7", "5", "7", None]),
        # 1 of 4: pass@2 1/2. 7, 1/2 and 0.5 have a vote each besides 3: 7 was first, unless 1/2 and 0.5 are one.
        *rows("first", "b", ["7", "1/2", "3", "0.5"]),
        # 0 of 4.
        *rows("second", "a", ["1", "1", "1", "1"]),
        *rows("second", "c", [None, None, None, None]),
    ]
    return pa.Table.from_pylist(found, schema=SCHEMA)


def test_measures_of_each_data_set_and_their_average(generations):
    first, second, average = summarise(generations)
    # Shares 1/2 and 1/4: mean 3/8, s = 0.25 / sqrt(2), half width 1.959964 * 0.125 = 0.244995
    assert [result.pass_at[1].value for result in (first, second, average)] == pytest.approx([3 / 8, 0, 3 / 16])
    assert first.pass_at[1].half_width == pytest.approx(0.244995, rel=1e-5)
    assert average.pass_at[1].half_width == pytest.approx(0.244995 / 2, rel=1e-5)
    assert [first.pass_at[k].value for k in (2, 4)] == pytest.approx([(5 / 6 + 1 / 2) / 2, 1])
    # 3 of 8 responses with 10 tokens, 5 with 20: 130 / 8.
    assert (first.tokens, first.cut_off, first.unanswered, first.reward) == (16.25, 5 / 8, 1 / 8, 3 / 8)
    assert (second.unanswered, average.unanswered, average.tokens, average.cut_off) == (0.5, 5 / 16, 18.125, 13 / 16)


def test_wrong_answers_that_are_equal_win_the_vote(generations):
    def same(one, other):
        return {one, other} == {"1/2", "0.5"}

    first, *_ = summarise(generations, same)
    assert first.majority.value == 0.5


def test_answers_of_an_exact_source_are_compared_as_they_are():
    found = rows("first", "b", ["7", "1/2", "3", "0.5"], source="arithmetic")

    def same(one, other):
        raise AssertionError("asked")

    [result] = summarise(pa.Table.from_pylist(found, schema=SCHEMA), same)
    assert result.majority.value == 1.0


def test_right_is_what_the_reward_calls_right_whatever_it_gives_for_it():
    found = rows("first", "a", ["7", "5", "7", "7"])
    for row, acc in zip(found, (1.0, 0.0, 1.0, 1.0), strict=True):
        row |= {"reward": 0.9 if acc else 1.2, "acc": acc}  # a penalty for length, a bonus for form
    [result] = summarise(pa.Table.from_pylist(found, schema=SCHEMA))
    assert (result.pass_at[1].value, result.majority.value, result.reward) == (0.75, 1.0, pytest.approx(3.9 / 4))


@pytest.fixture
def with_code(generations):
    """A third data set: programs, of which 1 of 4 is right in the first question and none in the second."""
    code = rows("code", "a", [None] * 4, source="apps") + rows("code", "b", [None] * 4, source="apps")
    code[2] |= {"reward": 1.0, "acc": 1.0}
    return pa.concat_tables([generations, pa.Table.from_pylist(code, schema=SCHEMA)])


def test_a_majority_of_answers_that_nobody_can_read_is_not_known(with_code):
    first, second, code, average = summarise(with_code)
    assert (code.pass_at[4].value, code.majority, code.unanswered) == (0.5, None, None)
    # The average of the two that are known, 1 and 0; unanswered 1/8 and 4/8.
    assert (average.majority.value, average.unanswered) == (0.5, pytest.approx(5 / 16))
    assert average.pass_at[4].value == pytest.approx((1 + 0 + 0.5) / 3)
    plain = to_json([first, second, code, average])
    assert (plain["code"]["maj@4"], plain["code"]["unanswered"]) == (None, None)
    assert plain["average"]["maj@4"]["value"] == 0.5


def test_the_table_shows_what_is_not_known_and_a_note_says_why(with_code):
    results = summarise(with_code)
    majorities = [line.split("|")[6].strip() for line in table(results).splitlines()]
    assert majorities[:1] + majorities[2:] == ["maj@4 (%)", "100.0 ± 0.0", "0.0 ± 0.0", "–", "50.0 ± 0.0"]
    said = "maj@k is not known of code, whose answers cannot be read out of responses; the average of maj@k is that of "
    assert notes(results) == [said + "the others."] and said in document("tiny", results, {})
    assert notes(results[:2]) == []
    [alone] = results[2:3]
    assert notes([alone]) == ["maj@k is not known of code, whose answers cannot be read out of responses."]


def test_json_says_what_is_not_known_and_stays_between_0_and_1(generations):
    plain = to_json(summarise(generations))
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["first"]["avg@4"]["low"] == pytest.approx(0.375 - 0.244995, rel=1e-5)
    # 2/3 +- 1.959964 * (1/3) / 2 = 0.3267
    assert plain["first"]["pass@2"] == pytest.approx({"value": 2 / 3, "low": 0.340006, "high": 0.993327}, rel=1e-5)
    assert plain["second"]["maj@4"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    [one] = summarise(pa.Table.from_pylist(rows("first", "a", ["7", "5"]), schema=SCHEMA))
    assert math.isnan(one.pass_at[1].half_width)
    assert to_json([one])["first"]["avg@2"] == {"value": 0.5, "low": None, "high": None}


def test_table_of_several_rollouts(generations):
    assert table(summarise(generations)).splitlines() == [
        "| data set | questions |   avg@4 (%) |  pass@2 (%) |  pass@4 (%) |   maj@4 (%) | tokens | cut off (%) |",
        "| :------- | --------: | ----------: | ----------: | ----------: | ----------: | -----: | ----------: |",
        "| first    |         2 | 37.5 ± 24.5 | 66.7 ± 32.7 | 100.0 ± 0.0 | 100.0 ± 0.0 |   16.2 |        62.5 |",
        "| second   |         2 |   0.0 ± 0.0 |   0.0 ± 0.0 |   0.0 ± 0.0 |   0.0 ± 0.0 |   20.0 |       100.0 |",
        "| average  |         4 | 18.8 ± 12.2 | 33.3 ± 16.3 |  50.0 ± 0.0 |  50.0 ± 0.0 |   18.1 |        81.2 |",
    ]


def test_table_of_one_rollout_to_one_question():
    [one] = summarise(pa.Table.from_pylist(rows("first", "a", ["7"]), schema=SCHEMA))
    assert table([one]).splitlines()[0::2] == [
        "| data set | questions | avg@1 (%) | tokens | cut off (%) |",
        "| first    |         1 |     100.0 |   10.0 |         0.0 |",
    ]


def test_document_has_table_and_settings(generations):
    text = document("tiny", summarise(generations), {"temperature": 0.6, "data_sets": {"first": "2 questions"}})
    assert text.startswith("# Evaluation: tiny\n\n| data set |")
    assert "Every data set counts alike in the average" in text
    assert "| data_sets   | first: 2 questions |" in text
    assert "| temperature |                0.6 |" in text
