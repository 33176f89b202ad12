"""The configured reward function, loaded as verl loads it."""

import asyncio

import pytest
from omegaconf import OmegaConf

from tests.refusals import refused
from verl_dots.generation.scoring import RewardFunction
from verl_dots.launch.compose import compose

ROW = {"data_source": "arithmetic", "reward_model": {"ground_truth": "4"}, "extra_info": {"index": 7}}
MATHS = {"data_source": "math", "reward_model": {"ground_truth": r"\frac{1}{2}"}, "extra_info": None}
pytestmark = pytest.mark.usefixtures("cpu_environment")


def rewards(config, *calls):
    """Rewards of (row, text) pairs, all asked for at once."""

    async def ask():
        return await asyncio.gather(*(function(row, text) for row, text in calls))

    function = RewardFunction(config)
    try:
        return asyncio.run(ask())
    finally:
        function.close()


def with_function(tmp_path, source):
    (tmp_path / "reward.py").write_text(source)
    return compose(["device=cpu", f"reward.custom_reward_function.path={tmp_path}/reward.py"])


def test_ours_by_default_and_the_config_is_left_alone():
    config = compose(["device=cpu"])
    before = OmegaConf.to_yaml(config)
    calls = [(ROW, "#### 4"), (ROW, "#### 5"), (MATHS, r"\boxed{0.5}"), (MATHS, r"\boxed{0.6}")]
    assert rewards(config, *calls) == [1.0, 0.0, 1.0, 0.0]
    assert OmegaConf.to_yaml(config) == before


def test_the_function_gets_what_verl_gives_it(tmp_path):
    config = with_function(
        tmp_path,
        "def compute_score(data_source, solution_str, ground_truth, extra_info, bonus):\n"
        "    assert (data_source, solution_str, ground_truth) == ('arithmetic', 'text', '4')\n"
        "    return {'score': extra_info['index'] + extra_info['num_turns'] + bonus, 'acc': 0}\n",
    )
    OmegaConf.update(config, "reward.custom_reward_function.reward_kwargs", {"bonus": 0.5}, force_add=True)
    assert rewards(config, (ROW, "text")) == [9.5]


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
def test_right_is_what_the_function_calls_right_else_a_full_reward(tmp_path, returned, expected):
    function = RewardFunction(with_function(tmp_path, f"def compute_score(**kwargs):\n    return {returned}\n"))
    try:
        assert asyncio.run(function.judge(ROW, "text")) == expected
    finally:
        function.close()


def test_a_coroutine_is_awaited(tmp_path):
    source = "async def compute_score(data_source, solution_str, ground_truth, extra_info):\n    return True\n"
    assert rewards(with_function(tmp_path, source), (ROW, "text")) == [1.0]


@pytest.mark.parametrize("value", ["'good'", "None", "{'score': None}", "[1.0]", "{'score': 1, 'acc': 'yes'}"])
def test_what_is_no_number_is_refused(tmp_path, value):
    config = with_function(tmp_path, f"def compute_score(**kwargs):\n    return {value}\n")
    with pytest.raises(TypeError, match="'score'"):
        rewards(config, (ROW, "text"))


def test_a_reward_model_is_refused():
    with refused("reward.reward_model.enable", "excluded"):
        RewardFunction(compose(["device=cpu", "reward.reward_model.enable=true"]))
