"""What a reward may be, how long it may take and how much memory."""

import asyncio
import math
import subprocess
import sys
from array import array
from fractions import Fraction

import numpy as np
import pytest
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage

from tests.launches import ROOT, environment
from verl_dots.rewards.limits import (
    MOST_CHARACTERS,
    MOST_REWARD,
    RewardError,
    SilenceLimit,
    require_usable_reward,
    require_usable_rewards,
)


@pytest.mark.parametrize(
    "reward", [None, 0, 1.0, -0.5, True, np.float32(0.25), torch.tensor(2.0), Fraction(1, 4), 10**15, -1e15]
)
def test_rewards_that_can_be_trained_on(reward):
    require_usable_reward(reward, {"acc": reward, "format": "right", "parts": [1, 2]})


@pytest.mark.parametrize(
    "reward",
    [
        math.nan, math.inf, -math.inf, "1.0", "right", [1.0], {"score": 1.0}, [0, 1], 10**400, 1j, object(),
        # Infinite in single precision; finite there, and their squares are not; as great as none can be.
        1e39, -1e39, 10**39, 1e20, np.float64(1e20), torch.tensor(-1e20), 10**15 + 1,
        # What Python's float reads as 1.
        b"1", bytearray(b"1"), memoryview(b"1"), array("B", b"1"), np.bytes_(b"1"), np.str_("1"), np.array("1"),
    ],
    ids=lambda reward: type(reward).__name__,
)  # fmt: skip
def test_rewards_that_cannot(reward):
    with pytest.raises(RewardError, match="the reward is .*; it must be a finite number"):
        require_usable_reward(reward)
    with pytest.raises(RewardError, match="`acc` is .*; it must be a finite number"):
        require_usable_reward(1.0, {"acc": reward})


def test_of_rewards_within_the_limit_verl_computes_advantages_and_of_greater_ones_none():
    """GRPO of r, r, 0: their mean is 2/3 r and their deviation r / sqrt(3). 3e38 is finite in single precision."""
    for reward, expected in ((MOST_REWARD, [3**-0.5, 3**-0.5, -2 * 3**-0.5]), (3e38, [math.nan] * 3)):
        scores = torch.tensor([[reward], [reward], [0.0]])
        advantages, _ = compute_grpo_outcome_advantage(scores, torch.ones(3, 1), np.array(["a", "a", "a"]))
        np.testing.assert_allclose(advantages[:, 0].numpy(), expected, rtol=1e-5)
    require_usable_reward(MOST_REWARD)
    with pytest.raises(RewardError, match="in -1e\\+15 to 1e\\+15"):
        require_usable_reward(3e38)


@pytest.mark.parametrize(
    "much",
    ["x" * 600_000, ["x" * 1000] * 600, {"log": {"text": "x" * 600_000}}, b"x" * 600_000, np.zeros(75_000)],
    ids=type,
)
def test_what_is_beside_a_score_has_a_size(much):
    require_usable_reward(1.0, {"acc": 1.0, "log": much})
    with pytest.raises(RewardError, match=f"at most {MOST_CHARACTERS:,}"):
        require_usable_reward(1.0, {"log": much, "again": much})


@pytest.mark.parametrize("value", [0.5, None, "right"])
def test_the_score_alone_is_called_reward(value):
    """verl's validation keeps the scores by this name, and would append the value: each later score shifts by one."""
    with pytest.raises(RewardError, match="`reward`=.* beside the score.*another name"):
        require_usable_reward(1.0, {"score": 1.0, "acc": 1.0, "reward": value})


async def after(seconds, value=None):
    await asyncio.sleep(seconds)
    return value


def test_answers_that_keep_coming_are_waited_for_and_one_that_does_not_is_given_up():
    """The last of six answers comes after 0.6 s, and the limit is 0.4 s without any."""

    async def run():
        limit = SilenceLimit(0.4, "the reward", "raise the limit")
        answers = [limit.wait_for(after(0.1 * number, number)) for number in range(1, 7)]
        return await asyncio.gather(*answers, limit.wait_for(after(60)), return_exceptions=True)

    *answers, given_up = asyncio.run(asyncio.wait_for(run(), 10))
    assert answers == [1, 2, 3, 4, 5, 6]
    assert isinstance(given_up, RewardError) and str(given_up) == "the reward gave no answer for 0.4 s; raise the limit"


def test_what_an_answer_raises_is_raised_and_who_stops_waiting_cancels_it():
    async def fails():
        raise OSError("down")

    async def run():
        limit, begun = SilenceLimit(60, "the reward", ""), asyncio.ensure_future(after(60))
        with pytest.raises(OSError, match="down"):
            await limit.wait_for(fails())
        waiting = asyncio.ensure_future(limit.wait_for(begun))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0)
        return begun.cancelled()

    assert asyncio.run(run())


def test_a_process_with_a_memory_limit_meets_an_error_and_lives_on():
    program = (
        "from verl_dots.rewards.limits import limit_memory\n"
        "limit_memory(0.5)\n"
        "try:\n    bytearray(2**30)\n"
        "except MemoryError:\n    bytearray(2**20)\n"
        "else:\n    raise SystemExit('no limit')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, env=environment(), timeout=60)


def test_rewards_of_a_step_are_all_numbers():
    require_usable_rewards([0.0, 1.0, -1.0])
    with pytest.raises(RewardError, match="nan"):
        require_usable_rewards([0.0, float("nan")])
