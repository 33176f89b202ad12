"""The configured reward function, loaded as verl loads it."""

import asyncio
import resource
import threading
import time

import pytest
from omegaconf import OmegaConf

from tests.refusals import changed, refused
from verl_dots.generation.scoring import RewardFunction
from verl_dots.rewards.limits import RewardError

ROW = {"data_source": "arithmetic", "reward_model": {"ground_truth": "4"}, "extra_info": {"index": 7}}
MATHS = {"data_source": "math", "reward_model": {"ground_truth": r"\frac{1}{2}"}, "extra_info": None}


def asked(config, *calls, method=RewardFunction.__call__):
    """What the function says of (row, text) pairs, all asked for at once."""

    async def ask():
        return await asyncio.gather(*(method(function, row, text) for row, text in calls))

    function = RewardFunction(config)
    try:
        return asyncio.run(ask())
    finally:
        function.close()


@pytest.fixture
def with_function(on_cpu, tmp_path):
    def config(source, **kwargs):
        (tmp_path / "reward.py").write_text(source)
        changes = [f"+reward.custom_reward_function.reward_kwargs.{name}={value}" for name, value in kwargs.items()]
        return changed(on_cpu, [f"reward.custom_reward_function.path={tmp_path}/reward.py", *changes])

    return config


def test_ours_by_default_and_the_config_is_left_alone(on_cpu):
    on_cpu.reward.num_workers = 1
    before = OmegaConf.to_yaml(on_cpu)
    calls = [(ROW, "#### 4"), (ROW, "#### 5"), (MATHS, r"\boxed{0.5}"), (MATHS, r"\boxed{0.6}")]
    assert asked(on_cpu, *calls) == [1.0, 0.0, 1.0, 0.0]
    assert OmegaConf.to_yaml(on_cpu) == before


def test_the_function_gets_what_verl_gives_it(with_function):
    config = with_function(
        "def compute_score(data_source, solution_str, ground_truth, extra_info, bonus):\n"
        "    assert (data_source, solution_str, ground_truth) == ('arithmetic', 'text', '4')\n"
        "    return {'score': extra_info['index'] + extra_info['num_turns'] + bonus, 'acc': 0}\n",
        bonus=0.5,
    )
    assert asked(config, (ROW, "text")) == [9.5]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        ("{'score': 0.9, 'acc': 1.0}", (0.9, 1.0)),  # a penalty for length
        ("{'score': 1.1, 'acc': False}", (1.1, 0.0)),  # a bonus for form
        ("{'score': 1.5}", (1.5, 1.0)),
        ("{'score': 0.9, 'acc': None}", (0.9, 0.0)),
        ("0.5", (0.5, 0.0)),
    ],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_right_is_what_the_function_calls_right_else_a_full_reward(with_function, kind, returned, expected):
    config = with_function(f"{kind} compute_score(**kwargs):\n    return {returned}\n")
    assert asked(config, (ROW, "text"), method=RewardFunction.judge) == [expected]


@pytest.mark.parametrize(
    "value", ["'good'", "None", "{'score': None}", "{'acc': 1}", "[1.0]", "float('nan')", "{'score': 1, 'acc': 'yes'}"]
)
def test_what_is_no_number_is_refused(with_function, value):
    with pytest.raises(RewardError, match="the reward"):
        asked(with_function(f"def compute_score(**kwargs):\n    return {value}\n"), (ROW, "text"))


@pytest.mark.parametrize(
    ("body", "error", "told"),
    [
        ("time.sleep(600)", RewardError, "no answer for 0.5 s"),
        ("exit(3)", RewardError, "SystemExit"),
        ("1 / 0", ArithmeticError, ""),
    ],
)
def test_a_function_that_hangs_ends_or_raises_holds_nobody_up(with_function, body, error, told):
    config = with_function(f"import time\ndef compute_score(**kwargs):\n    {body}\n")
    config.dots.reward_seconds = 0.5
    began = time.monotonic()
    with pytest.raises(error, match=told):
        asked(config, (ROW, "text"))
    assert time.monotonic() - began < 60
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("reward_")]
    assert all(thread.daemon for thread in threads)  # no exit of a process waits for them


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_greedy_function_meets_an_error_and_the_process_has_its_memory_back(with_function, kind):
    config = with_function(f"{kind} compute_score(**kwargs):\n    return float(len(bytearray(3 * 2**30)) > 0)\n")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    assert asked(config, (ROW, "text")) == [1.0]
    config.dots.reward_memory_gib = 1
    with pytest.raises(RewardError, match="dots.reward_memory_gib=1 "):
        asked(config, (ROW, "text"))
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_reward_model_is_refused(on_cpu):
    on_cpu.reward.reward_model.enable = True
    with refused("reward.reward_model.enable", "excluded"):
        RewardFunction(on_cpu)
