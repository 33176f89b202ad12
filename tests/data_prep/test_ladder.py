"""The ladder: what letters do, which levels need which, carelessness, its files and its teacher."""

from collections import Counter
from random import Random

import pytest

from data_prep import ladder
from data_prep.ladder import LETTERS, LEVELS, TASK, Climb, main, make_climb, slips, working
from data_prep.splits import sample_splits, write_splits
from data_prep.warmup import TEACHERS, draw_demonstration, respond_climb
from tests.data_prep.script_runs import infos_of, refusal, rows_of
from verl_dots.data.provenance import read_provenance
from verl_dots.rewards.compute import compute_score

CLIMB = Climb(2, "Start at 47. Apply C, A, B.", "47", "CAB")


def test_letters_add_to_both_digits_modulo_10():
    # C adds 3 and 3: 47 -> 70; A adds 2 and 1: 91; B adds 5 and 9: 40
    assert CLIMB.values() == ("70", "91", "40")
    assert working(CLIMB) == "C70 A91 B40\n#### 40"
    # A slips by 1 in the tens: 70 -> 81; B adds 5 and 9: 30
    assert working(CLIMB, careless="A") == "C70 A81 B30\n#### 30"


def test_a_level_has_its_own_letter_and_all_below_once():
    rng = Random(0)
    for level in range(1, LEVELS + 1):
        climb = make_climb("ladder", level, rng)
        assert sorted(climb.letters) == list(LETTERS)[: level + 1]
        assert climb.question.endswith(f" {climb.start}. Apply {', '.join(climb.letters)}.")


@pytest.mark.parametrize(("family", "level"), [("ladder", 0), ("ladder", LEVELS + 1), ("total", 1)])
def test_unknown_levels_are_refused(family, level):
    with pytest.raises(ValueError, match=r"there is 'ladder', of levels 1\.\.10"):
        make_climb(family, level, Random(0))


def test_no_letter_slips_to_what_it_should_add():
    assert all(letter.adds[0] != letter.slip for letter in LETTERS.values())
    careless = [letter.careless for letter in LETTERS.values()]
    assert careless == sorted(careless)


def test_each_letter_slips_by_its_own_chance():
    climb = make_climb("ladder", LEVELS, Random(0))
    rng = Random(1)
    counts = Counter("".join(slips(climb, rng) for _ in range(4000)))
    for name, letter in LETTERS.items():
        # five standard deviations of a share of 4,000: 5 * sqrt(p (1 - p) / 4000)
        spread = 5 * (letter.careless * (1 - letter.careless) / 4000) ** 0.5
        assert counts[name] / 4000 == pytest.approx(letter.careless, abs=spread)


def test_the_teacher_takes_care_or_slips():
    assert respond_climb(CLIMB, 1, Random(0)) == working(CLIMB)
    # A, B and C are right together with probability 0.95 * 0.9 * 0.8 = 0.684, give or take 5 * 0.0104
    right = sum(respond_climb(CLIMB, 0, Random(seed)) == working(CLIMB) for seed in range(2000)) / 2000
    assert right == pytest.approx(0.684, abs=0.052)


def test_demonstrations_are_of_all_levels_and_never_of_validation():
    validation = frozenset(problem.question for problem in sample_splits(TASK, 10, 400, 1).val)
    teacher = TEACHERS["ladder"]
    rng = Random(0)
    drawn = [draw_demonstration(teacher, teacher.phases["skills"].habits, rng, validation) for _ in range(2000)]
    assert not validation & {one.question for one in drawn}
    assert {one.response.count(" ") - 1 for one in drawn} == set(range(1, LEVELS + 1))


def test_files(tmp_path):
    write_splits(TASK, tmp_path, train=100, val=50, seed=3)
    rows = rows_of(tmp_path / "train.parquet")
    assert {row["data_source"] for row in rows} == {"ladder"}
    assert Counter(info["level"] for info in infos_of(tmp_path / "train.parquet")) == dict.fromkeys(range(1, 11), 10)
    row = rows[0]
    answer = row["reward_model"]["ground_truth"]
    assert compute_score("ladder", f"A00\n#### {answer}", answer)["score"] == 1
    assert compute_score("ladder", f"A00\n#### {answer}0", answer)["score"] == 0


@pytest.mark.parametrize(("skew", "lower", "upper"), [("easy", 12, 6), ("hard", 6, 12), ("even", 9, 9)])
def test_skewed_pools_have_the_same_validation(tmp_path, skew, lower, upper):
    even = sample_splits(TASK, 90, 50, 1)
    pool = sample_splits(TASK, 90, 50, 1, skew)
    assert pool.val == even.val
    shares = Counter(problem.level for problem in pool.train)
    assert shares == {level: lower if level <= 5 else upper for level in range(1, 11)}
    write_splits(TASK, tmp_path, 90, 50, 1, skew)
    assert read_provenance(tmp_path / "train.parquet").get("skew", "even") == skew


def test_default_sizes_fit_the_recipes():
    both = sample_splits(TASK, 4096, 512, 1)
    problems = both.train + both.val
    assert len({problem.question for problem in problems}) == 4096 + 512
    assert max(len(working(problem)) for problem in problems) == 51


def test_bad_arguments(tmp_path, capsys):
    message = "family 'ladder' level 1 has no more distinct questions"
    assert message in refusal(capsys, main, "--out", tmp_path, "--train", "20000")
    assert ladder.TASK.name == "ladder"
