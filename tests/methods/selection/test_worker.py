"""The difficulty worker without Ray: a long embedding comes in parts, and each is told to who waits."""

import numpy as np
import pytest

from tests.difficulty.tiny_backbones import save_qwen2
from verl_dots.difficulty.settings import DifficultyConfig
from verl_dots.methods.selection import worker
from verl_dots.methods.selection.worker import DifficultyWorker, DifficultyWorkerGroup

TEXTS, ANSWERS = ("a", "bb", "cc", "dd", "ee", "ff"), ("1",) * 6


class OneWorker:
    """verl's worker group of one worker, called in this process."""

    def __init__(self, config):
        self.worker = DifficultyWorker.__new__(DifficultyWorker)
        self.worker.config, self.worker.predictor = config, None

    def __getattr__(self, name):
        return lambda *arguments: [getattr(self.worker, name)(*arguments)]


@pytest.fixture
def made(tmp_path):
    """Makes a group whose cache is empty the first time."""

    backbone = save_qwen2(tmp_path / "backbone")

    def make():
        config = DifficultyConfig(backbone=str(backbone), cache=str(tmp_path / "cache"), device="cpu", batch_tokens=4)
        group = DifficultyWorkerGroup.__new__(DifficultyWorkerGroup)
        group._group = OneWorker(config)
        return group

    return make


def test_parts_of_a_long_embedding_are_told_and_the_predictor_is_that_of_one_part(made, monkeypatch, caplog):
    caplog.set_level("INFO")
    told: list[str] = []
    monkeypatch.setattr(worker, "PART_SECONDS", 0.0)
    group = made()
    width = group.embed(TEXTS, ANSWERS, told.append)
    assert [text.split(";")[0] for text in told] == [f"{left} of 6 questions to be embedded" for left in (6, 6, 4, 2)]
    assert "progress: 2 of 6 questions are left to embed" in caplog.messages
    again = made()
    told.clear()
    assert again.embed(TEXTS, ANSWERS, told.append) == width
    assert len(told) == 1  # all of it is in the cache
    for each in (group, again):
        each.observe(1, np.arange(6), np.linspace(0, 1, 6), np.full(6, 4), np.arange(6) % 5 > 0)
    first, second = (each.predict(1, np.arange(6), np.linspace(0, 1, 6))[0] for each in (group, again))
    np.testing.assert_array_equal(first, second)
