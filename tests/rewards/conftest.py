"""One set of grading workers for all tests of rewards."""

import pytest

from verl_dots.rewards import mathematics


@pytest.fixture(scope="session", autouse=True)
def _stop_workers_afterwards():
    yield
    mathematics.close()
