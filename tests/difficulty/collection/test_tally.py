import asyncio

import pytest

from verl_dots.difficulty.collection.question_rows import Question
from verl_dots.difficulty.collection.rates import Outcome, ProgressFile, RewardOutOfRange, RewardRange
from verl_dots.difficulty.collection.tally import Tally

QUESTIONS = [Question("a", "1+1?", "2", {"answer": "2"}), Question("b", "2+2?", "4", {"answer": "4"})]


async def reward(row, text):
    """1 for the answer."""
    await asyncio.sleep(0)
    return float(text == row["answer"])


def test_a_question_is_kept_once_all_its_rollouts_are_there_in_their_order(tmp_path):
    with ProgressFile(tmp_path / "progress.jsonl", {}) as progress:
        tally = Tally(QUESTIONS, 2, reward, RewardRange(), progress)

        async def run():
            await tally.add(1, 1, "4", 7)
            await tally.add(0, 0, "2", 3)
            assert progress.done == {}
            await tally.add(1, 0, "5", 9)
            assert progress.done == {"b": Outcome((0.0, 1.0), (9, 7))}
            await tally.add(0, 1, "2", 4)

        asyncio.run(run())
        assert progress.done["a"] == Outcome((1.0, 1.0), (3, 4))


def test_the_first_reward_out_of_range_ends_it_before_the_question_is_complete(tmp_path):
    async def penalty(row, text):
        return -1.0

    with ProgressFile(tmp_path / "progress.jsonl", {}) as progress:
        tally = Tally(QUESTIONS, 2, penalty, RewardRange(), progress)
        with pytest.raises(RewardOutOfRange, match="question b: reward -1 is outside"):
            asyncio.run(tally.add(1, 0, "4", 1))
        asyncio.run(Tally(QUESTIONS, 1, penalty, RewardRange(-1.0, 1.0), progress).add(1, 0, "4", 1))
        # Kept as it was given, so that the range can still be corrected.
        assert progress.done == {"b": Outcome((-1.0,), (1,))}


def test_a_failing_reward_function_says_on_which_question(tmp_path):
    async def down(row, text):
        raise OSError("the service is down")

    with ProgressFile(tmp_path / "progress.jsonl", {}) as progress, pytest.raises(OSError, match="is down") as error:
        asyncio.run(Tally(QUESTIONS, 1, down, RewardRange(), progress).add(0, 0, "an answer", 1))
    assert "question a: 'an answer'" in error.value.__notes__[0]
