"""E3's stages in a step, without Ray."""

import numpy as np
import pytest
import torch

from tests.methods.memory import carry_over, declared, make_run, put, together
from tests.refusals import refused
from verl_dots.methods.e3.stages import Budget, LengthPenalty, Temperature
from verl_dots.methods.entropy import sampled_entropy
from verl_dots.methods.run import Scores
from verl_dots.state import Kind, load_state, save_state
from verl_dots.step import Group, Origin, Step

WHOLE = {0: (1.0,) * 4, 1: (1.0, 1.0, 1.0, 0.0), 2: (1.0, 1.0, 0.0, 0.0), 3: (0.0,) * 4}  # an epoch of 4 questions


def step_of(rewards, origin=Origin.FRESH, number=1, age=0, **more):
    sampled = number - age
    groups = {str(each): Group(str(each), of, origin, sampled, question=each) for each, of in rewards.items()}
    return Step(number, groups=groups, **more)


def shown(one, now):
    one.begin(now)
    one.observe(now, None)
    return one.metrics(now)


# --- budget ----------------------------------------------------------------------------------------------------------


def budget(n=4, **changes):
    settings = {"enable": True, "least": 2, "most": 6, **changes}
    return Budget.make(make_run({"budget": settings}, questions=4, actor_rollout_ref__rollout__n=n))


def test_hard_questions_get_more_rollouts_once_their_rewards_are_known():
    one = budget()
    assert one.sizes(Step(1), np.array([3, 0])).tolist() == [4, 4]
    shown(one, step_of(WHOLE))
    # Ranks 1/8, 3/8, 5/8, 7/8; 2 each, 8 to deal: 0.5, 1.5, 2.5, 3.5 floored; of the two left the hardest has room
    # for one.
    assert one.sizes(Step(2), np.arange(4)).tolist() == [2, 3, 5, 6]
    assert one.sizes(Step(2), np.array([3, 0])).tolist() == [6, 2]
    assert one.knows_questions and one.unequal_groups


def test_predicted_difficulties_deal_the_rollouts_from_the_first_step():
    # 2 each; 8 by 0.001, 1, 0.5 and 0.5, as question 3 is not predicted: 0, 3, 1, 1. Of the 3 left question 1 has room
    # for one, and 2 is the next; spread, 2 and 3 get one each.
    now = Step(2, predicted={0: 0.0, 1: 1.0, 2: 0.5})
    for remainder, expected in (("hardest", [2, 6, 5, 3]), ("spread", [2, 6, 4, 4])):
        one = budget(by="predicted", widen=None, remainder=remainder)
        shown(one, step_of(WHOLE))  # changes nothing
        assert one.sizes(now, np.arange(4)).tolist() == expected
        assert one.sizes(Step(2), np.arange(4)).tolist() == [4, 4, 4, 4]


def test_only_groups_that_are_new_count():
    one = budget()
    assert shown(one, step_of(WHOLE, Origin.REPLAYED)) == {}
    assert one.sizes(Step(2), np.arange(4)).tolist() == [4, 4, 4, 4]
    assert shown(one, step_of(WHOLE, Origin.REFERENCE)) == {}  # of which only effective groups are kept
    assert one.sizes(Step(2), np.arange(4)).tolist() == [4, 4, 4, 4]
    shown(one, step_of(WHOLE, Origin.CACHED))
    assert one.sizes(Step(3), np.arange(4)).tolist() == [2, 3, 5, 6]


def test_figures_of_the_budget_are_of_the_caps_that_the_step_was_sampled_within():
    one = budget()
    names = ("rollouts/min", "rollouts/max", "rollouts/std", "rollouts/least", "rollouts/most", "epoch")
    names += ("rollouts/p10", "rollouts/p50", "rollouts/p90")
    second = step_of({0: (1.0,) * 2, 3: (0.0,) * 6}, number=2)
    for step, values in ((step_of(WHOLE), (4, 4, 0, 4, 4, 1, 4, 4, 4)), (second, (2, 6, 2, 2, 6, 1, 2, 2, 6))):
        assert shown(one, step) == {f"budget/{name}": value for name, value in zip(names, values, strict=True)}
    assert {f"budget/{name}" for name in names} == declared(Budget)
    assert shown(one, Step(3)) == {}


def test_caps_are_not_told_of_rollouts_that_an_earlier_step_sampled():
    for origin in (Origin.CACHED, Origin.FRESH):  # an asynchronous trainer's own may be of an earlier step, too
        figures = shown(budget(), step_of(WHOLE, origin, number=3, age=1))
        assert figures["budget/rollouts/max"] == 4 and "budget/rollouts/least" not in figures
        assert "budget/rollouts/most" not in figures


def test_a_restored_budget_deals_the_same_and_belongs_to_its_n(tmp_path):
    one, restored = budget(), budget()
    shown(one, step_of(WHOLE))
    carry_over(one, restored, tmp_path)
    assert restored.sizes(Step(2), np.arange(4)).tolist() == [2, 3, 5, 6]
    with refused("actor_rollout_ref.rollout.n", "other run", "has 4", "has 3"):
        budget(n=3).load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match="from 2 to 6 do not allow n=8"):
        budget(n=8)


def test_quantiles_of_the_rollouts_are_sizes_of_groups():
    # Ten questions with 2, 2, 3, 3, 4, 5, 5, 6, 6, 12 rollouts: the first, the fifth and the ninth.
    sizes = (2, 2, 3, 3, 4, 5, 5, 6, 6, 12)
    run = make_run({"budget": {"enable": True, "least": 2, "most": 12}}, questions=10)
    figures = shown(Budget.make(run), step_of({question: (0.0,) * size for question, size in enumerate(sizes)}))
    assert [figures[f"budget/rollouts/p{share}"] for share in (10, 50, 90)] == [2, 4, 6]


# --- temperature -----------------------------------------------------------------------------------------------------


def temperature(**changes):
    return Temperature.make(make_run({"temperature": {"enable": True, "target": 0.5, **changes}}))


def rows_of(entropies, now=None, **more):
    """A group whose rollouts have entropies by token; the engine drew the tokens with just those."""
    now = now or Step(1)
    lengths = [len(of) for of in entropies]
    rows = put(now, more.pop("uid", "a"), (0.0,) * len(entropies), lengths=lengths, **more)
    rows.put({"entropy": [torch.tensor(of) for of in entropies]})
    rows.put({"rollout_log_probs": [-torch.tensor(of) for of in entropies]})
    return rows


def test_the_temperature_is_set_before_the_rollouts():
    one = temperature(target=1.0)
    one.begin(now := Step(1, temperature=9.0))
    assert one.run.trainer.temperatures == [1.0] and now.temperature == 1.0
    one.observe(now, rows_of([[0.5]]))
    assert one.metrics(now).keys() == declared(Temperature)
    one.begin(now := Step(2))
    assert one.metrics(now) == {}  # until the step's own rollouts are there
    # ln 2 / (ln 16 + ln ln 16) = 0.6931 / (2.7726 + 1.0198)
    assert now.temperature == pytest.approx(1.18278, abs=1e-5) and one.run.trainer.temperatures[1:] == [now.temperature]


BF16 = {"actor_rollout_ref__actor__fsdp_config__mixed_precision__param_dtype": "bf16"}


def test_a_trainer_in_bfloat16_and_its_engine_are_given_one_temperature():
    """1.18278 is not among the numbers of bfloat16, which has 151 / 128 = 1.1796875 there. The state keeps it."""
    one = Temperature.make(make_run({"temperature": {"enable": True, "target": 1.0}}, **BF16))
    one.begin(now := Step(1))
    one.observe(now, rows_of([[0.5]]))
    one.begin(now := Step(2))
    assert now.temperature == 1.1796875 and one.run.trainer.temperatures == [1.0, 1.1796875]
    assert one.state_dict()["value"] == pytest.approx(1.18278, abs=1e-5)
    one.observe(now, rows_of([[1.0]], now))
    assert one.metrics(now)["temperature/temperature"] == 1.1796875


def test_moves_of_the_temperature_that_bfloat16_does_not_tell_apart_add_up():
    """Each of 0.001, as ln(0.5 / 0.498107) = 0.0037924 of ln 16 + ln ln 16: after four of them 1.004 is nearer to
    129 / 128 than to 1.
    """
    one = Temperature.make(make_run({"temperature": {"enable": True, "target": 0.5}}, **BF16))
    for number in range(1, 6):
        one.begin(now := Step(number))
        one.observe(now, rows_of([[0.498107]], now, uid=f"u{number}"))
    assert one.run.trainer.temperatures == [1.0, 1.0, 1.0, 1.0, 1.0078125]


def test_such_moves_add_up_where_rollouts_come_a_step_later(tmp_path):
    """Each step trains on what the one before asked for. The fifth asks for 129 / 128 and trains on rollouts of 1,
    which was rounded from 1.003. From the rounded 1 the controller would never get beyond 1.001.
    """

    def made():
        return Temperature.make(make_run({"temperature": {"enable": True, "target": 0.5}}, **BF16))

    one, given = made(), [1.0]
    for number in range(1, 8):
        one.begin(now := Step(number))
        sampled_at = {} if given[-1] == now.temperature else {"temperature": given[-1]}  # as an asynchronous trainer
        one.observe(now, rows_of([[0.498107]], now, uid=f"u{number}", **sampled_at))
        given.append(now.temperature)
        carry_over(one, restored := made(), tmp_path)
        one = restored
    assert given[1:] == [1.0, 1.0, 1.0, 1.0, 1.0078125, 1.0078125, 1.0078125]
    assert one.controller.value == pytest.approx(1.006, abs=1e-4)


def test_a_temperature_saved_before_rounding_was_remembered_is_taken_over(tmp_path):
    one = temperature()
    old = {name: value for name, value in one.state_dict().items() if "rounded" not in name}
    save_state(tmp_path / "old", Kind("temperature", 1), {"questions": None, "state": old})
    assert load_state(tmp_path / "old", Temperature.state_kind())["state"] == one.state_dict()


def test_the_temperature_moves_from_that_of_the_rollouts_whose_entropy_is_known():
    # The engine has sampled two rollouts at 0.8, which an earlier step asked for, and one at the step's 1.4: a mean of
    # 1. At the target it stays; at half of it it is 1 + ln 2 / (ln 16 + ln ln 16). Of stored rows none counts.
    for entropy, expected in ((0.5, 1.0), (0.25, 1.18278)):
        one = temperature(target=0.5)
        one.controller.value = 1.4
        one.begin(now := Step(3))
        rows = together(
            rows_of([[entropy]] * 2, now, temperature=0.8),
            rows_of([[entropy]], now, uid="b"),
            rows_of([[7.0]], now, uid="c", origin=Origin.REPLAYED, temperature=0.1),
        )
        one.observe(now, rows)
        assert one.metrics(now)["temperature/temperature"] == 1.4
        assert one.controller.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("measured", ["recomputed", "engine"])
def test_the_entropy_is_the_mean_over_the_tokens_of_the_steps_own_rollouts(measured):
    one = temperature(entropy=measured)
    rows = together(
        rows_of([[1.0], [0.25, 0.25]]),  # 0.5; the mean of the rows' means is 0.625
        rows_of([[0.125, 0.875]], uid="b", origin=Origin.REFERENCE),
        rows_of([[7.0]], uid="c", origin=Origin.CACHED),
        rows_of([[8.0]], uid="d", origin=Origin.REPLAYED),
        rows_of([[9.0]], uid="e", padding=True),
    )
    rows.at([4]).put({"entropy": [torch.tensor([3.0])]})  # a stored row
    one.begin(now := Step(1))
    one.observe(now, rows)
    figures = one.metrics(now)
    assert figures == {"temperature/temperature": 1.0, "temperature/entropy": 0.5, "temperature/target": 0.5}
    assert set(figures) == declared(Temperature)
    one.begin(now := Step(2))
    assert now.temperature == 1.0 and one.metrics(now) == {}


def test_the_entropy_stands_where_hard_questions_have_more_rollouts():
    one = temperature(target=0.5)
    # A question of entropy 0.75 and one of 0.25, with 1 to 3 rollouts of a token each: over the tokens 0.375 and 0.625.
    for number, (hard, easy) in enumerate([(2, 2), (1, 3), (3, 1)], start=1):
        rows = together(rows_of([[0.75]] * hard), rows_of([[0.25]] * easy, uid="b"))
        one.begin(now := Step(number))
        one.observe(now, rows)
        assert one.metrics(now)["temperature/entropy"] == pytest.approx(0.5, rel=1e-6)
        assert now.temperature == pytest.approx(1.0, rel=1e-6)


def test_tokens_of_a_tool_have_no_entropy_and_rounding_is_none():
    rows = rows_of([[0.5, 4.0, 1.0]])
    rows.put({"response_mask": [torch.tensor([1, 0, 1])]})
    one = temperature()
    one.observe(now := Step(1), rows)
    assert one.metrics(now)["temperature/entropy"] == 0.75
    one = temperature(entropy="engine")
    one.observe(now, rows_of([[0.5, -0.25, 1.0]]))  # a log-prob of 0.25
    assert one.metrics(now)["temperature/entropy"] == 0.5


def test_the_sampled_entropy_is_of_all_rows_that_it_is_given():
    rows = together(
        rows_of([[1.0], [0.25, 0.25]]),
        rows_of([[0.125, 0.875], [0.5, 0.5]], uid="b", origin=Origin.CACHED),
        rows_of([[9.0]], uid="c", padding=True),
    )
    assert sampled_entropy(rows) == 0.5  # 1.5 of three tokens, 2 of four
    # Of unequal groups each counts alike: 0.75 with a rollout, 0.25 with three.
    assert sampled_entropy(together(rows_of([[0.75]]), rows_of([[0.25]] * 3, uid="b"))) == pytest.approx(0.5)
    assert sampled_entropy(rows.at([4])) is None


def test_a_step_whose_own_rollouts_have_all_failed_leaves_the_temperature():
    one = temperature(target=1.0)
    one.observe(Step(1), rows_of([[0.5]]))
    value = one.controller.value
    one.begin(now := Step(2))
    one.observe(now, rows_of([[0.25]], origin=Origin.REPLAYED))
    assert one.metrics(now) == {} and one.controller.value == value


@pytest.mark.parametrize(("step", "target"), [(1, 0.5), (6, 0.5), (8, 0.475), (10, 0.45)])
def test_the_target_anneals_over_the_last_part_of_the_run(step, target):
    one = temperature(anneal_from=0.6)
    one.observe(now := Step(step), rows_of([[0.5]]))
    assert one.metrics(now)["temperature/target"] == pytest.approx(target)  # down to 0.9 of it


def test_a_restored_temperature_moves_the_same(tmp_path):
    whole, restored = temperature(target=None, damping=0.5), temperature(target=None, damping=0.5)
    for number, entropy in ((1, 0.5), (2, 0.25)):
        whole.observe(now := Step(number), rows_of([[entropy]]))
        assert ("temperature/target" in whole.metrics(now)) == (number > 1)  # measured in the first
    carry_over(whole, restored, tmp_path)
    for one in (whole, restored):
        one.observe(Step(3), rows_of([[0.125]]))
    restored.begin(now := Step(4))
    assert now.temperature == whole.controller.value > 1


# --- length penalty --------------------------------------------------------------------------------------------------


EASY = {0: (1.0, 1.0), 1: (0.0, 1.0), 2: (0.0, 0.0), 3: (0.0, 0.0)}  # an epoch of two rollouts each


def penalty(reward_range=(0.0, 1.0), seen=None, **changes):
    """A stage that has seen some rewards, at the begin of the next step."""
    settings = {"enable": True, "easiest": 0.25, "strength": 0.5, **changes}
    run = make_run({"length_penalty": settings, "reward_range": list(reward_range)}, questions=4)
    one = LengthPenalty.make(run)
    if seen:
        one.observe(step_of(seen), None)
    one.begin(Step(2))
    return one


def scores(*rows):
    return Scores(*(np.array(column) for column in zip(*rows, strict=True)))


EACH = scores(*((1.0, 2, question) for question in range(4)))  # s l = 1: half of the reward is left


def test_right_responses_to_the_easiest_questions_lose_by_their_length():
    one = penalty(seen=EASY)
    given = scores((1.0, 2, 0), (1.0, 2, 1), (1.0, 6, 0), (0.0, 2, 0), (0.5, 2, 0), (1.0, 2, -1))
    kept = [column_N.copy() for column_N in (given.reward_N, given.length_N, given.question_N)]
    # s l = 1 and 3: shares of 1/2 and 3/4. Question 0 is the easiest of four; the last row pads the batch.
    for _ in range(2):
        assert one.rewards(Step(2), given).tolist() == [0.5, 1.0, 0.25, 0.0, 0.5, 1.0]
    for before_N, now_N in zip(kept, (given.reward_N, given.length_N, given.question_N), strict=True):
        assert np.array_equal(before_N, now_N)
    assert one.knows_questions and one.metrics(Step(2)) == {}


def test_the_share_is_of_the_reward_range():
    one = penalty((-1.0, 3.0), {0: (3.0,) * 4, 1: (-1.0,) * 4}, easiest=0.5)
    assert one.rewards(Step(2), scores((3.0, 2, 0), (1.0, 2, 0))).tolist() == [1.0, 1.0]


def test_what_pads_the_batch_loses_nothing_where_every_question_is_easy():
    one = penalty(seen=EASY, easiest=1.0)
    assert one.rewards(Step(2), scores((1.0, 2, -1), (1.0, 2, 3))).tolist() == [1.0, 0.5]


def test_the_first_epoch_has_no_penalty_and_the_easiest_are_those_of_the_last_one():
    one = penalty(seen={0: (1.0, 1.0), 1: (0.0, 0.0), 2: (0.0, 0.0)})  # 6 of the 8 rollouts of an epoch
    assert one.rewards(Step(2), EACH).tolist() == [1.0, 1.0, 1.0, 1.0]
    one.observe(last := step_of({3: (0.0, 0.0)}, number=2), None)
    # What the step itself shows counts from the next one on.
    assert one.rewards(last, EACH).tolist() == [1.0, 1.0, 1.0, 1.0]
    one.begin(Step(3))
    assert one.rewards(Step(3), EACH).tolist() == [0.5, 1.0, 1.0, 1.0]
    one.observe(step_of({0: (0.0,) * 4, 1: (1.0,) * 3}), None)  # 7 of 8
    one.begin(Step(4))
    assert one.rewards(Step(4), EACH).tolist() == [0.5, 1.0, 1.0, 1.0]
    one.observe(step_of({1: (1.0,)}), None)
    one.begin(Step(5))  # means 2/6, 4/6
    assert one.rewards(Step(5), EACH).tolist() == [1.0, 0.5, 1.0, 1.0]


def test_ranked_before_each_step_by_what_was_seen_until_then():
    one = penalty(ranked="step", seen={0: (1.0,), 1: (0.0, 1.0)}, easiest=0.5)
    assert one.rewards(Step(2), EACH).tolist() == [0.5, 1.0, 1.0, 1.0]  # half of the two that were seen
    one.observe(now := step_of({0: (0.0,) * 3, 1: (1.0,) * 8}), None)
    assert one.rewards(now, EACH).tolist() == [0.5, 1.0, 1.0, 1.0]
    one.begin(Step(3))
    assert one.rewards(Step(3), EACH).tolist() == [1.0, 0.5, 1.0, 1.0]  # means 1/4 and 9/10


@pytest.mark.parametrize("ranked", ["epoch", "step"])
def test_a_restored_penalty_goes_on_in_its_epoch_and_replayed_groups_tell_nothing(ranked, tmp_path):
    one, restored = penalty(seen=EASY, ranked=ranked), penalty(ranked=ranked)
    one.observe(step_of({1: (1.0,) * 50}, Origin.REPLAYED), None)
    one.observe(step_of({1: (1.0,) * 50}, Origin.REFERENCE), None)  # of which only effective groups are kept
    one.observe(Step(2), None)
    one.observe(step_of({0: (0.0,) * 3}), None)  # means 2/5 and 1/2, within an epoch
    carry_over(one, restored, tmp_path)
    for each in (one, restored):
        each.begin(Step(3))
        easiest = 0 if ranked == "epoch" else 1
        assert np.flatnonzero(each.rewards(Step(3), EACH) < 1).tolist() == [easiest]
        each.observe(step_of({2: (1.0,) * 5}), None)  # the epoch ends: 2/5, 1/2, 5/7
        each.begin(Step(4))
        assert np.flatnonzero(each.rewards(Step(4), EACH) < 1).tolist() == [2]
    with refused("rewards of the epochs", "other run", "'mean'"):
        one.load_state_dict({"rewards": {}, "epoch": 0, "n": 2})
