"""Strategies of training data: rows with odd text that can be used, and rows of which one cell or column cannot."""

from hypothesis import strategies as st

from scripts.bad_inputs import question_row, with_cell
from verl_dots.data.checks import ROLES
from verl_dots.rewards.compute import SCORERS

ROWS = 8
# Of every script, with accents, emoji, private signs, marks of direction and joiners: something of it can be seen.
VISIBLE = st.characters(categories=("L", "N", "P", "S"))
ODD = st.characters(categories=("L", "M", "N", "P", "S", "Zs", "Cf", "Co", "Cc"))
TEXTS = st.builds(lambda seen, more: seen + more, VISIBLE, st.text(ODD, max_size=12))
UNSEEN = st.text(st.sampled_from(" \t\n\r\x00\x1b\u00a0\u200b\u200d\u202e\u2028\u2029\ufeff\U000e0041"), max_size=4)
# A cell, what it cannot be, and whether every row must have the wrong type, as a column has one.
CELLS = {
    "no messages": ("prompt", st.sampled_from([None, []]), False),
    "an empty message": ("prompt[0]", st.none(), False),
    "no content": ("prompt[0].content", st.none() | UNSEEN, False),
    "no role": ("prompt[0].role", st.none(), False),
    "an unknown role": ("prompt[0].role", TEXTS.filter(lambda text: text not in ROLES), False),
    "no reward": ("reward_model", st.none(), False),
    "no answer": ("reward_model.ground_truth", st.none() | UNSEEN, False),
    "no source": ("data_source", st.none() | st.just(""), False),
    "an unknown source": ("data_source", TEXTS.filter(lambda text: text not in SCORERS), False),
    "too long": ("prompt[0].content", st.integers(420, 2000).map(lambda length: "x" * length), False),
    "a prompt of another type": ("prompt", TEXTS | st.integers(0, 9) | st.floats() | st.just(["1 + 1?"]), True),
    "content of another type": ("prompt[0].content", st.integers(0, 9) | st.floats() | st.just(["1"]), True),
    "a reward of another type": ("reward_model", TEXTS | st.integers(0, 9) | st.just([1.5]), True),
    "an answer of another type": (
        "reward_model.ground_truth",
        st.sampled_from([float("nan"), float("inf"), ["2"], {"a": "2"}]),
        True,
    ),
    "a source of another type": ("data_source", st.integers(0, 9) | st.floats() | st.just(["arithmetic"]), True),
    "extra info of another type": ("extra_info", TEXTS | st.integers(0, 9) | st.just([1]), True),
}


@st.composite
def good_rows(draw: st.DrawFn) -> list[dict]:
    """Different questions in odd text, each with a number for its answer."""
    texts = draw(st.lists(TEXTS, min_size=ROWS, max_size=ROWS, unique=True))
    extra = {"index": 0, "level": 7}
    return [question_row(text, str(draw(st.integers(-99, 99))), extra_info=extra) for text in texts]


@st.composite
def bad_cells(draw: st.DrawFn) -> tuple[list[dict], int, str]:
    """Rows, the number of the first that cannot be used, and its column."""
    path, values, everywhere = CELLS[draw(st.sampled_from([*CELLS]))]
    rows, value = draw(good_rows()), draw(values)
    number = 0 if everywhere else draw(st.integers(0, ROWS - 1))
    changed = range(ROWS) if everywhere else [number]
    rows = [with_cell(row, path, value) if place in changed else row for place, row in enumerate(rows)]
    return rows, number, path.partition("[")[0].partition(".")[0]
