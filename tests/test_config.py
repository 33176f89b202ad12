"""The typed group `dots`: its defaults in the composed config, and wrong values of it."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from omegaconf import OmegaConf

from tests.launches import environment
from tests.refusals import cases, changed, refused
from tests.source import parsed
from verl_dots.config import DotsConfig
from verl_dots.launch.compose import compose
from verl_dots.settings import Reason, Settings, descriptions, plain_values, settings_table, unknown_key

PACKAGE = Path(__file__).parents[1] / "verl_dots"


def test_the_composed_group_is_the_typed_one_with_every_key_at_its_default(cpu_environment):
    given = OmegaConf.to_container(compose(["device=cpu"]).dots)
    assert given["difficulty"].pop("backbone") == "${actor_rollout_ref.model.path}"
    expected = plain_values(DotsConfig())
    assert expected["difficulty"].pop("backbone") is None
    assert given == expected
    assert DotsConfig.from_mapping(given) == DotsConfig()
    # As YAML holds them: a list, and whole numbers without a point.
    assert repr(given["reward_range"]) == "[0, 1]" and repr(given["selection"]["tau"]) == "0.001"


REFUSED = cases("""
dots.sede,from_mapping=3 : unknown
dots.selection.alfa=0.5 : unknown
dots.adarft.alpha=2 : renamed
dots.seed=three|true|1.5 : type
dots.poll_seconds=null : type
dots.reward_range=[0]|[0,a] : type
dots.selection=3 : type
dots.preset,console,difficulty.predictor,difficulty.layers,difficulty.reads,difficulty.device=guessed : choice
dots.selection.conflicting_answers,score=guessed : choice
dots.budget.remainder=none : choice
dots.length_penalty.ranked=none : choice
dots.preset,adarft.follow,budget.by,temperature.entropy,filter.kind,replay.sampling,loss.behaviour=none : choice
dots.difficulty.predictor=attention : missing
dots.seed=-1|2147483648 : range
dots.poll_seconds=0|61 : range
dots.patience_seconds,reward_seconds,reward_memory_gib=0|-1|1e10|1e300 : range
dots.patience_seconds,reward_seconds=1000000000.1 : range
dots.reward_memory_gib=1e-6|0.99|1048577 : range
dots.max_failed_share=-0.1|1.1 : range
dots.reward_range=[1,0]|[0,inf] : range
dots.selection.alpha=-0.1|1.5 : range
dots.selection.tau=-1 : range
dots.selection.references=1|-1 : range
dots.selection.explore=0|1 dots.selection.references=0 : range
dots.selection.mu,rho_rounds,uniform_rounds=0 : range
dots.selection.uniform_start=-1 : range
dots.selection.rho_floor=-2|2 : range
dots.difficulty.cache="" : range
dots.difficulty.batch_tokens,half_life=0 : range
dots.adarft.range=[5,1] : range
dots.adarft.initial=-1|101 : range
dots.adarft.eta,coverage=-1 : range
dots.adarft.sensitivity=0 : range
dots.adarft.damping=-0.1|1 : range
dots.adarft.within=[6,1] : range
dots.mopps.target,memory,implicit=-0.1|1.1 : range
dots.mopps.prior=[0,1]|[1,0] : range
dots.mopps.candidates=0 : range
dots.mopps.damping=1 : range
dots.budget.least=0 : range
dots.budget.least=13 -> dots.budget.most : range
dots.budget.widen=-1 : range
dots.temperature.target=0|inf : range
dots.temperature.warm_up=0 : range
dots.temperature.damping=1 : range
dots.temperature.low=0|2 : range
dots.temperature.anneal_from,anneal_to=-0.1|1.2 : range
dots.length_penalty.easiest=0|20 : range
dots.length_penalty.strength=-1 : range
dots.entropy_coefficient.target=0|inf : range
dots.entropy_coefficient.initial=-1|0.006 : range
dots.entropy_coefficient.delta=-1|nan : range
dots.entropy_coefficient.most=0|inf : range
dots.preemptive.prompts,updates=0 : range
dots.refill.within=[0.8,0.2]|[-0.1,1]|[0,1.1] : range
dots.refill.max_rounds=0 : range
dots.refill.at_the_limit=stop : choice
dots.filter.threshold=-1 : range
dots.filter.threshold=1 dots.filter.kind=quantile : range
dots.replay.delta=0|1.5 : range
dots.replay.capacity,max_age=0 : range
dots.loss.truncation=-1 : range
""")


@pytest.mark.parametrize("overrides, key, reason", REFUSED)
def test_a_wrong_setting_is_refused(overrides, key, reason):
    given = changed(OmegaConf.create(), overrides.split())
    with refused(key, reason):
        DotsConfig.from_mapping(OmegaConf.to_container(given.dots))


def test_the_greatest_limits_work_where_they_are_set():
    """In a process of its own, which has them afterwards."""
    program = (
        "from verl_dots.bridge.trainer.patience import Patience\n"
        "from verl_dots.config import LONGEST_SECONDS, MEMORY_GIB\n"
        "from verl_dots.rewards.limits import limit_memory\n"
        "from verl_dots.rewards.worker_pool import WorkerPool\n"
        "from verl_dots.rewards.compute import LONGEST_GRADING_SECONDS as OF_AN_ANSWER\n"
        "if __name__ == '__main__':\n"
        "    with Patience(LONGEST_SECONDS, '').waiting('nothing'):\n        pass\n"
        "    assert WorkerPool(1).run(abs, -3, limit_seconds=OF_AN_ANSWER).value == 3\n"
        "    limit_memory(MEMORY_GIB[1])\n    bytearray(2**20)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=environment(), timeout=120)


def test_errors_say_what_was_given_and_what_is_allowed():
    for given, words in (
        ({"seed": "three"}, "dots.seed='three' is of type str; it must be of type int"),
        ({"selection": {"alpha": 1.5}}, "dots.selection.alpha=1.5: must be in [0, 1]"),
        ({"console": "all"}, "dots.console=all: must be one of lines, full"),
    ):
        with pytest.raises(ValueError) as caught:
            DotsConfig.from_mapping(given)
        assert str(caught.value) == words


def test_an_unknown_key_lists_few_known_ones_and_suggests_only_near_ones():
    assert str(unknown_key("dots.zzz", ["dots.seed"])).endswith("Known: dots.seed.")
    assert "did you mean 'dots.seed'?" in str(unknown_key("dots.sede", ["dots.seed"]))
    assert "did you mean" not in str(unknown_key("xyz", ["alpha", "beta"]))


REFUSALS = ("ConfigError", "EmbeddingError", "OutputError", "QuestionError", "RunError", "NothingRecordedError")
REFUSALS += ("ReplayError", "SelectionError", "SourceError", "StateError")


def test_every_refusal_has_a_reason_of_the_list():
    """Read from the source."""
    calls = [
        (file.name, node.lineno, {word.arg: word.value for word in node.keywords})
        for file in (*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("data_prep/*.py"))
        for node in ast.walk(parsed(file.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS
    ]
    assert len(calls) > 200
    for name, line, words in calls:
        assert "reason" in words, f"{name}:{line}"
        if isinstance(words["reason"], ast.Constant):
            assert words["reason"].value in get_args(Reason), f"{name}:{line}"


def test_the_table_has_every_setting_once():
    names = [key for keys, _, _ in settings_table(DotsConfig, "dots") for key in keys]
    assert len(names) == len(set(names)) > 55 and {"dots.seed", "dots.budget.most"} <= set(names)


def test_the_table_joins_descriptions_over_lines_and_misses_none():
    @dataclass
    class Some(Settings):
        """Some settings.

        Attributes:
            low, high: bounds
                of it.
            name: what it is called.
        """

        low: float = 0.5
        high: float = 1.5
        name: str = "x"

    assert descriptions(Some) == {("low", "high"): "bounds of it.", ("name",): "what it is called."}
    assert list(settings_table(Some, "some")) == [
        (["some.low", "some.high"], [0.5, 1.5], "bounds of it."),
        (["some.name"], ["x"], "what it is called."),
    ]

    @dataclass
    class Silent(Settings):
        """Nothing is said."""

        seed: int = 1

    with pytest.raises(ValueError, match=r"Silent does not describe \['seed'\]"):
        list(settings_table(Silent, "silent"))
