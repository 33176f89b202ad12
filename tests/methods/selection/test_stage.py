"""Selection in a step, without Ray: the real online predictor over made-up embeddings of 16 questions.

Questions 0 to 5 are always right, 12 to 15 never; 6 to 11 are in 3, 3, 2, 2, 1, 1 of 4 rollouts. With seed 13 the
references of the first round are 12, 8, 10 and 0, in this order: difficulties 1, 1/2, 3/4 and 0.
"""

import logging

import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.methods.memory import MemoryTrainer, carry_over, declared, make_run
from tests.refusals import refused
from verl_dots.bridge.queue.questions import TrainQuestions
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.methods.refusals import OWN_AGENT_LOOP
from verl_dots.methods.selection import worker
from verl_dots.methods.selection.stage import Selection
from verl_dots.step import Group, Origin, Step

EMBEDDING = np.stack([np.linspace(-1, 1, 16), np.tile([1.0, -1.0], 8)], axis=1).astype(np.float32)
REFERENCES, MEASURED = [12, 8, 10, 0], [1.0, 0.5, 0.75, 0.0]
DIFFER = np.array([False, True, True, False])  # the rewards of each


EFFECTIVENESS = {"selection/predicted_effective_groups", "selection/predicted_effective_groups/all"}


def rewards(question):
    right = min(4, max(0, 6 - question // 2))
    return (1.0,) * right + (0.0,) * (4 - right)


class InProcess(OnlinePredictor):
    """The predictor without its worker."""

    def __init__(self, settings, resources, device):
        self.settings, self.made_with = settings, (resources, device)

    def embed(self, texts, answers, news, known_P):
        self.known_P = known_P
        assert texts == tuple(f"question {number}" for number in range(16)) and answers == tuple(map(str, range(16)))
        super().__init__(EMBEDDING, self.settings.half_life)


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Makes the stage of a run with a batch of 4, 4 references and mu = 2."""
    monkeypatch.setattr(worker, "DifficultyWorkerGroup", InProcess)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")

    def made(trainer=None, difficulty=(), fresh=4, **changes):
        settings = {"enable": True, "references": 4, "tau": 0.0, "rho_floor": -1.0, **changes}
        dots = {
            "seed": 13, "selection": settings, "difficulty": {"backbone": str(tmp_path), **dict(difficulty)},
        }  # fmt: skip
        return Selection.make(make_run(dots, 16, trainer or MemoryTrainer(rewards), fresh=fresh, resources="pool"))

    return made


def plan(one, number=1, target=0.5):
    one.begin(step := Step(number, target=target))
    return step, one.plan(step).tolist()


def observed(one):
    """(step, question, difficulty, rollouts) of all that the predictor was told."""
    columns = one.predictor.state_dict()["observed"]
    return list(zip(*(columns[name].tolist() for name in ("step", "question", "difficulty", "rollouts")), strict=True))


def predictions():
    """Of the first round, by a predictor of its own."""
    predictor = OnlinePredictor(EMBEDDING, 8.0)
    predictor.observe(1, np.array(REFERENCES), np.array(MEASURED), np.full(4, 4), DIFFER)
    return predictor.predict(1, np.array(REFERENCES), np.array(MEASURED))


def nearest(target, count):
    others = [question for question in range(16) if question not in REFERENCES]
    return sorted(others, key=lambda question: abs(predictions()[0][question] - target))[:count]


def test_it_is_made_of_the_runs_questions_seed_and_resources(make):
    one = make(fresh=2)
    assert one.predictor.made_with == ("pool", "cpu") and one.predictor.half_life == 8.0
    assert (one.curriculum.questions, one.curriculum.batch_size, one.curriculum.fresh) == (16, 4, 2)
    assert one.knows_questions and Selection.on_conflict(one.run.dots) == "drop"
    assert Selection.enabled(one.run.dots, one.run.config)
    assert Selection.on_conflict(make(conflicting_answers="error").run.dots) == "error"
    written = [Selection.written_folders(make_run({}, dots__selection__enable=on).config) for on in (True, False)]
    assert written == [("dots.difficulty.cache",), ()]


def test_a_round_measures_the_references_and_chooses_the_nearest_others_once_in_mu_steps(make):
    one = make()
    step, first = plan(one)
    assert one.run.trainer.references == [REFERENCES]
    assert observed(one) == [(1, question, found, 4) for question, found in zip(REFERENCES, MEASURED, strict=True)]
    _, second = plan(one, 2)
    # 8 and 10 are trained on again, in place of two of the first batch.
    assert (len(first), len(second)) == (2, 4) and sorted(first + second) == sorted(nearest(0.5, 6))
    assert len(one.run.trainer.references) == 1 and one.curriculum.round_due
    plan(one, 3)
    assert len(one.run.trainer.references) == 2
    assert set(step.timing) == {"selection", "reference_rollouts", "predict_difficulty"}


def test_the_steps_target_is_what_the_choice_aims_at(make):
    for target in (0.1, 0.9):
        one = make()
        batches = [*plan(one, 1, target)[1], *plan(one, 2, target)[1]]
        assert sorted(batches) == sorted(nearest(target, 6)) != sorted(nearest(0.5, 6))


def test_a_later_batch_of_a_round_follows_the_target_of_its_own_step(make):
    for later in (0.1, 0.9):
        one = make()
        _, first = plan(one, 1, 0.5)
        step, second = plan(one, 2, later)
        left = [question for question in nearest(later, 12) if question not in first]
        assert sorted(second) == sorted(left[:4]) and len(one.run.trainer.references) == 1  # by the round's prediction
        assert {question: step.predicted[question] for question in second} == {
            question: predictions()[0][question] for question in second
        }


def test_mixed_references_become_rows_of_the_step_and_the_others_leave_the_queue(make, queue):
    one = make()
    step, _ = plan(one, 1, target=0.8)
    # Nearest to 0.8 first; a rollout i has i + 1 tokens, so a group of 4 has 10.
    uids = ["step0000001-reference000002", "step0000001-reference000001"]
    assert list(step.question_of.items()) == list(zip(uids, (10, 8), strict=True))
    assert step.other_tokens == 20 == step.metrics["training/unused_tokens"] and step.other_rollouts == 8
    assert not queue.tags["reference"] and not queue.fields["reference"]
    tags = {key: tag for key, tag in queue.tags["train"].items() if "is_prompt" not in tag}
    assert set(tags) == {f"{uid}_{session}_0" for uid in uids for session in range(4)}
    assert {tag["origin"] for tag in tags.values()} == {"reference"}
    assert {queue.tags["train"][uid]["global_steps"] for uid in uids} == {1}


def test_references_without_reuse_only_measure(make, queue):
    one = make(reuse_references=False)
    step, first = plan(one)
    assert len(first) == 4 and step.question_of == {} and not queue.tags["train"] and not queue.tags["reference"]
    assert (step.other_tokens, step.other_rollouts) == (40, 16)
    assert one.metrics(step)["selection/reference/reused_groups"] == 0


def test_references_of_which_rollouts_failed_are_left_out(make):
    trainer = MemoryTrainer(rewards)
    trainer.missing = {8}
    one = make(trainer)
    step, first = plan(one)
    assert [row[:3] for row in observed(one)] == [(1, 12, 1.0), (1, 10, 0.75), (1, 0, 0.0)]
    assert list(step.question_of.values()) == [10] and len(first) == 3
    assert step.other_tokens == 27  # 7 of what failed, two groups of 10
    assert step.other_rollouts == 3 + 2 * 4
    assert one.metrics(step)["selection/reference/effective_groups"] == 1 / 3


def test_rounds_are_uniform_while_predictions_are_not_trusted(make, caplog):
    # No prediction correlates by 1; the round that finds out is drawn uniformly, and so is the next.
    one = make(rho_floor=1.0, rho_rounds=1, uniform_rounds=1)
    with caplog.at_level(logging.WARNING):
        step, first = plan(one)
    assert one.metrics(step)["selection/trusted"] == 0 and "below dots.selection.rho_floor=1" in caplog.text
    assert step.predicted == {}  # what is distrusted is no ground for another method to act on
    assert step.uniform == set(first)  # nor were these chosen at any target
    further = one.top_up(step, 2, first)
    assert len(further) == 2 and step.uniform == {*first, *further.tolist()}
    second = plan(one, 2)[1]
    assert set(first + second).isdisjoint(REFERENCES) and set(first + second) != set(nearest(0.5, 6))
    step, third = plan(one, 3)
    assert one.metrics(step) == {"selection/trusted": 0.0} and step.predicted == {} and step.other_tokens == 0
    assert step.uniform == set(third)
    fourth = plan(one, 4)[1]
    assert len(third) == 4 == len(fourth) and len({*third, *fourth}) == 8
    assert len(one.run.trainer.references) == 1
    plan(one, 5)
    assert len(one.run.trainer.references) == 2


def group(question, origin=Origin.FRESH, sampled=5):
    return Group(f"{origin.value}{question}", rewards(question), origin, sampled, question)


def test_outcomes_are_dated_at_the_step_that_sampled_them_and_only_new_choices_count(make):
    one = make()
    plan(one)
    before = observed(one)
    groups = [
        group(6), group(7, Origin.CACHED, 3), group(11), group(9, Origin.CACHED, 4), group(8, Origin.REFERENCE),
        group(10, Origin.REPLAYED, 2),
    ]  # fmt: skip
    one.observe(step := Step(5, groups={group.uid: group for group in groups}), None)
    assert observed(one)[len(before) :] == [(3, 7, 0.25, 4), (4, 9, 0.5, 4), (5, 6, 0.25, 4), (5, 11, 0.75, 4)]
    assert one.metrics(step)["selection/effective_groups"] == 1
    one.begin(step := Step(6, groups={"a": group(8, Origin.REFERENCE), "b": group(10, Origin.REPLAYED)}))
    one.observe(step, None)
    assert len(observed(one)) == len(before) + 4 and one.metrics(step) == {}


def test_questions_count_alike_in_figures_whatever_their_rollouts(make):
    one = make()
    _, (first, second) = plan(one)
    groups = [Group("a", (0.0,) * 6 + (1.0, 1.0), question=first), Group("b", (1.0, 0.0), question=second)]
    one.observe(step := Step(1, groups={each.uid: each for each in groups}), None)
    figures = one.metrics(step)
    assert figures["selection/measured_difficulty"] == (0.75 + 0.5) / 2  # over the rollouts 0.7
    assert [row[3] for row in observed(one)[-2:]] == [8, 2]  # what the predictor weighs them by


def test_all_figures_of_a_round_and_no_others(make):
    one = make()
    step, chosen = plan(one)
    chosen += plan(one, 2)[1]
    assert step.predicted == {question: predictions()[0][question] for question in nearest(0.5, 6)}
    one = make()
    step, _ = plan(one)
    step.groups = {str(question): group(question, sampled=1) for question in (*chosen, 3)}
    one.observe(step, None)
    figures = one.metrics(step)
    explored = {name for name in declared(Selection) if "explored" in name}  # of runs without references
    assert set(figures) == declared(Selection) - EFFECTIVENESS - explored
    predicted_P, held_out_K = predictions()
    by_hand = np.corrcoef(held_out_K, MEASURED)[0, 1]
    assert figures["selection/reference/rho"] == pytest.approx(by_hand) and by_hand < 1
    assert figures["selection/predicted_difficulty/all"] == pytest.approx(predicted_P.mean())
    assert figures["selection/trusted"] == 1 and figures["selection/reference/difficulty"] == 0.5625
    assert figures["selection/reference/effective_groups"] == 0.5
    assert figures["selection/reference/reused_groups"] == 2
    shown = [1 - np.mean(rewards(question)) for question in chosen]
    assert figures["selection/measured_difficulty"] == pytest.approx(np.mean(shown))  # 3 was not predicted
    mixed = [6 <= question <= 11 for question in (*chosen, 3)]
    assert figures["selection/effective_groups"] == pytest.approx(np.mean(mixed))


def test_a_reward_outside_the_range_is_refused_by_name(make):
    one = make(MemoryTrainer(lambda question: (2.0, 2.0)))
    with pytest.raises(ValueError, match="step0000001-reference000000: mean reward 2.0 is outside dots.reward_range"):
        plan(one)
    one = make()
    with pytest.raises(ValueError, match="x: mean reward -1.0 is outside"):
        one.observe(Step(1, groups={"x": Group("x", (-1.0,), question=3)}), None)


def test_a_restored_stage_chooses_the_same(make, tmp_path):
    whole, saved, restored = (make(tau=0.05, rho_rounds=2, fresh=2) for _ in range(3))
    for one in (whole, saved):
        step, chosen = plan(one)
        step.groups = {str(question): group(question, sampled=1) for question in chosen}
        one.observe(step, None)
    carry_over(saved, restored, tmp_path)
    for number, target in ((2, 0.7), (3, 0.7), (4, 0.2)):
        (step, mine), (_, theirs) = plan(restored, number, target), plan(whole, number, target)
        assert mine == theirs and restored.metrics(step) == whole.metrics(step)
        assert restored.top_up(step, 2, mine).tolist() == whole.top_up(step, 2, mine).tolist()
        assert observed(restored) == observed(whole)
    assert restored.run.trainer.references == whole.run.trainer.references[1:]


def test_a_state_of_other_embeddings_or_rounds_is_refused(make):
    one = make()
    plan(one)
    state = one.state_dict()
    other = make(difficulty={"reads": "answer_and_question"})
    with refused("difficulty predictor and embeddings", "other run"):
        other.load_state_dict(state)
    with refused("selection", "other run", "'predictor'"):
        one.load_state_dict({name: value for name, value in state.items() if name != "predictor"})
    with refused("fresh questions a batch (dots.replay.delta)", "other run", "has 4", "has 2"):
        make(fresh=2).load_state_dict(state)


def test_a_step_that_lacks_questions_gets_others_of_the_same_round(make):
    one = make()
    step, planned = plan(one)
    more = one.top_up(step, 3, planned).tolist()
    assert len(set(more)) == 3 and set(more) <= set(range(16)) - set(planned)
    # The first are of the round's reserve; no more than these is known to be near the target.
    reserve = [question for question in more if question in one.curriculum.predicted]
    assert step.uniform == set(more) - set(reserve) and more[: len(reserve)] == reserve != more


def test_by_effectiveness_the_questions_of_the_greatest_expected_share_are_chosen_and_the_rest_stays_the_same(make):
    one = make(score="effectiveness", alpha=0.8)
    step, first = plan(one)
    predictor = OnlinePredictor(EMBEDDING, 8.0)
    predictor.observe(1, np.array(REFERENCES), np.array(MEASURED), np.full(4, 4), DIFFER)
    expected_P = predictor.effectiveness(1, np.array(REFERENCES), np.array(MEASURED), one.run.rollout.n)
    others = [question for question in range(16) if question not in REFERENCES]
    best = sorted(others, key=lambda question: -expected_P[question])[:6]
    figures = one.metrics(step)
    assert sorted(first + plan(one, 2)[1]) == sorted(best) != sorted(nearest(0.8, 6))
    # What is said of their difficulty, and which references are reused, does not depend on the score.
    assert step.predicted == {question: predictions()[0][question] for question in best}
    assert list(step.question_of.values()) == [8, 10]
    assert figures["selection/predicted_effective_groups/all"] == pytest.approx(expected_P.mean())
    assert figures["selection/predicted_effective_groups"] == pytest.approx(expected_P[best].mean())


def test_a_restored_stage_chooses_the_same_by_effectiveness(make, tmp_path):
    whole, saved, restored = (make(score="effectiveness", tau=0.05) for _ in range(3))
    for one in (whole, saved):
        plan(one)
    carry_over(saved, restored, tmp_path)
    for number in (2, 3, 4):
        (step, mine), (_, theirs) = plan(restored, number), plan(whole, number)
        assert mine == theirs and restored.metrics(step) == whole.metrics(step)


def test_a_state_of_other_surface_columns_is_refused(make):
    one = make()
    plan(one)
    with refused("difficulty predictor and embeddings", "other run", "'surface': ''"):
        make(difficulty={"surface": False}).load_state_dict(one.state_dict())


def test_a_difficulty_that_is_in_the_data_reaches_the_predictor_and_belongs_to_its_state(make, monkeypatch):
    levels = np.arange(16.0)
    monkeypatch.setattr(TrainQuestions, "numbers", lambda self, field, key: {"rank.first": levels}[field])
    one, without = make(difficulty={"field": "rank.first"}), make()
    assert one.predictor.known_P is levels and without.predictor.known_P is None
    for stage in (one, without):
        plan(stage)
    with refused("difficulty predictor and embeddings", "other run", "'field': 'rank.first'"):
        make(difficulty={"field": "rank.first"}).load_state_dict(without.state_dict())
    with refused("difficulty predictor and embeddings", "other run", "'field': 'rank.first'"):
        without.load_state_dict(one.state_dict())


def rolled_out(one, step, questions):
    """What the step's rollouts show, taken in."""
    step.groups = {str(question): group(question, sampled=step.number) for question in questions}
    one.observe(step, None)
    return one.metrics(step)


def test_without_references_the_predictor_learns_from_training_alone(make, tmp_path):
    trainer = MemoryTrainer(rewards)
    one = make(trainer, references=0, explore=0.25, mu=1)
    step, chosen = plan(one)
    # Nothing is known yet, so all are drawn uniformly.
    assert len(set(chosen)) == 4 and step.predicted == {}
    assert rolled_out(one, step, chosen)["selection/trusted"] == 0
    for number in range(2, 6):
        step, chosen = plan(one, number)
        predicted = OnlinePredictor(EMBEDDING, 8.0)
        predicted.load_state_dict(one.predictor.state_dict())
        figures = rolled_out(one, step, chosen)
        assert figures["selection/trusted"] == 1 and len(set(chosen)) == 4
        explored = set(chosen) - set(one.curriculum.predicted)
        assert len(explored) == 1 and set(step.predicted) == set(chosen) and step.uniform == explored
        # The other three are those predicted nearest to the target.
        difficulty_P = predicted.predict(number, np.empty(0, int), np.empty(0))[0]
        nearest_P = np.argsort(abs(difficulty_P - 0.5), kind="stable")[:3]
        assert set(nearest_P.tolist()) == set(chosen) - explored
    assert trainer.references == [] and step.other_tokens == 0
    assert sorted({place for place, *_ in observed(one)}) == [1, 2, 3, 4, 5]
    assert one.metrics(step).keys() <= declared(Selection) and figures["selection/explored/groups"] == 3
    # A resumed run chooses the same.
    other = make(MemoryTrainer(rewards), references=0, explore=0.25, mu=1)
    carry_over(one, other, tmp_path)
    assert [plan(one, number)[1] for number in (6, 7)] == [plan(other, number)[1] for number in (6, 7)]


def test_what_was_asked_for_in_an_earlier_round_is_compared_with_what_was_predicted_then(make):
    one = make(references=0, explore=0.25, mu=1)
    for number in (1, 2, 3):
        step, chosen = plan(one, number)
        step.groups = {str(question): group(question, sampled=number) for question in (0, 11, 15)}
        step.forecast, step.uniform = {0: 0.25, 11: 0.5}, {0, 15}
        one.observe(step, None)
    figures = one.metrics(step)
    # Each round has measured question 0, drawn uniformly, at 0, and question 11, which was selected, at 0.75.
    pairs = one.exploration.take_pairs()
    assert [column.tolist() for column in pairs] == [[0.25], [0.0]] and figures["selection/explored/groups"] == 2
    assert figures["selection/predicted_difficulty"] == 0.5 and figures["selection/measured_difficulty"] == 0.75


def test_a_step_that_plans_several_rounds_has_what_each_of_them_predicts(make):
    one = make(mu=1, reuse_references=False)
    step, first = plan(one, target=0.1)
    predicted, step.target = dict(step.predicted), 0.9
    second = one.plan(step).tolist()
    assert step.predicted == {**predicted, **one.curriculum.predicted}
    assert set(step.predicted) == {*first, *second} and not set(first) & set(second)


def test_distrusted_predictions_without_references_pause_for_uniform_rounds(make):
    one = make(references=0, explore=0.5, mu=1, rho_floor=1.0, rho_rounds=1, uniform_rounds=2)
    trusted = []
    for number in range(1, 24):
        step, chosen = plan(one, number)
        trusted.append(rolled_out(one, step, chosen)["selection/trusted"])
    # 2 pairs a round from the second on, so 32 of them before round 18; that one and two more are uniform.
    assert trusted == [0] + [1] * 16 + [0, 0, 0] + [1] * 3


def test_what_selection_without_references_asks_of_a_run(tmp_path):
    def refuse(more=(), **changes):
        dots = {"selection": {"enable": True, "references": 0}, "difficulty": {"backbone": "model"}, **dict(more)}
        run = make_run(dots, **changes)
        OmegaConf.update(run.config, "trainer.v1.trainer_mode", "dots", force_add=True)
        OmegaConf.update(run.config, OWN_AGENT_LOOP.key, OWN_AGENT_LOOP.allowed[0], force_add=True)
        Selection.refuse(run.config, run.dots)

    refuse()
    attention = {"backbone": "model", "predictor": "attention", "checkpoint": "folder"}
    with refused("dots.difficulty.predictor", "excluded"):
        refuse({"difficulty": attention})
    with refused("dots.selection.references", "size"):
        refuse(data__train_batch_size=1)
    with refused("dots.selection.references", "size"):
        refuse({"replay": {"enable": True, "delta": 0.25}})


def test_a_state_of_version_1_is_brought_to_the_present_one(make):
    one, restored = make(), make()
    step, chosen = plan(one)
    saved = {"questions": "", "state": one.state_dict()}
    old = {
        **saved["state"],
        "curriculum": dict(saved["state"]["curriculum"]),
        "predictor": dict(saved["state"]["predictor"]),
    }
    old["curriculum"]["trust"] = {name: old["curriculum"]["trust"][name] for name in ("window", "paused")}
    observed = old["predictor"]["observed"]
    old["predictor"]["observed"] = {name: observed[name] for name in observed if name != "effective"}
    migrated = Selection.MIGRATIONS[1]({"questions": "", "state": old})["state"]
    np.testing.assert_array_equal(migrated["predictor"]["observed"]["effective"], observed["effective"])
    restored.load_state_dict(migrated)
    assert plan(one, 2)[1] == plan(restored, 2)[1]


def test_a_state_of_version_2_awaits_what_was_drawn_and_not_measured(make):
    one, restored = make(references=0), make(references=0)
    plan(one)
    state = one.state_dict()
    state["exploration"] = {name: of for name, of in state["exploration"].items() if name != "awaited"}
    migrated = Selection.MIGRATIONS[2]({"questions": "", "state": state})["state"]
    assert migrated["exploration"]["awaited"].tolist() == sorted(state["exploration"]["pending_questions"].tolist())
    restored.load_state_dict(migrated)
    assert Selection.STATE_VERSION == 3
