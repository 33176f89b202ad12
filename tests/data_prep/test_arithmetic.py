"""The arithmetic testbed: schema, answers, disjoint splits, determinism, levels, bad arguments."""

import re
from collections import Counter
from random import Random

import pytest

from data_prep import splits
from data_prep.arithmetic import TASK, main
from data_prep.families import FAMILIES, LEVELS, Grade, make_problem, number_to_words, render_working
from data_prep.splits import draw_new, sample_splits, write_splits
from tests.data_prep.script_runs import infos_of, refusal, rows_of
from verl_dots.data.provenance import read_provenance
from verl_dots.data.question import question_id

PROMPT_OVERHEAD = len("user\n") + len("\n") + len("assistant\n") + 3  # bytes of the chat template + 3 special tokens


class ScriptedRandom(Random):
    """Hands out the given draws in order, whatever is asked; a choice may be given by its position."""

    def __init__(self, *draws):
        super().__init__(0)
        self.draws = list(draws)

    def _next(self, *_):
        return self.draws.pop(0)

    randint = randrange = sample = _next

    def choice(self, options):
        draw = self.draws.pop(0)
        return options[draw] if isinstance(draw, int) else draw


@pytest.mark.parametrize(
    ("family", "grade", "draws", "question", "response"),
    [
        # 17 + 5 = 22, 22 - 3 = 19; the second number is spelled out
        ("chain", (3, 20, 1), (17, "+", 5, "-", 3, [1], "What is"), "What is 17 plus five minus 3?",
         "17:17 +5:22 -3:19\n#### 19"),
        ("extreme", (4, 20, 1), ([7, 12, 3, 12], ("Largest", max), [0]), "Largest of seven, 12, 3, 12?",
         "7:7 12:12 3:12 12:12\n#### 12"),
        # even: 4 and 10
        ("count", (4, 20, 0), ([4, 9, 10, 1], ("even", 0), []), "How many are even of 4, 9, 10, 1?",
         "4:1 9:1 10:2 1:2\n#### 2"),
        # 4 + 7 + 0 + 9 = 20
        ("total", (4, 9, 2), (4, 7, 0, 9, [1, 3]), "Sum of 4, seven, 0, nine?", "4:4 7:11 0:11 9:20\n#### 20"),
        # divisor 9, fits twice, remainder 5: 2 * 9 + 5 = 23; 23 - 9 = 14, 14 - 9 = 5
        ("remainder", (2, 9, 1), (9, 2, 5, [0], 1), "twenty-three modulo 9?", "23:23 -9:14 -9:5\n#### 5"),
    ],
)  # fmt: skip
def test_a_question_and_its_working(family, grade, draws, question, response):
    built, steps = FAMILIES[family].build(Grade(*grade), ScriptedRandom(*draws))
    assert (built, render_working(steps, str(steps[-1].value))) == (question, response)


def test_number_words_are_distinct_and_bounded():
    words = [number_to_words(number) for number in range(100)]
    some = {0: "zero", 7: "seven", 13: "thirteen", 20: "twenty", 42: "forty-two", 99: "ninety-nine"}
    assert {number: words[number] for number in some} == some
    assert len(set(words)) == 100
    for outside in (-1, 100):
        with pytest.raises(ValueError, match="0..99"):
            number_to_words(outside)


WORD_VALUES = {number_to_words(number): number for number in range(100)}


def solve(question):
    """An independent solver that reads the question's text only."""
    text = re.sub(r"[a-z]+(?:-[a-z]+)?", lambda m: str(WORD_VALUES.get(m[0], m[0])), question.rstrip("?"))
    numbers = [int(n) for n in re.findall(r"\d+", text)]
    if text.startswith(("What is", "Compute")):
        return eval(re.sub(r"^(What is|Compute)", "", text).replace("plus", "+").replace("minus", "-"))
    if text.startswith("How many"):
        return len([n for n in numbers if ("odd" in text) == bool(n & 1)])
    if text.startswith(("Largest", "Smallest", "Sum")):
        return {"Largest": max, "Smallest": min, "Sum": sum}[text.split()[0]](numbers)
    dividend, divisor = numbers
    return dividend - divisor * (dividend // divisor)


@pytest.mark.parametrize(("level", "family"), [(level, family) for family, level in TASK.cells])
def test_answers_and_lengths(level, family):
    rng = Random(level)
    for _ in range(100):
        problem = make_problem(family, level, rng)
        assert problem.answer == str(solve(problem.question)), problem.question
        assert len(problem.question) + PROMPT_OVERHEAD <= 96
        assert len(render_working(problem.steps, problem.answer)) + 1 <= 48
        assert all(0 <= step.value <= 99 for step in problem.steps)


def test_levels_never_get_easier():
    # cost: characters of the working plus 2 for every spelled-out number, averaged over 200 problems
    def cost(family, level):
        rng, words = Random(0), FAMILIES[family].grades[level - 1].words
        problems = [make_problem(family, level, rng) for _ in range(200)]
        return sum(len(render_working(p.steps, p.answer)) for p in problems) / 200 + 2 * words

    for name, family in FAMILIES.items():
        assert len(family.grades) == LEVELS
        costs = [cost(name, level) for level in range(1, LEVELS + 1)]
        assert all(harder > easier - 0.5 for easier, harder in zip(costs, costs[1:], strict=False)), (name, costs)
        assert costs[-1] > 1.5 * costs[0]


def test_unknown_family_and_level_are_refused():
    with pytest.raises(ValueError, match=r"unknown family 'product'; known families: \['chain', 'count'"):
        make_problem("product", 1, Random(0))
    for level in (0, 11):
        with pytest.raises(ValueError, match=r"level must be in 1..10"):
            make_problem("chain", level, Random(0))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("data")
    write_splits(TASK, out, train=400, val=150, seed=3)
    return out


def test_schema(written):
    rows = rows_of(written / "train.parquet")
    assert len(rows) == 400
    assert set(rows[0]) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    assert set(rows[0]["extra_info"]) == {"index", "question_id", "split", "family", "level", "question"}
    for index, row in enumerate(rows):
        extra = row["extra_info"]
        assert row["data_source"] == "arithmetic" and row["ability"] == "math"
        assert row["prompt"] == [{"role": "user", "content": extra["question"]}]
        assert row["reward_model"] == {"style": "rule", "ground_truth": str(solve(extra["question"]))}
        assert (extra["index"], extra["split"]) == (index, "train")
        assert extra["question_id"] == question_id(row["prompt"], row["reward_model"]["ground_truth"])


def test_no_question_occurs_twice_and_levels_are_even(written):
    infos = [info for split in ("train", "val") for info in infos_of(written / f"{split}.parquet")]
    assert len({info["question"] for info in infos}) == len(infos) == 550
    # 400 / 50 + 150 / 50
    assert Counter((info["family"], info["level"]) for info in infos) == dict.fromkeys(TASK.cells, 11)


def test_default_sizes_fit():
    both = sample_splits(TASK, 4096, 512, 1)
    assert len({problem.question for problem in both.train + both.val}) == 4096 + 512


def test_same_seed_same_bytes(written, tmp_path):
    write_splits(TASK, tmp_path, train=400, val=150, seed=3)
    for name in ("train.parquet", "val.parquet"):
        assert (tmp_path / name).read_bytes() == (written / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.parquet", "val.parquet"]


def test_seed_matters_and_val_ignores_the_train_size():
    base = sample_splits(TASK, 100, 50, 1)
    assert sample_splits(TASK, 200, 50, 1).val == base.val
    assert sample_splits(TASK, 100, 50, 2).val != base.val


def test_provenance(written):
    assert read_provenance(written / "val.parquet") == {
        "generator": "data_prep.arithmetic", "version": 1, "split": "val", "seed": 3, "train": 400, "val": 150,
        "families": ["chain", "extreme", "count", "total", "remainder"], "levels": 10,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--train", "-5"), "--train must be at least 1, got -5"),
        (("--val", "0"), "--val must be at least 1, got 0"),
        (("--seed", "-1"), "--seed must be 0 or more, got -1"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    assert message in refusal(capsys, main, "--out", tmp_path, *arguments)
    assert not list(tmp_path.iterdir())


def test_used_up_level_names_itself(monkeypatch):
    monkeypatch.setattr(splits, "TRIES_PER_QUESTION", 1)
    with pytest.raises(ValueError, match="family 'total' level 2 has no more distinct questions after 1 questions"):
        draw_new(TASK, "total", 2, Random(0), {make_problem("total", 2, Random(0)).question})
