"""The two configs that the tests start from, composed once."""

from functools import cache

import pytest

from verl_dots.launch.compose import compose

composed = cache(lambda *overrides: compose([*overrides]))


@pytest.fixture
def on_cpu(cpu_environment):
    return composed("device=cpu").copy()


@pytest.fixture
def on_gpu(cpu_environment):
    return composed().copy()
