"""MoPPS in a step, without Ray."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.launches import question_row, write_rows
from tests.methods.memory import batch, carry_over, make_run
from tests.refusals import refused
from verl_dots.config import DotsConfig
from verl_dots.data.questions import read_questions
from verl_dots.methods.mopps.checks import refuse_mopps_questions
from verl_dots.methods.mopps.stage import MoPPS
from verl_dots.methods.mopps.state import MoPPSState
from verl_dots.step import Origin, Step


def stage(questions=8, **settings):
    return MoPPS.make(make_run({"mopps": {"enable": True, **settings}}, questions))


def trained(one, rewards, number=1, **more):
    step = Step(number)
    one.begin(step)
    one.observe(step, batch(step, rewards, **more))
    return one.metrics(step)


def test_a_step_gets_as_many_different_questions_as_it_rolls_out_drawn_by_a_stream_of_its_own():
    one = stage()
    drawn = MoPPSState(one.run.dots.mopps, 8, 4, np.random.default_rng([one.run.dots.seed, 2507_04632]))
    planned = one.plan(Step(1, target=0.5)).tolist()
    assert planned == drawn.planned(0.5).tolist() and len(set(planned)) == 4
    assert set(one.top_up(Step(1), 2, {0, 1, 2, 3, 4, 5}).tolist()) == {6, 7}
    assert one.target() == 0.5 and one.knows_questions


def test_what_has_been_measured_is_predicted_and_a_prior_alone_is_no_prediction():
    one = stage()
    one.plan(step := Step(1, target=0.5))
    assert step.predicted == {}
    trained(one, {question: (0.0, 0.0) for question in range(8)})
    one.plan(step := Step(2, target=0.5))
    assert list(step.predicted.values()) == [0.75] * 4  # Beta(1, 3)


def test_figures_are_of_new_groups_and_of_graded_rewards():
    one = stage()
    figures = trained(one, {0: (0.5, 1.0), 1: (0.0, 0.0)})
    assert figures == {
        "mopps/predicted_difficulty": 0.5, "mopps/measured_difficulty": 0.625, "mopps/covered": 0.25,
    }  # fmt: skip
    # Beta(1, 1) with 1.5 successes of 2, and with none of 2.
    assert one.state.predicted(np.array([0, 1, 2])).tolist() == [1 - 2.5 / 4, 1 - 1 / 4, 0.5]
    assert trained(one, {0: (0.0, 0.0)}, number=2, origin=Origin.REPLAYED, sampled=1) == {}


def test_questions_count_alike_in_figures_and_by_their_rollouts_in_the_posteriors():
    one = stage()
    figures = trained(one, {0: (1.0, 0.0, 0.0, 0.0, 0.0, 0.0), 1: (1.0, 0.0)})  # of 6 and 2 rollouts
    assert figures["mopps/measured_difficulty"] == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert one.state.predicted(np.array([0, 1])).tolist() == [1 - 2 / 8, 1 - 2 / 4]  # Beta(2, 6) and Beta(2, 2)


def test_a_reward_outside_of_its_range_is_an_error():
    with pytest.raises(ValueError, match="outside dots.reward_range"):
        trained(stage(), {0: (2.0, 2.0)})


def test_bots_moves_the_posteriors_of_questions_that_were_not_rolled_out():
    run = make_run({"mopps": {"enable": True, "reference": ["weak", "strong"]}})
    run.questions.numbers = lambda field, key: np.full(8, {"weak": 0.25, "strong": 0.75}[field])
    one = MoPPS.make(run)
    trained(one, {0: (1.0, 1.0), 1: (0.0, 1.0)})
    assert one.state.predicted(np.array([7])) != 0.5


def test_a_resumed_stage_chooses_as_the_one_that_was_saved(tmp_path):
    one, other = stage(), stage()
    trained(one, {0: (1.0, 1.0), 1: (0.0, 1.0)})
    one.plan(Step(1))
    carry_over(one, other, tmp_path)
    for number in (2, 3):
        assert other.plan(Step(number)).tolist() == one.plan(Step(number)).tolist()


def refuse(verls=None, **dots):
    run = make_run({"mopps": {"enable": True}} | dots, trainer__v1__trainer_mode="dots", **(verls or {}))
    MoPPS.refuse(run.config, run.dots)


@pytest.mark.parametrize(
    ("group", "settings", "key"),
    [
        ("selection", {}, "dots.selection.enable"),
        ("adarft", {}, "dots.adarft.enable"),
        ("preemptive", {"prompts": 16}, "dots.preemptive.prompts"),
        ("preemptive", {"updates": 3}, "dots.preemptive.prompts"),
    ],
)
def test_other_sources_and_rollouts_of_several_steps_at_once_are_refused(group, settings, key):
    others = {group: {"enable": True} | settings}
    with refused(key, "excluded"):
        refuse(**others)
    refuse(**others, mopps={"enable": False})


def test_what_a_source_needs_of_verl_is_asked_for_and_nothing_more():
    with refused("algorithm.filter_groups.enable", "excluded"):
        refuse({"algorithm__filter_groups__enable": True})
    refuse(preemptive={"enable": True}, budget={"enable": True})


@pytest.mark.parametrize(("second", "advice"), [(0.6, None), (0.2, "swap them"), (0.405, "name models that differ")])
def test_the_second_reference_is_of_the_stronger_model(tmp_path, second, advice):
    """Where it is not, the policy stands nowhere between the two, and no question learns from another."""
    extra = {"weak": 0.4, "strong": second}
    rows = [question_row(f"What is {i} plus 1?", str(i + 1), extra_info=extra | {"index": i}) for i in range(4)]
    write_rows(tmp_path / "train.parquet", rows)
    config = OmegaConf.create({"data": {"train_files": str(tmp_path / "train.parquet")}})
    dots = DotsConfig.from_mapping({"mopps": {"enable": True, "reference": ["extra_info.weak", "extra_info.strong"]}})
    known = read_questions([tmp_path / "train.parquet"])
    if advice is None:
        refuse_mopps_questions(config, dots, known, 4)
        return
    with refused("dots.mopps.reference", "data", "0.4", f"{second:g}", advice):
        refuse_mopps_questions(config, dots, known, 4)
