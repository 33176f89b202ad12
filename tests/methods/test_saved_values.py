"""Every stage that remembers anything refuses a state of which one value is none that it can have saved."""

import numpy as np
import pytest

from tests.methods.memory import make_run
from tests.wrong_values import accepted
from verl_dots.difficulty.online import OnlinePredictor
from verl_dots.methods.adarft.stage import AdaRFT, AdaRFTTarget
from verl_dots.methods.dash.filter_stage import BalancedFilter
from verl_dots.methods.dash.preemptive_stage import Preemptive
from verl_dots.methods.e3.stages import Budget, LengthPenalty, Temperature
from verl_dots.methods.entropy_coefficient.stage import EntropyCoefficient
from verl_dots.methods.hooks import Stage
from verl_dots.methods.mopps.stage import MoPPS
from verl_dots.methods.replay.stage import Replay
from verl_dots.methods.selection import worker
from verl_dots.methods.selection.stage import Selection
from verl_dots.methods.table import METHODS
from verl_dots.step import Group, Step
from verl_dots.stored import Response, pack

EMBEDDING = np.stack([np.linspace(-1, 1, 16), np.tile([1.0, -1.0], 8)], axis=1).astype(np.float32)
# What is another value, and one that a run can have saved: rewards and targets have any sign, what is not known is
# None or NaN, and a list may be empty.
OF_GROUPS = {"log_probs_N: all negative"}
OF_EPOCHS = {"mean: all negative", "rewards.reward: all negative"}
OF_SELECTION = {
    "curriculum.predicted_difficulty: all negative", "curriculum.references: shorter",
    "curriculum.round.drawn_by: all negative", "curriculum.round.drawn_by: none", "curriculum.round.queue: no list",
    "curriculum.round.reserve: shorter", "curriculum.round.spare: shorter", "curriculum.round.target: negative",
    "curriculum.seen: all negative", "curriculum.seen: shorter", "curriculum.trust.rho: NaN",
    "curriculum.trust.rho: negative", "curriculum.trust.window: no list",
    "predictor.observed.expected: all NaN", "predictor.observed.expected: all negative",
}  # fmt: skip


def group(run, question):
    responses = [Response(np.array([3, 4]), np.array([-0.5, -0.25]), reward) for reward in (0.0, 1.0)]
    return pack(run.questions.known.ids[question], 1, 1.0, np.array([1, 2]), responses)


def observing(kind, **dots):
    """A stage of a run over 4 questions that has seen a group."""
    one = kind.make(make_run(dots, 4))
    one.observe(Step(1, groups={"a": Group("a", (0.0, 1.0), question=3)}), None)
    return one


def replay():
    one = Replay.make(make_run({"replay": {"enable": True}}, resumed=1))
    one.buffer.put([group(one.run, 2), group(one.run, 3)])
    return one


def preemptive():
    one = Preemptive.make(make_run({"preemptive": {"enable": True, "prompts": 8, "updates": 4}}, resumed=1))
    one.cache.begin(2)
    one.cache.keep(1, [group(one.run, 2), group(one.run, 3)])
    return one


def temperature(target):
    one = Temperature.make(make_run({"temperature": {"enable": True, "target": target}}))
    one.controller.observe(1.0, 1)
    return one


def adarft(kind=AdaRFT, follow="reward", **dots):
    settings = {"enable": True, "difficulty": "extra_info.level", "follow": follow, **dots.pop("adarft", {})}
    one = kind.make(make_run({"adarft": settings, **dots}))
    one._target.follow(0.5, 1)
    if kind is AdaRFT:
        one.curriculum.planned()
    return one


def mopps(**settings):
    one = MoPPS.make(make_run({"mopps": {"enable": True, **settings}}))
    one.state.observe(np.array([1]), np.array([0.5]), np.array([4]))
    return one


class InProcess(OnlinePredictor):
    """The predictor without its worker."""

    def __init__(self, settings, resources, device):
        self.settings = settings

    def embed(self, texts, answers, news, known_P):
        super().__init__(EMBEDDING, self.settings.half_life)


def selection(**settings):
    dots = {"selection": {"enable": True, "references": 4, "rho_floor": -1.0, **settings}}
    one = Selection.make(make_run(dots | {"difficulty": {"backbone": "model"}}, 16, resources="pool"))
    for number in (1, 2):
        one.begin(step := Step(number, target=0.5))
        chosen = one.plan(step).tolist()
        step.groups |= {str(place): Group(str(place), (0.0, 1.0), question=each) for place, each in enumerate(chosen)}
        one.observe(step, None)
    return one


def table():
    """name -> (makes a stage with something to remember, wrong values that are right)."""
    epochs = {"budget": {"enable": True, "least": 1}, "length_penalty": {"enable": True}}
    return {
        "selection": (selection, OF_SELECTION),
        "adarft": (adarft, {"target.value: negative", "target.reward: none", "target.reward: negative"}),
        "adarft by epochs": (
            lambda: adarft(follow="nothing"),
            {"curriculum.order: shorter", "target.reward: negative", "target.value: negative"},
        ),
        "adarft target": (
            lambda: adarft(AdaRFTTarget, selection={"enable": True}),
            {"target.value: negative", "target.reward: none", "target.reward: negative"},
        ),
        "mopps": (mopps, {"capability: negative"}),
        "budget": (lambda: observing(Budget, **epochs), OF_EPOCHS),
        "temperature": (lambda: temperature(None), {"mean: none", "first: no list"}),
        "temperature to a target": (lambda: temperature(0.5), {"mean: none"}),
        "entropy_coefficient": (
            lambda: EntropyCoefficient.make(make_run({"entropy_coefficient": {"enable": True}})), set()
        ),
        "length_penalty": (lambda: observing(LengthPenalty, **epochs), OF_EPOCHS),
        "preemptive": (
            preemptive, {f"groups.arrays.{name}" for name in OF_GROUPS | {"rewards_G: all negative"}}
        ),
        "replay": (replay, {f"arrays.{name}" for name in OF_GROUPS}),
        "filter": (lambda: BalancedFilter.make(make_run({"filter": {"enable": True, "balanced": True}})), set()),
    }  # fmt: skip


@pytest.fixture(autouse=True)
def without_workers(monkeypatch):
    monkeypatch.setattr(worker, "DifficultyWorkerGroup", InProcess)
    monkeypatch.setattr("verl_dots.methods.selection.stage.identity_of", lambda config: {"predictor": "online"})


def test_every_stage_that_remembers_anything_is_here():
    remembers = {stage for stage in METHODS if stage.state_dict is not Stage.state_dict}
    assert {stage.name for stage in remembers} == {name.split()[0] for name in table()}


@pytest.mark.parametrize("name", table())
def test_a_wrong_value_is_refused_by_its_name(name, tmp_path):
    make, right = table()[name]
    found = accepted(make(), tmp_path)
    assert found == right if name != "selection" else found <= right  # by what a round has left


def test_of_what_is_explored_too(tmp_path):
    found = accepted(selection(references=0).exploration, tmp_path)
    assert found <= {
        "pairs: all negative", "pairs: shorter", "pending_difficulty: all negative", "predicted: all negative",
        "predicted: empty",
    }  # fmt: skip
