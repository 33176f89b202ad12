"""The stories: their texts, read by a second solver; their levels, their files."""

import re
from collections import Counter
from random import Random

import pytest

from data_prep.splits import sample_splits, write_splits
from data_prep.word_problems import LEVELS, NAMES, PLANS, SHOWN, TASK, THINGS, main, make_story
from tests.data_prep.script_runs import infos_of, refusal, rows_of
from verl_dots.rewards.compute import compute_score

# Texts and answers by hand.
SOLVED = [
    (
        "Anna has 3 boxes with 4 apples in each. Then Anna gives 2 apples to Ben. How many apples does Anna have now?",
        10,
    ),
    ("Leo has 7 shells. Then Ida gives 5 more shells to Leo. How many shells does Leo have now?", 12),
    ("Ida has 9 coins. Leo has 4 fewer coins than Ida. How many coins does Leo have?", 5),
    (
        "Ida has 9 coins. Leo has 4 more coins than Ida. Then Leo loses 3 coins. Then Leo shares the coins equally "
        "among 5 friends. How many coins does each friend get?",
        2,
    ),
]


def solve(story: str) -> int:
    """The answer, from the words alone: whoever is asked about (or shares) is followed through the text."""
    hero = re.search(r"does (\w+) have", story) or re.search(r"(\w+) shares the", story)
    name = hero[1]
    held: dict[str, int] = {}
    for sentence in re.split(r"(?<=[.?]) (?:Then )?", story):
        numbers = [int(number) for number in re.findall(r"\d+", sentence)]
        subject = sentence.split()[0]
        if "in each" in sentence:
            held[subject] = numbers[0] * numbers[1]
        elif " than " in sentence:
            sign = 1 if " more " in sentence else -1
            held[subject] = held[sentence.rstrip(".").split()[-1]] + sign * numbers[0]
        elif re.match(r"\w+ has \d+ \w+\.$", sentence):
            held[subject] = numbers[0]
        elif "equally" in sentence:
            share, rest = divmod(held[name], numbers[0])
            assert rest == 0
            held[name] = share
        elif re.match(rf"{name} (gets|finds)|\w+ gives .* to {name}\.$", sentence):
            held[name] += numbers[0]
        elif re.match(rf"{name} (gives|loses)|\w+ takes .* from {name}\.$", sentence):
            held[name] -= numbers[0]
        else:
            assert sentence.startswith("How many"), sentence
    return held[name]


@pytest.mark.parametrize(("story", "answer"), SOLVED)
def test_the_second_solver_solves_what_was_solved_by_hand(story, answer):
    assert solve(story) == answer


@pytest.mark.parametrize("level", PLANS)
def test_answers_are_those_of_the_text(level):
    rng = Random(level)
    for _ in range(300):
        story = make_story("story", level, rng)
        assert story.answer == str(solve(story.question)), story.question
        assert all(value > 0 for value in story.values)


def test_what_is_shown_is_right_and_of_no_question():
    for question, response in SHOWN:
        assert compute_score("word_problems", response, str(solve(question)))["score"] == 1
        a, sign, b, result = re.match(r"(\d) ([-+]) (\d) = (\d)\n", response).groups()
        assert int(a) + int(b) * (1 if sign == "+" else -1) == int(result)
        assert not set(question.replace(".", "").split()) & {*NAMES, *THINGS}


def test_levels_have_the_steps_that_they_say():
    rng = Random(0)
    steps = {level: {len(make_story("story", level, rng).values) for _ in range(100)} for level in PLANS}
    assert steps == {1: {1}, 2: {1}, 3: {1}, 4: {1}, 5: {2}, 6: {3}}


@pytest.mark.parametrize(("family", "level"), [("story", 0), ("story", LEVELS + 1), ("ladder", 1)])
def test_unknown_levels_are_refused(family, level):
    with pytest.raises(ValueError, match=r"there is 'story', of levels 1\.\.6"):
        make_story(family, level, Random(0))


def test_files(tmp_path):
    for out in ("one", "two"):
        write_splits(TASK, tmp_path / out, train=60, val=30, seed=3)
    for split in ("train", "val"):
        assert (tmp_path / "one" / f"{split}.parquet").read_bytes() == (
            tmp_path / "two" / f"{split}.parquet"
        ).read_bytes()
    path = tmp_path / "one" / "train.parquet"
    assert Counter(info["level"] for info in infos_of(path)) == dict.fromkeys(PLANS, 10)
    row = rows_of(path)[0]
    assert [message["role"] for message in row["prompt"]] == ["user", "assistant"] * 2 + ["user"]
    assert row["prompt"][-1]["content"] == row["extra_info"]["question"]
    answer = row["reward_model"]["ground_truth"]
    assert row["data_source"] == "word_problems"
    assert compute_score("word_problems", f"3 * 4 = 12 #### {answer}", answer)["score"] == 1
    assert compute_score("word_problems", f"3 * 4 = 12 #### {answer}0", answer)["score"] == 0
    assert compute_score("word_problems", answer, answer)["score"] == 0


def test_default_sizes_have_distinct_questions():
    both = sample_splits(TASK, 4096, 512, 1)
    assert len({problem.question for problem in both.train + both.val}) == 4096 + 512


def test_bad_arguments(tmp_path, capsys):
    assert "--train must be at least 1, got 0" in refusal(capsys, main, "--out", tmp_path, "--train", "0")
