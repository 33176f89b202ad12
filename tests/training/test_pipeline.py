"""The hooks of a step, each stage's in turn; stages here write down what they are called with."""

import numpy as np
import pytest

from tests.methods.conftest import queue  # noqa: F401  for every test of this file
from tests.methods.memory import batch, make_run, put, together
from tests.refusals import refused
from verl_dots.methods import table
from verl_dots.methods.e3.stages import LengthPenalty
from verl_dots.methods.hooks import Source, Stage, Store
from verl_dots.methods.loader import DataLoader
from verl_dots.step import Step
from verl_dots.training.pipeline import Pipeline

CALLS: list[tuple] = []


class Written(Stage):
    """A stage that is always enabled, and writes down its calls."""

    def __init__(self, run):
        self.run = run

    @classmethod
    def enabled(cls, dots, config):
        return True

    @classmethod
    def make(cls, run):
        return cls(run)

    def begin(self, step):
        CALLS.append((self.name, "begin", step.target))

    def arrived(self, step, rows, source):
        CALLS.append((self.name, "arrived", rows.uids, source.name))
        return rows.at(range(1, len(rows)))

    def sampled(self, step, rows):
        CALLS.append((self.name, "sampled", rows.uids))
        return rows.at(range(1, len(rows)))

    def complete(self, step, rows):
        CALLS.append((self.name, "complete", rows.uids))

    def forward(self, step, field, inner, rows, metrics):
        CALLS.append((self.name, field, rows.uids))
        inner(rows.at(range(1, len(rows))), metrics)
        CALLS.append((self.name, "written"))

    def observe(self, step, rows):
        CALLS.append((self.name, "observe", rows.uids))

    def reduce(self, step, rows):
        CALLS.append((self.name, "reduce", rows.uids))
        return rows.at(range(1, len(rows)))

    def metrics(self, step):
        return {f"{self.name}/number": float(step.number)}


class First(Written):
    name = "first"


class Second(Written):
    name = "second"


class Chosen(Written, Source):
    """Questions 5 and 6, and 7 to top up."""

    name = "chosen"

    def plan(self, step):
        return np.array([5, 6])

    def top_up(self, step, count, exclude):
        return np.array([7])


class Kept(Written, Store):
    name = "kept"

    def fill(self, step, source):
        return [source.plan(step), source.top_up(step, 1, ())]


@pytest.fixture
def pipeline(monkeypatch):
    """Makes the pipeline of some stages."""
    CALLS.clear()

    def made(*stages, dots=(), **more):
        monkeypatch.setattr(table, "METHODS", stages)
        return Pipeline(make_run(dict(dots), **more))

    return made


def rows_of(names="abcd"):
    return together(*(put(Step(1), name, (1.0,)) for name in names))


def test_each_hook_is_called_in_the_order_of_the_table_with_what_the_one_before_left(pipeline):
    one, step, rows = pipeline(First, Chosen, Second), Step(7), rows_of()
    assert one.sampled(step, rows).uids == ["d"]
    one.complete(step, rows)
    one.observe(step, rows)
    assert one.reduce(step, rows).uids == ["d"]
    # The source is first.
    names = ["chosen", "first", "second"]
    less = [list("abcd"), list("bcd"), list("cd")]
    whole = [list("abcd")] * 3
    hooks = {"sampled": less, "complete": whole, "observe": whole, "reduce": less}
    assert [(name, hook, rows) for hook, of in hooks.items() for name, rows in zip(names, of, strict=True)] == CALLS
    assert one.metrics(step) == {"chosen/number": 7.0, "first/number": 7.0, "second/number": 7.0}


def test_while_the_engine_is_awake_each_stage_gets_the_source_to_ask_for_more(pipeline):
    one = pipeline(First, Chosen)
    assert one.arrived(Step(1), rows_of()).uids == ["c", "d"]
    assert [("chosen", "arrived", list("abcd"), "chosen"), ("first", "arrived", list("bcd"), "chosen")] == CALLS


def test_the_first_stage_is_outermost_around_a_forward_pass(pipeline):
    one, step, rows = pipeline(Chosen, First), Step(1), rows_of()

    def inner(rows, metrics):
        CALLS.append(("verl", rows.uids))
        metrics["actor/entropy"] = 0.5

    one.forward(step, rows, "ref_log_prob", inner)
    assert [
        ("chosen", "ref_log_prob", list("abcd")), ("first", "ref_log_prob", list("bcd")), ("verl", list("cd")),
        ("first", "written"), ("chosen", "written"),
    ] == CALLS  # fmt: skip
    assert step.metrics == {"actor/entropy": 0.5}


def test_the_first_target_of_a_stage_is_the_steps_else_alpha(pipeline):
    class Aiming(First):
        aim = 0.0

        def target(self):
            return self.aim

    class Other(Second):
        def target(self):
            return 0.75

    dots = {"selection": {"alpha": 0.25}}
    for stages, wanted in (((First, Chosen), 0.25), ((First, Aiming, Other), 0.0), ((First, Other), 0.75)):
        one = pipeline(*stages, dots=dots)
        one.begin(step := Step(1))
        assert step.target == wanted and CALLS[-1] == (one.stages[-1].name, "begin", wanted)
        assert len([call for call in CALLS if call[1] == "begin"]) == len(one.stages) - isinstance(
            one.source, DataLoader
        )
        CALLS.clear()


def test_without_a_store_the_sources_batch_is_rolled_out(pipeline):
    one = pipeline(First, Chosen)
    assert isinstance(one.source, Chosen) and one.store is None
    assert [questions.tolist() for questions in one.plan(Step(1))] == [[5, 6]]
    loader = pipeline(First)
    assert isinstance(loader.source, DataLoader)
    assert [questions.tolist() for questions in loader.plan(Step(1))] == [[0, 1, 2, 3]]
    loader.source.one_by_one = False
    assert loader.plan(step := Step(1)) is None and step.timing == {}


def test_a_store_decides_what_of_the_source_is_rolled_out(pipeline):
    one = pipeline(Chosen, Kept)
    assert isinstance(one.store, Kept)
    assert [questions.tolist() for questions in one.plan(Step(1))] == [[5, 6], [7]]


def test_sizes_are_those_of_the_stage_that_gives_any_batch_by_batch(pipeline):
    class Sized(Second):
        def sizes(self, step, questions_B):
            return questions_B + len(questions_B)

    one = pipeline(First, Sized)
    assert one.sizes(Step(1), [np.array([5, 6]), np.array([7])]).tolist() == [7, 8, 8]
    assert one.sizes(Step(1), []) is None
    assert pipeline(First).sizes(Step(1), [np.array([5, 6])]) is None


def test_rewards_stay_where_no_stage_changes_them(pipeline):
    one = pipeline(First)
    assert one.rewards(step := Step(1), rows_of()) is None and step.metrics == {}


def test_changed_rewards_pass_through_the_stages_and_their_losses_are_told(pipeline):
    class Halved(First):
        def rewards(self, step, scores):
            self.scores = scores
            return scores.reward_N / 2

    class Left(Second):
        def rewards(self, step, scores):
            self.scores = scores

    one = pipeline(Halved, Left)
    rows = together(batch(step := Step(1), {3: (1.0, 0.0)}, lengths=(4, 2)), put(step, "pad", (0.5,), padding=True))
    assert one.rewards(step, rows).tolist() == [0.5, 0.0, 0.25]
    halved, left = one.stages[1:]
    assert halved.scores.reward_N.tolist() == [1.0, 0.0, 0.5]
    assert halved.scores.length_N.tolist() == [4, 2, 1] and halved.scores.question_N.tolist() == [3, 3, -1]
    assert left.scores.reward_N.tolist() == [0.5, 0.0, 0.25]
    # Of two real rows one has lost half.
    assert step.metrics == {"first/share": 0.5, "first/mean": 0.5}
    assert step.metrics.keys() == {f"first/{name}" for name in LengthPenalty.METRICS}
    rows = put(later := Step(2), "b", (0.0,))
    assert one.rewards(later, rows).tolist() == [0.0]
    assert later.metrics == {"first/share": 0.0, "first/mean": 0.0}


def test_what_stages_ask_of_the_whole_run(pipeline):
    class Loss(First):
        own_loss = True

    class Unequal(Second):
        unequal_groups = True

    for stages, wanted in (
        ((First,), (False, False)),
        ((Loss, Second), (True, False)),
        ((First, Unequal), (False, True)),
    ):
        one = pipeline(*stages)
        assert (one.own_loss, one.unequal_groups) == wanted


def test_an_epoch_is_not_every_question_where_a_store_gives_the_others(pipeline, caplog):
    class Knowing(First):
        knows_questions = True

    pipeline(Knowing, fresh=2, trainer__total_training_steps=None, steps=9)
    assert "rolls out about 2 of its 4 questions: verl counts 9 steps as an epoch" in caplog.text
    caplog.clear()
    pipeline(Knowing, fresh=2)
    pipeline(Knowing, fresh=4, trainer__total_training_steps=None)
    pipeline(First, fresh=2, trainer__total_training_steps=None)
    assert caplog.text == ""


def test_states_are_saved_and_loaded_with_the_fingerprint_of_the_questions(pipeline, tmp_path):
    dots = {"length_penalty": {"enable": True}}
    one, restored, other = (pipeline(LengthPenalty, dots=dots, questions=count) for count in (8, 8, 9))
    one.observe(step := Step(1), batch(step, {3: (1.0, 0.5)}))
    one.save(tmp_path)
    restored.load(tmp_path)
    assert restored.stages[1].rewarded.seen.mean_P[3] == 0.75
    restored.run.questions = None
    for mine, told in ((other, other.run.questions.known.fingerprint), (restored, "this run has None")):
        with refused("fingerprint of the training questions", "other run", told):
            mine.load(tmp_path)
